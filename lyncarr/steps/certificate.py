"""The public certificate and its private key."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lyncarr.core.model import Attributes, Secret, State, Step
from lyncarr.steps.trusted_roots import stored_data, stored_state

if TYPE_CHECKING:
    from lyncarr.materials.prepare import Prepared

ITEM = "public certificate"


class Certificate(Step):
    name = "certificate"
    noun = "Certificate"
    title = "The public certificate is in the machine's store with a private key that opens, and its chain is complete."
    reason = (
        "Clients outside see this certificate for every published name, and phones do not fetch missing intermediates. The key belongs to "
        "the machine, so that HTTP.sys can use it whoever is logged on. The PFX is wrapped anew on this machine with a password of its own "
        "for one run, in the form that the host's Windows reads (before Server 2019 that is TripleDES with SHA-1); it crosses the wire "
        "inside the encrypted session and never lies on a disk."
    )
    source = "The runbook, step 3; Microsoft, 'Request and configure certificates for your reverse HTTP proxy in Lync Server 2013'"
    sets = (
        "The certificate of the PFX with its key in LocalMachine\\My, the intermediates of the PFX in LocalMachine\\CA. The key cannot be "
        "exported. Items: `public certificate` (`thumbprint`, `private_key`), and each intermediate (`store`, `thumbprint`). Without "
        "`public` in the site file it wants nothing."
    )
    never_touches = (
        "Older certificates, also for the same name; they are noted. A root inside the PFX is not imported: `trusted_roots` names what is "
        "trusted."
    )
    fails = 'When Windows refuses the import; where it says "access denied", with the advice to log on once at the host with that account.'
    snippet = "certificate.ps1"

    def desired(self, site: Prepared) -> State:
        if site.public is None:
            return {}
        state: dict[str, Attributes] = dict(stored_state(site.public.intermediates))
        state[ITEM] = {"thumbprint": site.public.thumbprint, "private_key": True}
        return state

    def parameters(self, site: Prepared) -> Mapping[str, Any]:
        if site.public is None:
            return {"certificates": {}}
        return {"certificates": stored_data(site.public.intermediates), "name": site.public.subject}

    def secrets(self, site: Prepared, build: int) -> Mapping[str, Secret]:
        if site.public is None:
            return {}
        pfx, password = site.public.pfx_for(build)
        return {"pfx": Secret(base64.b64encode(pfx).decode("ascii")), "pfx_password": password}
