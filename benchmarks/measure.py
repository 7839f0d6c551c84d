"""Runs a tool and measures its cost, in its own process and on the side of the server."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from pypsrp.powershell import RunspacePool
from pypsrp.wsman import WSMan

from benchmarks.costs import Cell, Sample
from benchmarks.hosts import Ground
from benchmarks.link import Link
from benchmarks.sites import PASSWORD_VARIABLE, Endpoint, write_site
from benchmarks.tools import ENVIRONMENT, LYNCARR, OPERATIONS, Lyncarr, Task, Tool, write_task
from lyncarr.lab.wire.server import LabServer

Progress = Callable[[str], None]
LAUNCH = Path(__file__).parent / "launch.py"
LONGEST_S = 600.0
# These limits keep the benchmark short. A run above the first limit is not repeated. A run above the second limit is measured at the
# shortest round-trip time only.
REPEATED_BELOW_S = 5.0
RUN_BELOW_S = 20.0


class BenchmarkHost:
    """The host, the relay before it, and the working folder of the tools."""

    def __init__(self, ground: Ground, lab: LabServer, link: Link, folder: Path) -> None:
        self._ground, self._lab, self._link, self._folder = ground, lab, link, folder
        self._endpoint = Endpoint(lab.address, link.port, lab.user, folder / "ca.pem")
        self._endpoint.ca.write_bytes(lab.ca_file.read_bytes())

    def measure(
        self, settings: int, tools: Sequence[Tool], round_trips_ms: Sequence[int], repeat: int, *, all_of_them: bool, progress: Progress
    ) -> list[Cell]:
        """Measure all tools in all operations. The tools take turns, so that other load on the machine affects all of them.

        Unless `all_of_them`, slow runs are omitted: see REPEATED_BELOW_S and RUN_BELOW_S.
        """
        site = write_site(self._folder, settings, self._endpoint)
        task = write_task(self._folder, site, self._endpoint)
        if len(task.settings) != settings:
            raise AssertionError(f"the site has {len(task.settings)} settings, not {settings}")
        self._finish(site, task)
        cells = [Cell(settings, operation, tool) for operation in OPERATIONS for tool in tools]
        here = [cell for cell in cells if cell.tool.missing is None]
        for round_trip_ms, number, cell in (
            (each, number, cell) for each in sorted(round_trips_ms) for number in range(repeat) for cell in here
        ):
            known = cell.samples.get(round_trip_ms) or next(iter(cell.samples.values()), [])
            limit_s = REPEATED_BELOW_S if number else RUN_BELOW_S
            if not all_of_them and any(earlier.seconds > limit_s for earlier in known):
                continue
            self._link.round_trip_s = round_trip_ms / 1000
            sample = self._run(cell, task)
            progress(f"{settings} settings, {cell.operation}, {cell.tool.name}, {round_trip_ms} ms: {sample.seconds:.2f} s")
            if cell.operation == "apply" and not cell.samples:
                self._compare(cell.tool)
            cell.samples.setdefault(round_trip_ms, []).append(sample)
        return cells

    def command_seconds(self, command: list[str]) -> float:
        """The duration of a command, which must succeed."""
        done, seconds, _ = self._launch(command)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}\n{done.stdout}")
        return seconds

    def shell_seconds(self) -> float:
        """The time to open a remote shell of this host, with the logon but without the start of a tool."""
        self._link.round_trip_s = 0.0
        wsman = WSMan(
            self._endpoint.address,
            port=self._endpoint.port,
            auth="ntlm",
            username=self._endpoint.user,
            password=self._lab.password,
            cert_validation=str(self._endpoint.ca),  # type: ignore[arg-type]  # the documentation allows a path too
            no_proxy=True,
        )
        begun = time.monotonic()
        with wsman, RunspacePool(wsman):
            return time.monotonic() - begun

    def _finish(self, site: Path, task: Task) -> None:
        """Create the finished machine with lyncarr. This run is not measured, because the first run on a machine compiles the stand-ins."""
        self._link.round_trip_s = 0.0
        self._ground.keep(site)
        self._ground.pending()
        self.command_seconds(Lyncarr().command(task, "apply"))
        self._ground.keep(site)

    def _compare(self, tool: Tool) -> None:
        """Verify that a tool did the same work: lyncarr must find no changes."""
        done, _, _ = self._launch([*LYNCARR, "plan", "--host", "rp01"])
        if done.returncode:
            raise RuntimeError(f"{tool.name} left changes that lyncarr would make:\n{done.stdout}")

    def _run(self, cell: Cell, task: Task) -> Sample:
        if cell.operation == "no-op":
            self._ground.finished()
        else:
            self._ground.pending()
        first, connections = len(self._lab.requests), self._lab.connections
        done, seconds, peak_kb = self._launch(cell.tool.command(task, cell.operation))
        if (problem := cell.tool.problem(task, cell.operation, done.returncode, done.stdout)) is not None:
            raise RuntimeError(f"{cell.tool.name}, {cell.operation}, {cell.settings} settings: {problem}\n{done.stdout}")
        records = self._lab.requests[first:]
        return Sample(
            seconds,
            peak_kb,
            len(records),
            self._lab.connections - connections,
            sum(record.action == "Create" for record in records),
            sum(record.bytes_up for record in records),
            sum(record.bytes_down for record in records),
        )

    def _launch(self, command: list[str]) -> tuple[subprocess.CompletedProcess[str], float, int]:
        """Run a command in the folder. Returns its output (both streams), seconds, and peak memory in KiB."""
        with tempfile.NamedTemporaryFile() as result:
            done = subprocess.run(
                [sys.executable, "-I", "-S", str(LAUNCH), result.name, *command],
                cwd=self._folder,
                env={**ENVIRONMENT, PASSWORD_VARIABLE: self._lab.password, "ANSIBLE_HOME": str(self._folder / "ansible")},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=LONGEST_S,
                check=False,
            )
            taken = json.load(result)
        return done, taken["seconds"], taken["peak_kb"]
