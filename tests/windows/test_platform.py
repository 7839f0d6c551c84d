"""The functions of ps_snippets/_windows/ on a simulated Windows server, and the lock between two shells."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
from collections.abc import Mapping
from pathlib import Path

import pytest
from pypsrp.exceptions import WSManFaultError

from lyncarr.lab.real.powershell import PowerShellShell
from lyncarr.lab.real.wine import WineEngine, WineMachine
from lyncarr.lab.wire.engine import Output
from lyncarr.lab.wire.server import LabServer
from lyncarr.powershell.bundle import WINDOWS, snippet_folder
from lyncarr.steps.certificate import Certificate
from tests.windows import checks
from tests.windows.conftest import MakeMachine
from tests.windows.sites import full_site
from tests.windows.wire import Sender, shell_on
from tools.snippets.report import layer_parts, misjudged
from tools.snippets.snippet_coverage import NEEDED, finished

pytestmark = pytest.mark.wine

OTHER_RUN = "22222222-2222-3333-4444-555555555555"
SCRIPT = Path(__file__).with_name("platform.ps1")
INSTALL_SCRIPT = Path(__file__).with_name("platform_install.ps1")
SNIPPETS = Path(str(snippet_folder()))


@pytest.fixture(scope="module")
def answers(make_machine: MakeMachine) -> checks.Answers:
    return checks.run(SCRIPT, make_machine("arr"), SNIPPETS, WINDOWS)


@pytest.fixture(scope="module")
def install_answers(make_machine: MakeMachine, tmp_path_factory: pytest.TempPathFactory) -> checks.Answers:
    machine = make_machine("arr")
    folder = tmp_path_factory.mktemp("site")
    site = full_site(folder, machine)
    assert site.public is not None
    values = {name: secret.reveal() for name, secret in Certificate().secrets(site, 9600).items()}
    values["thumbprint"] = site.public.thumbprint
    values["root"] = base64.b64encode((folder / "certs" / "contoso-root.cer").read_bytes()).decode()
    given = folder / "given.json"
    given.write_text(json.dumps(values))
    return checks.run(INSTALL_SCRIPT, machine, SNIPPETS, WINDOWS, checks.windows_path(given))


@pytest.mark.parametrize("name", checks.names(SCRIPT))
def test_platform_layer(answers: checks.Answers, name: str) -> None:
    checks.verify(answers.lines, name)


@pytest.mark.parametrize("name", checks.names(INSTALL_SCRIPT))
def test_platform_layer_of_the_install_steps(install_answers: checks.Answers, name: str) -> None:
    checks.verify(install_answers.lines, name)


def test_every_statement_ran(answers: checks.Answers, install_answers: checks.Answers) -> None:
    """What runs nowhere is known by name and reason; see excused()."""
    recordings = finished([answers.recording, install_answers.recording])
    if not recordings:
        pytest.skip(NEEDED)
    assert list(misjudged(layer_parts(recordings, WINDOWS))) == []


def held_by(shell: Sender, *, lock: bool) -> tuple[list[Mapping[str, object]], list[Mapping[str, object]]]:
    """Failures and notes of an observation that asks for no step."""
    events = shell.send("observe", (), lock=lock)
    return [e.data for e in events if e.name == "failed"], [e.data for e in events if e.name == "note"]


class RememberingEngine(WineEngine):
    """Knows the processes that it started, oldest first."""

    def __init__(self, machine: WineMachine) -> None:
        super().__init__(machine)
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
