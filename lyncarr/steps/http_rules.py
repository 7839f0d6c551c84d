"""The rules of the farms for HTTP requests, and the removal of other rules that lead to a farm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lyncarr.core.model import Attribute, State, Step
from lyncarr.steps.rules import RULE_ATTRIBUTES, http_rules, rules_parameters, rules_state

if TYPE_CHECKING:
    from lyncarr.materials.prepare import Prepared


class HttpRules(Step):
    name = "http-rules"
    noun = "HttpRules"
    snippet = "http_rules.ps1"
    attributes: Mapping[str, Attribute] = {
        **RULE_ATTRIBUTES,
        "redirect_type": Attribute("redirect type"),
        "extra_rules": Attribute("extra rules", quiet=(), entry="rule"),
    }
    unit = "rules"
    unfixable = frozenset({("rules", "taken_by")})

    def desired(self, site: Prepared) -> State:
        return {**{farm.name: {"extra_rules": ()} for farm in site.farms}, **rules_state(http_rules(site))}

    def parameters(self, site: Prepared) -> Mapping[str, Any]:
        return {**rules_parameters(site, http_rules(site)), "site": site.website.name}
