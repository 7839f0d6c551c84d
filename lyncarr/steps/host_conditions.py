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
    snippet = "host_conditions.ps1"
    unit = "rules"

    def desired(self, site: Prepared) -> State:
        return {rule.name: {"conditions": rule.conditions, "grouping": "MatchAll"} for rule in all_rules(site)}
