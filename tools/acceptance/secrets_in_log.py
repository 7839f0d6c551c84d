"""Is a secret of the site in what PowerShell logged? Searched here, so that no secret goes to the host for it."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

SHORTEST = 6
"""A shorter password is found in any text."""
PIPELINE_INPUT = re.compile(r'\\?"pfx(_password)?\\?"\s*:')
"""The members of the object in which secrets travel. The one-time password of a PFX is known to nobody, but never goes without them."""


def forms(secret: str) -> set[str]:
    """The secret as it is, as JSON writes it, and in base64 without the last characters, which depend on what follows."""
    encoded = {base64.b64encode(secret.encode(code)).decode().rstrip("=")[:-1] for code in ("utf-8", "utf-16-le")}
    return {secret, json.dumps(secret)[1:-1], *encoded}


def found(events: Iterable[Mapping[str, Any]], secrets: Mapping[str, str]) -> list[str]:
    """Names of what was found in the events {"id","text"}: keys of `secrets`, name -> value, or "pipeline input"."""
    listed = list(events)
    # Event 4104 cuts a long script into pieces, one an event.
    texts = [event["text"] for event in listed] + ["".join(event["text"] for event in listed if event["id"] == 4104)]
    names = [name for name, secret in secrets.items() if any(form in text for form in forms(secret) for text in texts)]
    if any(PIPELINE_INPUT.search(text) for text in texts):
        names.append("pipeline input")
    return names
