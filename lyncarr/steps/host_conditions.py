"""The conditions that tell the farms' rules apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lyncarr.core.model import State, Step
from lyncarr.steps.rules import all_rules

if TYPE_CHECKING:
    from lyncarr.materials.prepare import Prepared


class HostConditions(Step):
    name = "host-conditions"
    noun = "HostConditions"
    title = "Each rule answers for its own host name only: under HTTPS, or without TLS where the site file wants an answer there."
    reason = (
        "A farm's rule matches every URL. Without a condition on `{HTTP_HOST}` the first rule takes the requests of all names, "
        "so the condition is written in the same commit as the rule. The runbook's pattern is the first label, `dialin.*`; "
        "farms that share a first label get their full names. `host_pattern` in a `[[farms]]` table takes another. "
        "`{HTTPS}` is On or Off, so that rules under HTTPS and rules without TLS never meet."
    )
    source = "The runbook, step 7 (conditions); Microsoft's page for Lync Server 2013 uses the pattern `*`, with which the first rule wins"
    sets = (
        "Exactly two conditions for each of our rules, both of which must hold: `{HTTPS}` is `On`, or `Off` in a rule for requests "
        "without TLS, and `{HTTP_HOST}` matches `host_pattern`. Items: the rule (`conditions`, `grouping`)."
    )
    never_touches = "Conditions that differ only in letter case or order, which mean the same."
    fails = "`needs steps ssl-offload and http-rules` where the rule is not there; it comes along with these steps."
    snippet = "host_conditions.ps1"
    unit = "rules"

    def desired(self, site: Prepared) -> State:
        return {rule.name: {"conditions": rule.conditions, "grouping": "MatchAll"} for rule in all_rules(site)}
