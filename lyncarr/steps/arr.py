"""URL Rewrite and Application Request Routing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lyncarr.core.model import State, Step

if TYPE_CHECKING:
    from lyncarr.materials.prepare import Prepared

PRODUCTS = {
    "url_rewrite": "URL Rewrite",
    "web_farm": "Web Farm Framework",
    "arr": "Application Request Routing",
    "external_cache": "External Cache",
}
"""Key in [installers] -> product, in the order of installation: ARR's package asks for the two before it."""

NEEDED = ("url_rewrite", "arr")
WEBPI_PRODUCTS = {"url_rewrite": "UrlRewrite2", "arr": "ARRv3_0"}
"""Key in [installers] -> product id in Microsoft's product lists. WebPI itself adds what a product depends on."""
WEBPI_LIMIT_S = 20 * 60
"""A WebpiCmd that takes longer is ended: it waits for an answer, or for a network. Two of them fit into the deadline of the step."""
BUSY_TRIES = 9
BUSY_WAIT_S = 15
"""Windows installs one package at a time: two minutes of patience, then the run ends."""


class Arr(Step):
    name = "arr"
    noun = "Arr"
    title = "URL Rewrite 2.1 and Application Request Routing 3.0 are installed."
    reason = (
        "ARR 3 forwards the requests, URL Rewrite holds the rules that say where to. ARR's own package brings what it needs of the Web "
        "Farm Framework; that and External Cache are installed only where `[installers]` names their packages. The runbook takes them "
        "from the Web Platform Installer, whose product list Microsoft retired in 2022. So they come as packages, from this machine or an "
        "https address; or by WebpiCmd of the host, from a product list of your own (`installers.feed`)."
    )
    source = "The runbook, step 2; Microsoft, 'Install Application Request Routing Version 2', and Windows Installer's error codes"
    sets = (
        "Runs `msiexec` for the packages of `[installers]` that are not there, in the order URL Rewrite, Web Farm Framework, ARR, External "
        "Cache. A package comes in pieces over the same connection into a folder below `%ProgramData%\\lyncarr` that only Administrators "
        "and SYSTEM may use, or the host fetches it from the https URL. Its SHA-256 and its Authenticode signer are compared on the host "
        "while the file is held open against writers, directly before `msiexec` runs. The file is deleted afterwards; the log of `msiexec` "
        'stays in `%ProgramData%\\lyncarr`. For what has no package, where `feed` or `source = "webpi"` say so, it runs `WebpiCmd /Install '
        "/Products:UrlRewrite2 /AcceptEula /SuppressReboot /Log:... /XML:...`, then the same for `ARRv3_0`: neither its exit code nor its "
        "words decide, the product must be there afterwards, and one that takes longer than 20 minutes is ended. The plan tells the way "
        "of each. Items: one for each product (`installed`)."
    )
    never_touches = (
        "What is installed, in any version. It is told by file and registry key and never by a product code, because each build of ARR has "
        "another."
    )
    fails = (
        "`needs step iis` without the role; without a package for what is missing, or without WebpiCmd or its product list on the host; "
        "on Server 2012 R2 without the Universal C Runtime (update KB2999226); with a wrong hash or signer, and then nothing was run; with "
        "the code of `msiexec` and the line of its log that tells why. 3010 and 1641 are success with a restart: exit code 3."
    )
    snippet = "arr.ps1"

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
