"""ARR's disk cache, off for each farm."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lyncarr.core.model import State, Step

if TYPE_CHECKING:
    from lyncarr.materials.prepare import Prepared


class DiskCache(Step):
    name = "disk-cache"
    noun = "DiskCache"
    title = "Nothing of a farm's answers is cached on the proxy's disk."
    reason = (
        "Lync's answers belong to one user and one moment; a cached one is wrong for everybody else. "
        "On a fresh ARR nothing is cached on disk until a drive is added, but the setting is on and would then take effect."
    )
    source = (
        "The runbook, step 6 (Caching); Microsoft, 'Configure web publishing rules for a single internal pool in Lync Server 2013', step 9"
    )
    sets = "The farm's disk cache to `disk_cache` of the site file, which is off. Items: the farm (`enabled`)."
    never_touches = "The server's cache drives, the memory cache, other farms."
    fails = "`needs step farms` where the farm is not there."
    snippet = "disk_cache.ps1"
    restarts_iis = True

    def desired(self, site: Prepared) -> State:
        return {farm.name: {"enabled": farm.disk_cache} for farm in site.farms}
