"""The simulated host that all tools configure, and its state before a run."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from benchmarks.sites import read_site
from lyncarr.lab.real.wine import WineEngine, WineMachine, default_cache, template
from lyncarr.lab.replay.machine import Machine
from lyncarr.lab.replay.psrp import ReplayEngine
from lyncarr.lab.wire.engine import Engine
from lyncarr.powershell.bundle import shipped
from lyncarr.steps import STAGES, STEPS


class Ground(Protocol):
    """A machine with IIS and ARR. `pending` removes everything that is published; `keep` stores the current state for `finished`."""

    engine: Engine

    def pending(self) -> None: ...
    def keep(self, site: Path) -> None: ...
    def finished(self) -> None: ...


class ReplayGround:
    """Stored states without a PowerShell, to measure only the network cost of lyncarr."""

    def __init__(self) -> None:
        self._machine = Machine()
        self.engine: Engine = ReplayEngine(self._machine, script=shipped())
        self._finished = "{}"

    def pending(self) -> None:
        installed = {step.name for step in STAGES[0].steps}
        states = json.loads(self._finished)
        self._machine.states = {step.name: states.get(step.name, {}) if step.name in installed else {} for step in STEPS}

    def keep(self, site: Path) -> None:
        prepared = read_site(site)
        self._finished = json.dumps({step.name: step.desired(prepared) for step in STEPS}, default=dict)

    def finished(self) -> None:
        self._machine.states = json.loads(self._finished)


class WineGround:
    """Microsoft's PowerShell on Wine with the stand-in for Microsoft.Web.Administration, the same for every tool."""

    def __init__(self, machine: WineMachine) -> None:
        self._machine = machine
        self.engine: Engine = WineEngine(machine)
        self._configuration = machine.inetsrv / "config" / "applicationHost.config"
        self._pending = self._finished = self._configuration.read_bytes()

    def pending(self) -> None:
        self._lay(self._pending)

    def keep(self, site: Path) -> None:
        self._finished = self._configuration.read_bytes()

    def finished(self) -> None:
        self._lay(self._finished)

    def _lay(self, configuration: bytes) -> None:
        self._machine.lay_configuration(configuration)
        (self._machine.drive / "ProgramData" / "lyncarr" / "restart-needed").unlink(missing_ok=True)


@contextlib.contextmanager
def wine_ground(pwsh: str, folder: Path) -> Iterator[WineGround]:
    """A machine in `folder` that stays started. Without a process, Wine would stop the machine and start it again for the next run."""
    machine = template(pwsh, default_cache(), "arr").copy(folder)
    resident = subprocess.Popen(
        machine.program("cmd.exe"),
        env=machine.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield WineGround(machine)
    finally:
        machine.stop()
        resident.communicate()
