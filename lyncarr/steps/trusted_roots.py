"""The authorities that the proxy trusts."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from lyncarr.core.model import State, Step

if TYPE_CHECKING:
    from lyncarr.materials.certificates import RootCertificate
    from lyncarr.materials.prepare import Prepared


def stored_state(certificates: Iterable[RootCertificate]) -> State:
    """Desired state of certificates without a key (materials.certificates.RootCertificate), told apart by their labels."""
    return {one.label: {"store": one.store, "thumbprint": one.thumbprint} for one in certificates}


def stored_data(certificates: Iterable[RootCertificate]) -> Mapping[str, str]:
    """The certificates themselves by label, DER in base64."""
    return {one.label: base64.b64encode(one.der).decode("ascii") for one in certificates}


class TrustedRoots(Step):
    name = "trusted-roots"
    noun = "TrustedRoots"
    snippet = "trusted_roots.ps1"

    def desired(self, site: Prepared) -> State:
        return stored_state(site.roots)

    def parameters(self, site: Prepared) -> Mapping[str, Any]:
        return {"certificates": stored_data(site.roots)}
