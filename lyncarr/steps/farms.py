"""One server farm for each published name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lyncarr.core.model import Attributes, State, Step

if TYPE_CHECKING:
    from lyncarr.materials.prepare import Prepared


class Farms(Step):
    name = "farms"
    noun = "Farms"
    title = "A server farm for each published name leads to its servers, on ports 8080 and 4443 (Office Web Apps: 80 and 443)."
    reason = (
        "Lync's external web site listens on 8080 and 4443; 443 on a Front End is the internal site and must not be published. "
        "Office Web Apps has one site for both and keeps 80 and 443. The original host name must reach the Front End, which picks "
        "the meeting or dial-in page by it: `preserve_host_header` is ARR's default for a farm and is checked here. "
        "Microsoft supports hardware load balancing only for web traffic: one address a farm, unless the servers are no Lync pool. "
        "After a change IIS is restarted once, because farm settings were seen to take no effect before."
    )
    source = (
        "The runbook, step 5; Microsoft, 'Configure web farm FQDNs' and 'Configure web publishing rules for a single internal pool', step 6"
    )
    sets = (
        "The farm, named as the published name, and its servers; a server that the site file does not name is removed from the farm. "
        "Items: the farm (`enabled`, `servers`, `preserve_host_header`), `farm/server` (`enabled`, `http_port`, `https_port`), and "
        "`iisreset` (`pending`: a restart of IIS that an earlier run owes)."
    )
    never_touches = (
        "Other farms, and other settings of our farms (health check, affinity, load balancing). It makes no rule: IIS Manager's question "
        "whether to create one is answered by the rule steps."
    )
    fails = (
        "`needs step arr` where the configuration sections of ARR or URL Rewrite are not there; when the configuration file stays locked."
    )
    snippet = "farms.ps1"
    restarts_iis = True

    def desired(self, site: Prepared) -> State:
        state: dict[str, Attributes] = {}
        for farm in site.farms:
            state[farm.name] = {"enabled": True, "servers": tuple(farm.servers), "preserve_host_header": True}
            for server in farm.servers:
                state[f"{farm.name}/{server}"] = {"enabled": True, "http_port": farm.http_port, "https_port": farm.https_port}
        # The host remembers a restart that it owes; see Restart-LyncarrIis.
        state["iisreset"] = {"pending": False}
        return state
