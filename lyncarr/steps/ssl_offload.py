"""SSL offloading, which is off: the rewrite rules of the farms for HTTPS requests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lyncarr.core.model import State, Step
from lyncarr.steps.rules import RULE_ATTRIBUTES, https_rules, rules_parameters, rules_state

if TYPE_CHECKING:
    from lyncarr.materials.prepare import Prepared


class SslOffload(Step):
    name = "ssl-offload"
    noun = "SslOffload"
    snippet = "ssl_offload.ps1"
    attributes = RULE_ATTRIBUTES
    unit = "rules"
    unfixable = frozenset({("rules", "taken_by")})

    def desired(self, site: Prepared) -> State:
        return rules_state(https_rules(site))

    def parameters(self, site: Prepared) -> Mapping[str, Any]:
        return rules_parameters(site, https_rules(site))
