"""How long ARR waits for an answer of the back end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lyncarr.core.model import State, Step

if TYPE_CHECKING:
    from lyncarr.materials.prepare import Prepared


class ProxyTimeout(Step):
    name = "proxy-timeout"
    noun = "ProxyTimeout"
    snippet = "proxy_timeout.ps1"
    restarts_iis = True

    def desired(self, site: Prepared) -> State:
        return {farm.name: {"timeout_s": farm.timeout_s} for farm in site.farms}
