"""The address at which the proxy answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lyncarr.core.model import State, Step

if TYPE_CHECKING:
    from lyncarr.materials.prepare import Prepared


class HttpsBinding(Step):
    name = "https-binding"
    noun = "HttpsBinding"
    title = (
        "The web site has an HTTPS binding with the public certificate, for all addresses and names, and is started, now and with Windows."
    )
    reason = (
        "One binding without host name answers for every published name, also to clients that send no SNI; the rules tell the names "
        "apart. When the certificate changes the binding stays and only its record in HTTP.sys is renewed."
    )
    source = "The runbook, step 4; Microsoft, 'Adding an HTTPS binding', and the reference of `site/bindings/binding` (sslFlags)"
    sets = (
        "The binding of `[website]`, without SNI, with the certificate, and starts the site, at once and with Windows. A binding for the "
        "same address without a `*` (`:443:`), as some installers write it, is taken: with both the site would not start. Items: the "
        "site's name (`started`, `autostart`) and the binding (`sni`, `certificate`, `store`). Without `public` in the site file it wants "
        "nothing."
    )
    never_touches = (
        "Other bindings and sites, and HTTP.sys records of other addresses. Another site on the same port, and a record of HTTP.sys that "
        "IIS does not know, are noted: they may take requests away."
    )
    fails = (
        "`needs step iis`; `needs step certificate` where the certificate or its key is not in the store; where the site does not exist "
        "(the sites that do are named); where the site does not start."
    )
    snippet = "https_binding.ps1"

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
            "endpoint": f"{'0.0.0.0' if address == '*' else address}:{site.website.port}",  # noqa: S104  as HTTP.sys calls all addresses
        }
