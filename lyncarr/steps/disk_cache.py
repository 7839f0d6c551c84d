"""ARR's disk cache, off for each farm."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lyncarr.core.model import State, Step

if TYPE_CHECKING:
    from lyncarr.materials.prepare import Prepared


class DiskCache(Step):
    name = "disk-cache"
    noun = "DiskCache"
    snippet = "disk_cache.ps1"
    restarts_iis = True

    def desired(self, site: Prepared) -> State:
        return {farm.name: {"enabled": farm.disk_cache} for farm in site.farms}
