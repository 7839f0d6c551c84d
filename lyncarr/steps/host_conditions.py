"""The conditions that select the farm of a request by its host name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lyncarr.core.model import Attribute, State, Step
from lyncarr.steps.rules import all_rules

if TYPE_CHECKING:
    from lyncarr.materials.prepare import Prepared


class HostConditions(Step):
    name = "host-conditions"
    noun = "HostConditions"
    snippet = "host_conditions.ps1"
    attributes: Mapping[str, Attribute] = {
        "conditions": Attribute("conditions"),
        "grouping": Attribute("condition grouping", quiet="MatchAll"),
    }
    unit = "rules"

    def desired(self, site: Prepared) -> State:
        return {rule.name: {"conditions": rule.conditions, "grouping": "MatchAll"} for rule in all_rules(site)}
