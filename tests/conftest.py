"""Fixtures that every folder uses: which PowerShell is here."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The coverage of the snippets is judged when all of tests/powershell ran."""
    items.sort(key=lambda item: item.path.name == "test_coverage.py" and item.path.parent.name == "powershell")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A file to a worker, as --dist loadfile; but tests/powershell to one, because its last test judges what the others recorded."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.split("::", 1)[0]
            return "tests/powershell" if file.startswith("tests/powershell/") else file

    return ByFile(config, log)
