"""A site for the whole runbook: the lab's own, with the packages that a machine takes for signed."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from lyncarr.config.loader import load_site
from lyncarr.lab.real.packages import ARR, PUBLISHER, URL_REWRITE, Package
from lyncarr.lab.real.wine import WineMachine
from lyncarr.lab.site import write_site
from lyncarr.materials.prepare import Prepared, prepare


def write_full_site(
    folder: Path,
    machine: WineMachine,
    *,
    arr: Package = ARR,
    port: int = 5986,
    user: str = "Administrator",
    password: str = "",
    ca: bytes = b"",
) -> Path:
    """Write the site file with all that it names; `arr` takes the place of ARR's package. Returns the file's path."""
    path = write_site(folder, host="rp01", address="127.0.0.1", port=port, user=user, password=password, authority=ca)
    text = path.read_text(encoding="utf-8")
    for package, source in ((URL_REWRITE, URL_REWRITE), (ARR, arr)):
        placeholder = folder / "media" / package.file
        before = sha256(placeholder)
        shutil.copyfile(machine.packages / source.file, placeholder)
        assert before in text
        text = text.replace(before, sha256(placeholder))
    path.write_text(text, encoding="utf-8")
    return path


def full_site(folder: Path, machine: WineMachine, *, arr: Package = ARR, publisher: str = PUBLISHER) -> Prepared:
    """The same, read and checked."""
    path = write_full_site(folder, machine, arr=arr)
    path.write_text(
        path.read_text(encoding="utf-8").replace("[installers]\n", f'[installers]\npublisher = "{publisher}"\n'), encoding="utf-8"
    )
    return prepare(load_site(path), lambda *_: "")


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest().upper()
