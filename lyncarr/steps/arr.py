"""URL Rewrite and Application Request Routing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lyncarr.config.values import PRODUCTS
from lyncarr.core.model import Attribute, State, Step

if TYPE_CHECKING:
    from lyncarr.materials.prepare import Prepared

NEEDED = ("url_rewrite", "arr")
WEBPI_PRODUCTS = {"url_rewrite": "UrlRewrite2", "arr": "ARRv3_0"}
"""Key in [installers] -> product id in Microsoft's product lists. WebPI adds the dependencies of a product by itself."""
WEBPI_LIMIT_S = 20 * 60
"""Seconds after which WebpiCmd is stopped, because it waits for input or for a network. The deadline of the step allows for two of them."""
BUSY_TRIES = 9
BUSY_WAIT_S = 15
"""Windows installs one package at a time. While another installation runs, msiexec is tried again for two minutes; then the step fails."""


class Arr(Step):
    name = "arr"
    noun = "Arr"
    snippet = "arr.ps1"
    attributes: Mapping[str, Attribute] = {"installed": Attribute("installed")}

    def desired(self, site: Prepared) -> State:
        given = {installer.role for installer in site.installers}
        return {product: {"installed": True} for role, product in PRODUCTS.items() if role in NEEDED or role in given}

    def parameters(self, site: Prepared) -> Mapping[str, Any]:
        packages: dict[str, dict[str, str]] = {}
        for installer in site.installers:
            package = {"file": installer.role, "sha256": installer.sha256}
            packages[PRODUCTS[installer.role]] = package if installer.url is None else {**package, "url": installer.url}
        table = site.package_sources
        return {
            "packages": packages,
            "keys": {product: role for role, product in PRODUCTS.items()},
            "publisher": table.publisher,
            "busy_tries": BUSY_TRIES,
            "busy_wait_s": BUSY_WAIT_S,
            "webpi": {PRODUCTS[role]: product for role, product in WEBPI_PRODUCTS.items()}
            if table.source == "webpi" or table.feed is not None
            else {},
            "feed": table.feed or "",
            "webpi_limit_s": WEBPI_LIMIT_S,
        }

    def files(self, site: Prepared, items: frozenset[str]) -> Mapping[str, Any]:
        return {i.role: i for i in site.installers if i.path is not None and PRODUCTS[i.role] in items}
