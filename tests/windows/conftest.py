"""Simulated Windows servers on Wine, copied from templates that are made once a session."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lyncarr.lab.real.wine import State, System, WineMachine, default_cache, template

KEPT = default_cache()
"""Outside the checkout: a template has links to the whole disk, and a build of the source archive would follow them."""

MakeMachine = Callable[..., WineMachine]


@pytest.fixture(scope="session")
def wine_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the templates, which all workers and the next sessions share: that of the lab, by default in the user's cache folder.

    A copy of a template has hard links to its files. So where that folder and pytest's are on different disks, it is in pytest's.
    """
    named = os.environ.get("LYNCARR_WINE_CACHE")
    if named:
        return Path(named)
    session = tmp_path_factory.getbasetemp()
    kept = KEPT / _wine()
    kept.mkdir(parents=True, exist_ok=True)
    return kept if _linkable(kept, session) else session.parent / "lyncarr-wine"


def _wine() -> str:
    """A name that changes with the version of Wine."""
    program = shutil.which("wine64") or "/usr/lib/wine/wine64"
    status = Path(program).resolve().stat()
    return f"wine-{status.st_size}-{status.st_mtime_ns}"


def _linkable(folder: Path, other: Path) -> bool:
    """Whether a file of `folder` can have a hard link in `other`."""
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        try:
            os.link(file.name, other / Path(file.name).name)
        except OSError:
            return False
    return True


@pytest.fixture(scope="module")
def make_machine(pwsh_wine: str, wine_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeMachine]:
    """Makes a machine in a state; all are ended with the module."""
    made: list[WineMachine] = []

    def make(state: State = "bare", system: System = "2012r2") -> WineMachine:
        machine = template(pwsh_wine, wine_cache, state, system).copy(tmp_path_factory.mktemp(state))
        made.append(machine)
        return machine

    yield make
    for machine in made:
        machine.stop()
