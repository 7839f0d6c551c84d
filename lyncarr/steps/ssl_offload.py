"""SSL offloading, off: which rules exist for a farm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lyncarr.core.model import Attributes, State, Step
from lyncarr.steps.rules import host_header, rule_action, rule_conditions, rule_name


class SslOffload(Step):
    name = "ssl-offload"
    noun = "SslOffload"
    title = "Requests go on to the farm encrypted: each farm has one rule, ARR_<farm>_loadbalance_SSL, that leads to https://."
    reason = (
        "Ending TLS at the proxy is not supported for Lync. IIS Manager's check box 'Enable SSL offloading' is no setting: it decides "
        "which rewrite rules exist, and this step says which. The order of the rules is the order of the farms in the site file. "
        "A foreign rule that stands before them and takes their requests stops the run; only you know what it is for. "
        "Together with http-rules and host-conditions this is one unit and one write: half of it would take every request of the server."
    )
    source = "The runbook, step 6 (Routing Rules); Microsoft, 'HTTP load balancing using Application Request Routing', samples 1 and 5"
    snippet = "ssl_offload.ps1"
    unit = "rules"
    unmendable = frozenset({("rules", "taken_by")})

    def desired(self, site: Any) -> State:
        state: dict[str, Attributes] = {
            rule_name(farm): {
                "enabled": True,
                "action": rule_action(farm),
                "match": "*",
                "pattern_syntax": "Wildcard",
                "stop_processing": True,
                "rewrite": True,
            }
            for farm in site.farms
        }
        state["rules"] = {"order": tuple(rule_name(farm) for farm in site.farms), "taken_by": ()}
        return state

    def parameters(self, site: Any) -> Mapping[str, Any]:
        return {
            "farms": [farm.name for farm in site.farms],
            "rules": {rule_name(farm): {"host": host_header(site, farm), "conditions": list(rule_conditions(farm))} for farm in site.farms},
        }
