"""The disk cache of ARR, which is switched off for each farm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lyncarr.core.model import Attribute, State, Step

if TYPE_CHECKING:
    from lyncarr.materials.prepare import Prepared


class DiskCache(Step):
    name = "disk-cache"
    noun = "DiskCache"
    snippet = "disk_cache.ps1"
    attributes: Mapping[str, Attribute] = {"enabled": Attribute("disk cache", true="on", false="off")}
    restarts_iis = True

    def desired(self, site: Prepared) -> State:
        return {farm.name: {"enabled": farm.disk_cache} for farm in site.farms}
