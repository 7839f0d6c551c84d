"""The time that ARR waits for an answer from the back end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lyncarr.core.model import Attribute, State, Step

if TYPE_CHECKING:
    from lyncarr.materials.prepare import Prepared


class ProxyTimeout(Step):
    name = "proxy-timeout"
    noun = "ProxyTimeout"
    snippet = "proxy_timeout.ps1"
    attributes: Mapping[str, Attribute] = {"timeout_s": Attribute("timeout", unit="s")}
    restarts_iis = True

    def desired(self, site: Prepared) -> State:
        return {farm.name: {"timeout_s": farm.timeout_s} for farm in site.farms}
