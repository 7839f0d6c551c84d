"""Installer packages, checked on this machine: each must be there, complete, and the product that it is given for."""

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
from lyncarr.core.files import FileError, in_words, open_file

MAX_BYTES = 2 * 1024**3
MSI_MAGIC = bytes.fromhex("d0cf11e0a1b11ae1")
"""The first bytes of an MSI, which is an OLE compound file (MS-CFB, section 2.2)."""


@dataclass(frozen=True)
class Installer:
    """One package: either `path`, a file on this machine with its `size` in bytes, or `url`, from which the host downloads.

    `sha256` is in upper case hexadecimal digits.
    """

    role: Role
    name: str
    sha256: str
    path: Path | None = None
    url: str | None = None
    size: int | None = None


class UnknownPackageError(FileError):
    """A package is not one that lyncarr knows, and the configuration file does not give its hash. `sha256` is that hash."""

    def __init__(self, sha256: str) -> None:
        super().__init__("has an unknown SHA-256")
        self.sha256 = sha256


def given_roles(table: Installers) -> tuple[Role, ...]:
    """The packages in the configuration file, in the order of installation."""
    return tuple(role for role in ROLES if table.of(role) is not None)


def read_installer(table: Installers, role: Role) -> Installer:
    """The package that the configuration file gives for `role`. Its hash must be known, or in the configuration file.

    Raises FileError, UnknownPackageError among them.
    """
    given, expected = table.of(role), table.sha256.of(role)
    if isinstance(given, str):
        name = unquote(urlsplit(given).path.rpartition("/")[2])
        return Installer(role, name or f"{role}.msi", cast(str, expected), url=given)
    if given is None:
        raise FileError("is not given")
    actual, size = _hash(given)
    known = _known().get(actual)
    if known is not None and known[0] != role:
        raise FileError(f"is {known[1]}, not {PRODUCTS[role]}", hint=f"Use a package of {PRODUCTS[role]}.")
    if expected is not None and actual != expected:
        raise FileError(
            f"does not match `installers.sha256.{role}`",
            hint=f"Download the package again, or correct the key. The SHA-256 of the file is:\n{actual}",
        )
    if expected is None and known is None:
        raise UnknownPackageError(actual)
    return Installer(role, given.name, actual, path=given, size=size)


def trust_hint(table: Installers, unknown: dict[Role, str], file: Path) -> str:
    """How to trust the `unknown` packages (role -> SHA-256): one table for the configuration file `file`, ready to paste."""
    before = {role: table.sha256.of(role) for role in ROLES}
    hashes = {role: unknown.get(role, before[role]) for role in ROLES}
    lines = ["[installers.sha256]", *(f'{role} = "{digest}"' for role, digest in hashes.items() if digest)]
    action = "replace installers.sha256 by" if any(before.values()) else "add"
    packages = "the original packages" if len(unknown) > 1 else "the original package"
    these = "these files" if len(unknown) > 1 else "this file"
    return "\n".join([f"Download {packages}. Or, to trust {these}, {action} this table in {file}:", *lines])


def _hash(path: Path) -> tuple[str, int]:
    """(SHA-256, size in bytes) of an MSI file."""
    try:
        with open_file(path) as file:
            size = path.stat().st_size
            if size == 0:
                raise FileError("is empty (0 bytes)", hint="Download the package again.")
            if size > MAX_BYTES:
                raise FileError(f"is larger than {in_words(MAX_BYTES)}", hint="Use a Windows Installer package (.msi).")
            if file.read(len(MSI_MAGIC)) != MSI_MAGIC:
                raise FileError(
                    "is not a Windows Installer package (.msi)", hint="Download the .msi file; do not save a web page or a setup program."
                )
            file.seek(0)
            return hashlib.file_digest(file, "sha256").hexdigest().upper(), size
    except OSError as error:
        raise FileError(f"cannot be read ({error.strerror})", detail=str(error)) from None


@cache
def _known() -> dict[str, tuple[Role, str]]:
    """SHA-256 -> (role, product) of Microsoft's packages."""
    data = json.loads(Path(__file__).with_name("known_installers.json").read_text("utf-8"))
    return {sha256: (cast(Role, entry["role"]), entry["product"]) for sha256, entry in data.items()}
