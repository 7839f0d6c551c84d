"""The functions of ps_snippets/_windows.ps1 on a simulated Windows server, and the lock between two shells."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Mapping
from pathlib import Path

import pytest
from pypsrp.exceptions import WSManFaultError

from lyncarr.lab.engine import Output
from lyncarr.lab.powershell import PowerShellEngine, PowerShellShell
from lyncarr.lab.server import LabServer
from lyncarr.lab.wine import WineMachine
from lyncarr.powershell.bundle import snippet_folder
from tests.windows import checks
from tests.windows.conftest import MakeMachine
from tests.windows.wire import Shell, shell_on

pytestmark = pytest.mark.wine

OTHER_RUN = "22222222-2222-3333-4444-555555555555"
SCRIPT = Path(__file__).with_name("seam.ps1")


@pytest.fixture(scope="module")
def answers(make_machine: MakeMachine) -> list[str]:
    return checks.run(SCRIPT, make_machine("arr"), "-Snippets", checks.windows_path(Path(str(snippet_folder()))))


@pytest.mark.parametrize("name", checks.names(SCRIPT))
def test_seam(answers: list[str], name: str) -> None:
    checks.verify(answers, name)


def held_by(shell: Shell, *, lock: bool) -> tuple[list[Mapping[str, object]], list[Mapping[str, object]]]:
    """Failures and notes of an observation that asks for no step."""
    events = shell.send("observe", (), lock=lock)
    return [e.data for e in events if e.name == "failed"], [e.data for e in events if e.name == "note"]


class RememberingEngine(PowerShellEngine):
    """Knows the processes that it started, oldest first."""

    def __init__(self, machine: WineMachine) -> None:
        super().__init__([machine.engine], environment=machine.environment())
        self.started: list[PowerShellShell] = []

    def open(self, shell_id: str, creation: bytes, output: Output) -> PowerShellShell:
        self.started.append(super().open(shell_id, creation, output))
        return self.started[-1]


def test_lock(make_machine: MakeMachine) -> None:
    """One process has the lock, others are told who; it is free when that process ends, by the shell's end or by itself."""
    engine = RememberingEngine(make_machine("bare"))
    # The shell whose process is killed cannot be closed any more.
    with LabServer(engine, https=False) as lab, pytest.raises(WSManFaultError), shell_on(lab, OTHER_RUN) as other:  # noqa: PT012
        with shell_on(lab) as first:
            assert held_by(first, lock=True) == ([], [])
            failed, _ = held_by(other, lock=True)
            assert [failure["kind"] for failure in failed] == ["busy"]
            assert re.fullmatch(r"held by tests since \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", str(failed[0]["text"]))
            failed, notes = held_by(other, lock=False)
            assert failed == []
            assert [note["kind"] for note in notes] == ["holder"]
        assert held_by(other, lock=True) == ([], [])

        os.kill(engine.started[0].pid, signal.SIGKILL)
        with shell_on(lab) as third:
            assert held_by(third, lock=True) == ([], [])
