"""Rules that lead to a farm and must not be there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lyncarr.core.model import State, Step
from lyncarr.steps.rules import rule_name


class HttpRules(Step):
    name = "http-rules"
    noun = "HttpRules"
    title = "No other rule leads to a farm: the rules for http that IIS Manager makes are removed."
    reason = (
        "Nothing of Lync needs to be reachable without TLS, and a second rule to the same farm can answer before the right one. "
        "The runbook deletes every HTTP rule on the server; this tool deletes only ours, the rules that rewrite to a farm of the "
        "site file, and leaves foreign ones untouched. Microsoft's own page keeps the HTTP rules, so that lyncdiscover can answer "
        "phones on port 80."
    )
    source = "The runbook, step 7; Microsoft, 'Configure web publishing rules for a single internal pool in Lync Server 2013', steps 14-15"
    sets = "Removes the further rules that rewrite to one of our farms. Items: the farm (`extra_rules`, which shall be empty)."
    never_touches = "Rules that lead elsewhere, and redirects."
    fails = (
        "Never by itself. Where phones need `lyncdiscover` on port 80, this step removes what they use; there is no setting for that yet."
    )
    snippet = "http_rules.ps1"
    unit = "rules"

    def desired(self, site: Any) -> State:
        return {farm.name: {"extra_rules": ()} for farm in site.farms}

    def parameters(self, site: Any) -> Mapping[str, Any]:
        return {"keep": {farm.name: rule_name(farm) for farm in site.farms}}
