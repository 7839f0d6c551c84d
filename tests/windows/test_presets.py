"""The presets of the replay lab are what the real engine answers. With LYNCARR_RECORD_PRESETS=1 they are written anew."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from lyncarr.config.loader import load_site
from lyncarr.core.model import State
from lyncarr.lab.real.wine import WineEngine, WineMachine
from lyncarr.lab.replay.machine import PRESETS
from lyncarr.lab.site import marks
from lyncarr.lab.wire.server import LabServer
from lyncarr.materials.prepare import prepare
from lyncarr.steps import STAGES
from tests.windows.conftest import MakeMachine
from tests.windows.sites import write_full_site
from tests.windows.test_runbook import lyncarr
from tests.windows.wire import served, shell_on

pytestmark = pytest.mark.wine

# What Wine cannot say of a machine: the name is the Linux host's, and the engine is a newer one than Windows has.
MACHINE = {"computer": "RP01", "os": "Windows Server 2012 R2 Standard", "build": 9600, "powershell": "4.0"}


def look(machine: WineMachine, site: Path) -> dict[str, State]:
    with served(machine) as lab, shell_on(lab) as shell:
        return shell.observe(STAGES, prepare(load_site(site), None), lock=False)


def settle(name: str, states: dict[str, State], site: Path) -> None:
    """Record `states` as the preset `name`, or compare with what is recorded."""
    text = json.dumps(states, indent=2, sort_keys=True)
    for mark, value in marks(site.parent).items():
        # The long ones contain the short ones.
        text = text.replace(value, mark) if len(value) > 8 else re.sub(rf"\b{value}\b", mark, text)
    recorded: dict[str, Any] = {**MACHINE, "steps": json.loads(text)}
    path = PRESETS / f"{name}.json"
    if os.environ.get("LYNCARR_RECORD_PRESETS"):
        path.write_text(json.dumps(recorded, indent=2) + "\n", encoding="utf-8")
    assert json.loads(path.read_text(encoding="utf-8")) == recorded, "record them again: make presets"


def test_blank(make_machine: MakeMachine, tmp_path: Path) -> None:
    machine = make_machine("bare")
    site = write_full_site(tmp_path, machine)
    settle("blank", look(machine, site), site)


def test_finished_and_drifted(make_machine: MakeMachine, tmp_path: Path) -> None:
    machine = make_machine("arr")
    with LabServer(WineEngine(machine)) as lab:
        site = write_full_site(tmp_path, machine, port=lab.https_port, user=lab.user, password=lab.password, ca=lab.ca_file.read_bytes())
        assert lyncarr(site, "provision", "--yes")[0] == 0
    settle("finished", look(machine, site), site)
    drift(machine)
    settle("drifted", look(machine, site), site)


def drift(machine: WineMachine) -> None:
    """Change five values of a finished machine by hand."""
    configuration = machine.inetsrv / "config" / "applicationHost.config"
    text = configuration.read_text(encoding="utf-8")
    for right, wrong in (
        ('timeout="00:15:00"', 'timeout="00:00:30"'),
        ('httpsPort="4443"', 'httpsPort="443"'),
        ('<webFarm name="meet.contoso.com" enabled="true">', '<webFarm name="meet.contoso.com" enabled="false">'),
        ('pattern="dialin.*"', 'pattern="*"'),
        ('<cache enabled="false"', '<cache enabled="true"'),
    ):
        assert right in text
        text = text.replace(right, wrong, 1)
    configuration.write_text(text, encoding="utf-8")
