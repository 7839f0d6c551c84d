"""Simulated Windows servers on Wine, copied from templates that are made once a session."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lyncarr.lab.real.wine import State, System, WineMachine, template

MakeMachine = Callable[..., WineMachine]


@pytest.fixture(scope="session")
def wine_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the templates are: $LYNCARR_WINE_CACHE keeps them for the next session, else they go with pytest's folder."""
    named = os.environ.get("LYNCARR_WINE_CACHE")
    # Beside the workers' own folders, so that all of them share one template.
    return Path(named) if named else tmp_path_factory.getbasetemp().parent / "lyncarr-wine"


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
