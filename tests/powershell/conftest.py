"""Engine processes that the tests of this folder share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.powershell.engine import Engine


@pytest.fixture(scope="module")
def engine(pwsh: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A PowerShell process for hosts with URL Rewrite and ARR."""
    one = Engine(pwsh, tmp_path_factory.mktemp("engine"))
    yield one
    one.close()


@pytest.fixture(scope="module")
def bare_engine(pwsh: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The same for hosts without them: the schema is read once a process."""
    one = Engine(pwsh, tmp_path_factory.mktemp("bare-engine"))
    yield one
    one.close()


@dataclass(frozen=True)
class Ran:
    """Whether all tests of this folder were asked for."""

    everything: bool


@pytest.fixture
def ran(request: pytest.FixtureRequest) -> Ran:
    here = Path(__file__).parent
    asked = {item.path for item in request.session.items if item.path.parent == here}
    chosen = request.config.getoption("keyword") or request.config.getoption("markexpr") or request.config.getoption("lf", False)
    return Ran(asked == set(here.glob("test_*.py")) and not chosen)
