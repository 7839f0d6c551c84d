"""Installer packages for the host: read in pieces that fit into requests."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from lyncarr.core.errors import StepFailedError

if TYPE_CHECKING:
    from lyncarr.materials.installers import Installer

PIECE_BYTES = 225_000
"""The size of a piece in bytes: 300,000 characters in base64, the most that the script accepts in one request."""


def pieces(installer: Installer) -> Iterator[tuple[int, str]]:
    """(offset in bytes, base64) of each piece of a package with a `path`, in order.

    The file is hashed again while it is read. Raises StepFailedError where it was removed, or changed since the check before the
    connection. The host hashes what it received before it runs the package.
    """
    if installer.path is None:
        raise AssertionError(f"{installer.name} is downloaded by the host")
    digest = hashlib.sha256()
    offset = 0
    try:
        with installer.path.open("rb") as file:
            while piece := file.read(PIECE_BYTES):
                digest.update(piece)
                yield offset, base64.b64encode(piece).decode("ascii")
                offset += len(piece)
    except OSError as error:
        raise StepFailedError(
            f"{installer.path} can no longer be read, so nothing was installed.",
            hint="Restore the file, and run the command again.",
            kind="installer",
            detail=str(error),
        ) from error
    if digest.hexdigest().upper() != installer.sha256:
        raise StepFailedError(
            f"{installer.path} changed during the upload, so nothing was installed.",
            hint="Run lyncarr check, and then the command again.",
            kind="installer",
        )
