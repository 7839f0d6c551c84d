"""SSL offloading, off: which rules exist for a farm under HTTPS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lyncarr.core.model import State, Step
from lyncarr.steps.rules import https_rules, rules_parameters, rules_state


class SslOffload(Step):
    name = "ssl-offload"
    noun = "SslOffload"
    title = "Requests go on to the farm encrypted: each farm has one rule, ARR_<farm>_loadbalance_SSL, that leads to https://."
    reason = (
        "Ending TLS at the proxy is not supported for Lync. IIS Manager's check box 'Enable SSL offloading' is no setting: it decides "
        "which rewrite rules exist, and this step says which. The order of the rules is the order of the farms in the site file. "
        "A foreign rule that stands before them and takes their requests stops the run; only you know what it is for. "
        "A farm with https = false has no such rule. "
        "Together with http-rules and host-conditions this is one unit and one write: half of it would take every request of the server."
    )
    source = "The runbook, step 6 (Routing Rules); Microsoft, 'HTTP load balancing using Application Request Routing', samples 1 and 5"
    snippet = "ssl_offload.ps1"
    unit = "rules"
    unmendable = frozenset({("rules", "taken_by")})

    def desired(self, site: Any) -> State:
        return rules_state(https_rules(site))

    def parameters(self, site: Any) -> Mapping[str, Any]:
        return rules_parameters(site, https_rules(site))
