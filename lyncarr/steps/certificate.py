"""The public certificate and its private key."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lyncarr.core.model import Attribute, Attributes, Secret, State, Step
from lyncarr.steps.trusted_roots import STORED_ATTRIBUTES, stored_data, stored_state

if TYPE_CHECKING:
    from lyncarr.materials.prepare import Prepared

ITEM = "public certificate"


class Certificate(Step):
    name = "certificate"
    noun = "Certificate"
    snippet = "certificate.ps1"
    attributes: Mapping[str, Attribute] = {**STORED_ATTRIBUTES, "private_key": Attribute("private key", true="usable", false="not usable")}

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
