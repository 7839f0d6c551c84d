"""Checks whether lyncarr supports a host, by the first event of the script. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lyncarr.core.errors import RefusedError

OLDEST_BUILD = 9600
OLDEST_POWERSHELL = (4, 0)


def check(hello: Mapping[str, Any]) -> None:
    """Raise RefusedError (exit 77) with the first reason why lyncarr must not work on this host."""
    name, system = hello["computer"], hello["os"] or "Windows"
    if hello["bits"] != 64:
        raise RefusedError(
            f"The remote shell on {name} is a 32-bit process, which sees other files and another registry.",
            hint="Use a 64-bit endpoint.",
        )
    if hello["build"] < OLDEST_BUILD:
        raise RefusedError(
            f"Unsupported Windows version: {name} runs {system} (build {hello['build']}).",
            hint=f"Use Windows Server 2012 R2 (build {OLDEST_BUILD}) or newer.",
        )
    if powershell_version(hello["powershell"]) < OLDEST_POWERSHELL:
        raise RefusedError(
            f"Unsupported PowerShell version: {name} has PowerShell {hello['powershell']}; lyncarr requires 4.0 or newer.",
            hint="Install Windows Management Framework 5.1.",
        )
    check_rights(hello)
    if hello["shared_configuration"]:
        raise RefusedError(
            f"IIS on {name} uses shared configuration; a write would change every server that shares it.",
            hint="Turn off shared configuration in IIS Manager, then run the command again.",
        )


def check_rights(hello: Mapping[str, Any]) -> None:
    """Raise RefusedError (exit 77) where the session does not have the rights of an administrator."""
    if not hello["elevated"]:
        raise RefusedError(
            f"The session on {hello['computer']} is not elevated.",
            hint="Use the built-in Administrator account, or set LocalAccountTokenFilterPolicy to 1 on the host: "
            "other local administrators then keep their rights over the network.",
        )


def powershell_version(text: str) -> tuple[int, int]:
    """(major, minor) of a version text; (0, 0) where it is none."""
    parts = text.split(".")
    if len(parts) < 2 or not all(part.isascii() and part.isdigit() for part in parts[:2]):
        return (0, 0)
    return (int(parts[0]), int(parts[1]))
