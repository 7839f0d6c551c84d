"""One server farm for each published name."""

from __future__ import annotations

from typing import Any

from lyncarr.core.model import Attributes, State, Step


class Farms(Step):
    name = "farms"
    noun = "Farms"
    title = "A server farm for each published name leads to its servers, on ports 8080 and 4443 (Office Web Apps: 80 and 443)."
    reason = (
        "Lync's external web site listens on 8080 and 4443; 443 on a Front End is the internal site and must not be published. "
        "Office Web Apps has one site for both and keeps 80 and 443. The original host name must reach the Front End, which picks "
        "the meeting or dial-in page by it: preserve_host_header is ARR's default for a farm and is checked here. "
        "Microsoft supports hardware load balancing only for web traffic: one address a farm, unless the servers are no Lync pool. "
        "Other farms of this server are left alone. After a change IIS is restarted once (iisreset /noforce), because farm settings "
        "were seen to take no effect before."
    )
    source = (
        "The runbook, step 5; Microsoft, 'Configure web farm FQDNs' and 'Configure web publishing rules for a single internal pool', step 6"
    )
    snippet = "farms.ps1"
    restarts_iis = True

    def desired(self, site: Any) -> State:
        state: dict[str, Attributes] = {}
        for farm in site.farms:
            state[farm.name] = {"enabled": True, "servers": tuple(farm.servers), "preserve_host_header": True}
            for server in farm.servers:
                state[f"{farm.name}/{server}"] = {"enabled": True, "http_port": farm.http_port, "https_port": farm.https_port}
        # The host remembers a restart that it owes; see Restart-LyncarrIis.
        state["iisreset"] = {"pending": False}
        return state
