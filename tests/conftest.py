"""Fixtures that every folder uses: which PowerShell is here."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

# The one place, beside .ci/run, that knows the engine which stands beside a development checkout.
BESIDE = Path(__file__).resolve().parents[2] / "shared" / "pwsh"


def engine(variable: str, name: str) -> str | None:
    """Path of the engine: the variable, the one beside the checkout, then PATH."""
    named = os.environ.get(variable)
    if named:
        return named
    if (BESIDE / name).exists():
        return str(BESIDE / name)
    return shutil.which(name)


@pytest.fixture(scope="session")
def pwsh() -> str:
    """A real PowerShell on this system."""
    found = engine("LYNCARR_PWSH", "pwsh")
    if found is None:
        pytest.skip("no PowerShell here ($LYNCARR_PWSH or pwsh on PATH): what the snippets do was not proved")
    return found


@pytest.fixture(scope="session")
def pwsh_wine() -> str:
    """The Windows build of PowerShell on Wine."""
    found = engine("LYNCARR_PWSH_WINE", "pwsh-wine")
    if found is None or not (shutil.which("wine64") or Path("/usr/lib/wine/wine64").exists()):
        pytest.skip("no PowerShell on Wine here ($LYNCARR_PWSH_WINE, wine64): the seam and the unmodified script were not proved")
    return found


# First: xdist reads the groups in the same hook.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """tests/powershell in one worker, each other file in one; the coverage of the snippets is judged when all of it ran."""
    here = Path(__file__).parent
    for item in items:
        folder = item.path.relative_to(here).parts[0]
        item.add_marker(pytest.mark.xdist_group(folder if folder == "powershell" else str(item.path)))
    items.sort(key=lambda item: item.path.name == "test_coverage.py" and item.path.parent.name == "powershell")
