"""One server farm for each published name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lyncarr.core.model import Attributes, State, Step

if TYPE_CHECKING:
    from lyncarr.materials.prepare import Prepared


class Farms(Step):
    name = "farms"
    noun = "Farms"
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
