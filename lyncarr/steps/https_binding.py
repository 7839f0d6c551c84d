"""The web site and its HTTPS binding: the address on which the proxy listens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lyncarr.core.model import Attribute, State, Step

if TYPE_CHECKING:
    from lyncarr.materials.prepare import Prepared


class HttpsBinding(Step):
    name = "https-binding"
    noun = "HttpsBinding"
    snippet = "https_binding.ps1"
    attributes: Mapping[str, Attribute] = {
        "started": Attribute("started"),
        "autostart": Attribute("starts automatically"),
        "sni": Attribute("SNI", true="on", false="off"),
        "certificate": Attribute("certificate"),
        "store": Attribute("store"),
    }

    def desired(self, site: Prepared) -> State:
        if site.public is None:
            return {}
        return {
            site.website.name: {"started": True, "autostart": True},
            site.website.https: {"sni": False, "certificate": site.public.thumbprint, "store": "MY"},
        }

    def parameters(self, site: Prepared) -> Mapping[str, Any]:
        address = site.website.https.rsplit(":", 2)[0]
        return {
            "site": site.website.name,
            "binding": site.website.https,
            "port": site.website.port,
            "endpoint": f"{'0.0.0.0' if address == '*' else address}:{site.website.port}",  # noqa: S104  HTTP.sys uses this notation for all addresses
        }
