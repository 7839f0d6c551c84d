"""The certificate authorities that the proxy trusts."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from lyncarr.core.model import Attribute, State, Step

if TYPE_CHECKING:
    from lyncarr.materials.certificates import RootCertificate
    from lyncarr.materials.prepare import Prepared


STORED_ATTRIBUTES = {"store": Attribute("store"), "thumbprint": Attribute("thumbprint")}
"""The attributes of `stored_state`."""


def stored_state(certificates: Iterable[RootCertificate]) -> State:
    """Desired state of certificates without a private key. The items are their labels."""
    return {authority.label: {"store": authority.store, "thumbprint": authority.thumbprint} for authority in certificates}


def stored_data(certificates: Iterable[RootCertificate]) -> Mapping[str, str]:
    """Label -> certificate as DER in base64."""
    return {authority.label: base64.b64encode(authority.der).decode("ascii") for authority in certificates}


class TrustedRoots(Step):
    name = "trusted-roots"
    noun = "TrustedRoots"
    snippet = "trusted_roots.ps1"
    attributes = STORED_ATTRIBUTES

    def desired(self, site: Prepared) -> State:
        return stored_state(site.roots)

    def parameters(self, site: Prepared) -> Mapping[str, Any]:
        return {"certificates": stored_data(site.roots)}
