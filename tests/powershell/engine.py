"""The snippets in a real PowerShell, without the wire: one process, many requests, over the stand-in for IIS' configuration library."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from lyncarr.core.model import Event, Request, Stage, State, StepRequest
from lyncarr.core.plan import steps_of
from lyncarr.powershell.bundle import SHARED, compose, read_snippet
from lyncarr.powershell.protocol import EventReader, encode_request
from lyncarr.steps import STEPS
from tests.patience import HANG_S
from tests.powershell.standin import assembly
from tools.snippets.snippet_coverage import driver_command, to_load

HERE = Path(__file__).parent
RECORDINGS: list[Path | None] = []
"""What each engine of this test run records, if it does: which lines ran. Read by test_coverage.py, the last of this folder."""
STANDINS = Path(__file__).parents[2] / "lyncarr" / "lab" / "real" / "standins"


def composed() -> str:
    """The shipped text with the simulated functions laid over the platform layer."""
    simulated = [path.read_text(encoding="ascii") for path in sorted((HERE / "simulated").glob("*.ps1"))]
    shared = [read_snippet(name) for name in SHARED]
    return compose((*shared, *simulated, *(read_snippet(step.snippet) for step in STEPS)))


class HostDisk:
    """A folder that stands for one host's disk."""

    def __init__(self, folder: Path, config: str | None, *, modules: bool = True) -> None:
        self.inetsrv = folder / "inetsrv"
        self.programdata = folder / "programdata"
        self.programdata.mkdir(parents=True)
        self.configuration = self.inetsrv / "config" / "applicationHost.config"
        if config is not None:
            self.configuration.parent.mkdir(parents=True)
            schema = self.inetsrv / "config" / "schema"
            schema.mkdir()
            for file in (STANDINS / "schema").glob("*.xml"):
                if modules or file.name == "IIS_schema.xml":
                    shutil.copy(file, schema)
            self.configuration.write_bytes(config.encode())

    @property
    def text(self) -> str:
        return self.configuration.read_bytes().decode()

    @property
    def restarts(self) -> int:
        log = self.programdata / "iisreset.log"
        return len(log.read_text().splitlines()) if log.exists() else 0


class Engine:
    """One PowerShell process."""

    def __init__(self, pwsh: str, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        script = folder / "script.ps1"
        script.write_text(composed(), encoding="ascii")
        self.script = to_load(script, folder / "counted.ps1")
        RECORDINGS.append(self.script.recording)
        self.process = subprocess.Popen(
            driver_command(pwsh, HERE / "driver.ps1", [self.script], [str(assembly(pwsh))]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            env={**os.environ},
        )

    def close(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(timeout=HANG_S)

    def send(self, machine: HostDisk, request: Request, *, fresh: bool, pipeline_input: str | None = None) -> list[Event]:
        """The checked events of one request."""
        assert self.process.stdin
        assert self.process.stdout
        case = {
            "script": str(self.script.loaded),
            "fresh": fresh,
            "request": encode_request(request),
            "input": pipeline_input,
            "environment": {
                "LYNCARR_STANDIN_INETSRV": str(machine.inetsrv),
                "LYNCARR_TEST_PROGRAMDATA": str(machine.programdata),
            },
        }
        self.process.stdin.write(json.dumps(case) + "\n")
        self.process.stdin.flush()
        reader = EventReader(request.run, tuple(s.name for s in request.steps), fresh, request.operation)
        events: list[Event] = []
        for line in self.process.stdout:
            if line.rstrip("\n") == "END":
                break
            events += reader.feed(line.rstrip("\n"))
        reader.finish()
        return events


class Session:
    """One shell on one machine, for a site and a selection of stages."""

    def __init__(self, engine: Engine, machine: HostDisk, site: Any, stages: tuple[Stage, ...]) -> None:
        self.engine, self.machine, self.site, self.stages = engine, machine, site, stages
        self.fresh = True

    def _send(self, operation: str, stages: tuple[Stage, ...], lock: bool) -> list[Event]:
        fresh, self.fresh = self.fresh, False
        steps = tuple(StepRequest(s.name, s.desired(self.site), s.parameters(self.site)) for s in steps_of(stages))
        request = Request("11111111-2222-3333-4444-555555555555", operation, steps, lock, {"who": "tests"})
        return self.engine.send(self.machine, request, fresh=fresh)

    def observe(self, lock: bool = True) -> dict[str, State]:
        events = self._send("observe", self.stages, lock)
        failed = [e.data for e in events if e.name == "failed"]
        assert not failed, failed
        self.notes = [e.data for e in events if e.name == "note"]
        return next(e.data["steps"] for e in events if e.name == "observed")

    def apply(self, stages: tuple[Stage, ...] | None = None) -> SimpleNamespace:
        events = self._send("apply", stages or self.stages, True)
        applied = [e.data for e in events if e.name == "applied"]
        failed = [e.data for e in events if e.name == "failed"]
        return SimpleNamespace(events=events, applied=applied[0] if applied else None, failed=failed[0] if failed else None)
