"""Is the host fit for this tool? Asked of the script's first event, before anything else is looked at. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lyncarr.core.errors import RefusedError

OLDEST_BUILD = 9600
OLDEST_POWERSHELL = (4, 0)


def check(hello: Mapping[str, Any]) -> None:
    """Raise RefusedError (exit 77) with the first reason why nothing may be done on this host."""
    name, system = hello["computer"], hello["os"] or "Windows"
    if hello["bits"] != 64:
        raise RefusedError(
            f"The remote shell on {name} is a 32-bit process, which sees other files and another registry; use a 64-bit endpoint."
        )
    if hello["build"] < OLDEST_BUILD:
        raise RefusedError(
            f"{name} runs {system} (build {hello['build']}); lyncarr needs Windows Server 2012 R2 (build {OLDEST_BUILD}) or newer."
        )
    if powershell_version(hello["powershell"]) < OLDEST_POWERSHELL:
        raise RefusedError(
            f"{name} has PowerShell {hello['powershell']}; lyncarr needs 4.0 or newer. Install Windows Management Framework 5.1."
        )
    check_rights(hello)
    if hello["shared_configuration"]:
        raise RefusedError(
            f"IIS on {name} uses shared configuration; a write there would change every server that shares it. "
            "Turn shared configuration off in IIS Manager first."
        )


def check_rights(hello: Mapping[str, Any]) -> None:
    """Raise RefusedError (exit 77) where the session lacks the rights of an administrator."""
    if not hello["elevated"]:
        raise RefusedError(
            f"The session on {hello['computer']} is not elevated. Use the built-in Administrator, or set LocalAccountTokenFilterPolicy to "
            "1 on the host so that other local administrators keep their rights over the network."
        )


def powershell_version(text: str) -> tuple[int, int]:
    """(major, minor) of a version text; (0, 0) where it is none."""
    parts = text.split(".")
    if len(parts) < 2 or not all(part.isascii() and part.isdigit() for part in parts[:2]):
        return (0, 0)
    return (int(parts[0]), int(parts[1]))
