"""Internet Information Services."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lyncarr.core.model import Attribute, State, Step

if TYPE_CHECKING:
    from lyncarr.materials.prepare import Prepared


class Iis(Step):
    name = "iis"
    noun = "Iis"
    snippet = "iis.ps1"
    attributes: Mapping[str, Attribute] = {
        "installed": Attribute("installed"),
        "missing": Attribute("missing features", quiet=()),
        "running": Attribute("running"),
    }

    def desired(self, site: Prepared) -> State:
        return {"Web-Server": {"installed": True, "missing": ()}, "W3SVC": {"running": True}}
