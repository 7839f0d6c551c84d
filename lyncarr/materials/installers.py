"""Installer packages, looked at locally: are they there, whole, and the files that they claim to be?"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import cast
from urllib.parse import unquote, urlsplit

from lyncarr.config.tables import Installers
from lyncarr.config.values import PRODUCTS, ROLES, Role

MAX_BYTES = 2 * 1024**3
MSI_MAGIC = bytes.fromhex("d0cf11e0a1b11ae1")
"""An MSI is an OLE compound file (MS-CFB, section 2.2)."""


@dataclass(frozen=True)
class Installer:
    """One package: either `path`, a file here with its `size` in bytes, or `url`, which the host fetches. `sha256` is upper hex."""

    role: Role
    name: str
    sha256: str
    path: Path | None = None
    url: str | None = None
    size: int | None = None


def given_roles(table: Installers) -> tuple[Role, ...]:
    """The packages that the site file names, in the order of installation."""
    return tuple(role for role in ROLES if table.of(role) is not None)


def read_installer(table: Installers, role: Role) -> Installer:
    """The package `role` of the site file, its hash known or as the site file says. ValueError with a reason for people else."""
    given, expected = table.of(role), table.sha256.of(role)
    if isinstance(given, str):
        name = unquote(urlsplit(given).path.rpartition("/")[2])
        return Installer(role, name or f"{role}.msi", cast(str, expected), url=given)
    if given is None:
        raise ValueError("is missing; expected a file or an https URL")
    actual, size = _hash(given)
    known = _known().get(actual)
    if known is not None and known[0] != role:
        raise ValueError(f"{given.name} is {known[1]}; expected the package of {PRODUCTS[role]}")
    if expected is not None and actual != expected:
        raise ValueError(
            f"{given.name} has the SHA-256 {actual}, not that of installers.sha256.{role}; get the file again, or mend the hash"
        )
    if expected is None and known is None:
        raise ValueError(
            f"{given.name} is none of Microsoft's files that lyncarr knows; get that file, or if you trust this one write "
            f'sha256 = {{ {role} = "{actual}" }}'
        )
    return Installer(role, given.name, actual, path=given, size=size)


def _hash(path: Path) -> tuple[str, int]:
    """(SHA-256, size) of an MSI file."""
    if not path.is_file():
        raise ValueError(f"{path} {'is no file' if path.exists() else 'does not exist'}; expected the package there")
    try:
        size = path.stat().st_size
        if size == 0:
            raise ValueError(f"{path.name} is empty (0 bytes); expected the whole package, download it again")
        if size > MAX_BYTES:
            raise ValueError(f"{path.name} is larger than 2 GB; expected a package of a few MB, is it the right file?")
        with path.open("rb") as file:
            if file.read(len(MSI_MAGIC)) != MSI_MAGIC:
                raise ValueError(f"{path.name} is no MSI package; expected one, was an error page or a setup .exe saved?")
            file.seek(0)
            return hashlib.file_digest(file, "sha256").hexdigest().upper(), size
    except OSError:
        raise ValueError(f"{path} cannot be read; expected a file that you may read") from None


@cache
def _known() -> dict[str, tuple[Role, str]]:
    """SHA-256 -> (role, product) of Microsoft's files."""
    data = json.loads(Path(__file__).with_name("known_installers.json").read_text("utf-8"))
    return {sha256: (cast(Role, entry["role"]), entry["product"]) for sha256, entry in data.items()}
