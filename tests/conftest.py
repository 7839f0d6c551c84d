"""Fixtures that every folder uses: which PowerShell is here."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.platforms import ON_WINE

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
    if os.name != "posix":
        pytest.skip("POSIX: the PowerShell of the tests")
    found = engine("LYNCARR_PWSH", "pwsh")
    if found is None:
        pytest.skip("no PowerShell here ($LYNCARR_PWSH or pwsh on PATH): what the snippets do was not proved")
    return found


@pytest.fixture(scope="session")
def pwsh_wine() -> str:
    """The Windows build of PowerShell on Wine."""
    found = engine("LYNCARR_PWSH_WINE", "pwsh-wine")
    if found is None or not (shutil.which("wine64") or Path("/usr/lib/wine/wine64").exists()):
        pytest.skip("no PowerShell on Wine here ($LYNCARR_PWSH_WINE, wine64): the platform layer and the unmodified script were not proved")
    return found


@pytest.fixture(scope="session", autouse=True)
def tmp_is_safe_on_wine() -> Iterator[None]:
    """Access lists have no sticky bit, so Wine shows /tmp as a folder in which everyone can replace the Python of the tests."""
    if not ON_WINE:
        yield
        return
    from lyncarr.secrets import acl

    real = acl.writers_of
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(acl, "writers_of", lambda path, rights: () if path == Path("Z:/tmp") else real(path, rights))
        yield


LONGEST_FIRST = (
    "tests/powershell",
    "tests/lab/test_other_system.py",
    "tests/windows/test_sweep.py",
    "tests/lab/test_sweep.py",
    "tests/windows/test_platform.py",
    "tests/windows/test_webpi.py",
    "tests/windows/test_runbook.py",
    "tests/windows/test_command_line.py",
    "tests/lab/test_transport.py",
    "tests/windows",
    "tests/lab",
    "tests/docs",
)
"""Files and folders of tests, in the order in which they begin: what takes minutes must not begin last. All others follow."""


def unit(nodeid: str) -> str:
    """What one worker runs as a whole: a file; but all of tests/powershell, because its last test judges what the others recorded."""
    file = nodeid.split("::", 1)[0]
    return "tests/powershell" if file.startswith("tests/powershell/") else file


def _begins(item: pytest.Item) -> tuple[int, bool]:
    whole = unit(item.nodeid)
    rank = next((n for n, name in enumerate(LONGEST_FIRST) if whole == name or whole.startswith(f"{name}/")), len(LONGEST_FIRST))
    return rank, whole == "tests/powershell" and item.path.name == "test_coverage.py"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files begin first, and the coverage of the snippets is judged when all of tests/powershell ran."""
    items.sort(key=_begins)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A unit to a worker, in the order of pytest_collection_modifyitems."""
    from xdist.scheduler import LoadScopeScheduling

    class ByUnit(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return unit(nodeid)

    # xdist's own order is by the number of tests, and the longest files have few.
    config.option.loadscopereorder = False
    return ByUnit(config, log)
