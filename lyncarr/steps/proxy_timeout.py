"""How long ARR waits for an answer of the back end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lyncarr.core.model import State, Step

if TYPE_CHECKING:
    from lyncarr.materials.prepare import Prepared


class ProxyTimeout(Step):
    name = "proxy-timeout"
    noun = "ProxyTimeout"
    title = "Each farm waits 900 seconds for an answer before ARR gives up with 502.3."
    reason = (
        "Mobile clients hold a request open until the server has something to say, for up to 15 minutes; ARR's own 30 seconds cut it. "
        "Microsoft's page for Lync Server 2013 first asked for at least 200 seconds and later, with mobile clients and their push "
        "notification time-out of 900 seconds, for 960; the runbook found 600 to 900 to work and sets 900. "
        "`timeout_s` in a `[[farms]]` table takes any other value from 1 to 86400."
    )
    source = (
        "The runbook, step 6 (Proxy); Microsoft, 'Configure web publishing rules for a single internal pool in Lync Server 2013', step 10"
    )
    sets = "The farm's proxy time-out to `timeout_s` of the site file. Items: the farm (`timeout_s`)."
    never_touches = "The server's own proxy setting, which farms do not need and which stays off."
    fails = "`needs step farms` where the farm is not there."
    snippet = "proxy_timeout.ps1"
    restarts_iis = True

    def desired(self, site: Prepared) -> State:
        return {farm.name: {"timeout_s": farm.timeout_s} for farm in site.farms}
