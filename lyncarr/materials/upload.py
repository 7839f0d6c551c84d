"""Installer packages on their way to the host: read here in pieces that fit into requests."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from lyncarr.core.errors import StepFailedError

if TYPE_CHECKING:
    from lyncarr.materials.installers import Installer

PIECE_BYTES = 225_000
"""300,000 characters in base64, the most that the script takes at once."""


def pieces(installer: Installer) -> Iterator[tuple[int, str]]:
    """(offset in bytes, base64) of each piece of a package with a `path`, in order.

    The file is hashed again while it is read: StepFailedError when it is gone, or not the file any more that was checked before
    the host was contacted. The host hashes what arrived once more before it runs it.
    """
    if installer.path is None:
        raise AssertionError(f"{installer.name} is fetched by the host itself")
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
            f"{installer.path} can no longer be read, so nothing was installed; put it back and run this again.", kind="installer"
        ) from error
    if digest.hexdigest().upper() != installer.sha256:
        raise StepFailedError(
            f"{installer.path} changed while it was sent, so nothing was installed; run lyncarr check, then this again.", kind="installer"
        )
