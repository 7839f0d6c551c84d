"""One server farm for each published name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lyncarr.core.model import Attribute, Attributes, State, Step

if TYPE_CHECKING:
    from lyncarr.materials.prepare import Prepared


class Farms(Step):
    name = "farms"
    noun = "Farms"
    snippet = "farms.ps1"
    attributes: Mapping[str, Attribute] = {
        "enabled": Attribute("enabled", quiet=True),
        "servers": Attribute("servers", entry="server"),
        "preserve_host_header": Attribute("host header", true="preserved", false="replaced", quiet=True),
        "http_port": Attribute("HTTP port"),
        "https_port": Attribute("HTTPS port"),
        "pending": Attribute("IIS restart pending", quiet=False),
    }
    restarts_iis = True

    def desired(self, site: Prepared) -> State:
        state: dict[str, Attributes] = {}
        for farm in site.farms:
            state[farm.name] = {"enabled": True, "servers": tuple(farm.servers), "preserve_host_header": True}
            for server in farm.servers:
                state[f"{farm.name}/{server}"] = {"enabled": True, "http_port": farm.http_port, "https_port": farm.https_port}
        # The host records that IIS must still restart after an interrupted run; see Restart-LyncarrIis.
        state["iisreset"] = {"pending": False}
        return state
