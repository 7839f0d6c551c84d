"""SSL offloading, off: which rules exist for a farm under HTTPS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lyncarr.core.model import State, Step
from lyncarr.steps.rules import https_rules, rules_parameters, rules_state

if TYPE_CHECKING:
    from lyncarr.materials.prepare import Prepared


class SslOffload(Step):
    name = "ssl-offload"
    noun = "SslOffload"
    title = "Requests go on to the farm encrypted: each farm has one rule, and it leads to the servers by https."
    reason = (
        "Ending TLS at the proxy is not supported for Lync. IIS Manager's check box 'Enable SSL offloading' is no setting: it decides "
        "which rewrite rules exist, and this step says which. The order of the rules is the order of the farms in the site file. "
        "A farm with `https = false` has no such rule. "
        "A rule matches every URL: half of this unit, even for a moment, would take every request of the server."
    )
    source = "The runbook, step 6 (Routing Rules); Microsoft, 'HTTP load balancing using Application Request Routing', samples 1 and 5"
    sets = (
        "The global rewrite rule of each farm, under the name that IIS Manager gives it, and the order of these rules: "
        "`ARR_<farm>_loadbalance_SSL` to `https://`, or with `ssl_offload = true` `ARR_<farm>_loadbalance` to `http://`. Items: the rule "
        "(`enabled`, `action`, `match`, `pattern_syntax`, `stop_processing`, `type`), and `rules` (`order`, `taken_by`)."
    )
    never_touches = "Foreign rules and their places in the list."
    fails = (
        "When a foreign rule stands before ours and takes the requests for one of our names (`taken_by`): nothing is written, and the rule "
        "is named, since only you know what it is for. One that may take some requests is a note, and so is one behind ours for a host "
        "that our pattern takes too (`dialin.*` is also `dialin.fabrikam.com`). `needs step farms` or `needs step arr` "
        "where these are not there."
    )
    snippet = "ssl_offload.ps1"
    unit = "rules"
    unfixable = frozenset({("rules", "taken_by")})

    def desired(self, site: Prepared) -> State:
        return rules_state(https_rules(site))

    def parameters(self, site: Prepared) -> Mapping[str, Any]:
        return rules_parameters(site, https_rules(site))
