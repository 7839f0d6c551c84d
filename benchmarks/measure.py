"""Runs a tool once and takes what it cost, in its own process and on the server's side of the wire."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.hosts import Ground
from benchmarks.link import Link
from benchmarks.sites import PASSWORD_VARIABLE, write_site
from benchmarks.tools import ENVIRONMENT, LYNCARR, OPERATIONS, Lyncarr, Operation, Task, Tool, write_task
from lyncarr.lab.server import LabServer

LAUNCH = Path(__file__).parent / "launch.py"
LONGEST_S = 600.0
# What takes longer is not repeated: it is beyond doubt, and the whole must end while somebody waits.
REPEATED_BELOW_S = 10.0


@dataclass(frozen=True)
class Sample:
    """One run. `peak_kb` is the largest process of the tool; bytes are HTTP heads and bodies, without TLS."""

    seconds: float
    peak_kb: int
    requests: int
    connections: int
    shells: int
    bytes_up: int
    bytes_down: int


@dataclass
class Cell:
    """The runs of one tool in one operation: round-trip time in ms -> samples."""

    settings: int
    operation: Operation
    tool: Tool
    samples: dict[int, list[Sample]] = field(default_factory=dict)

    def seconds(self, round_trip_ms: int) -> float | None:
        """The median, None where the tool is not here."""
        samples = self.samples.get(round_trip_ms)
        return statistics.median(one.seconds for one in samples) if samples else None

    def typical(self, figure: Callable[[Sample], int]) -> int | None:
        """The median over all round-trip times, of which requests and bytes are independent but for a Receive more or less."""
        samples = [figure(one) for group in self.samples.values() for one in group]
        return statistics.median_low(samples) if samples else None


class Bench:
    """The host, the wire before it, and the folder that the tools run in."""

    def __init__(self, ground: Ground, lab: LabServer, link: Link, folder: Path) -> None:
        self._ground, self._lab, self._link, self._folder = ground, lab, link, folder
        (folder / "ca.pem").write_bytes(lab.ca_file.read_bytes())

    def measure(
        self, settings: int, tools: Sequence[Tool], round_trips_ms: Iterable[int], repeat: int, progress: Callable[[str], None]
    ) -> list[Cell]:
        """All tools in all operations. Tools take turns, so that a noisy minute hits all of them."""
        endpoint = {"address": self._lab.address, "port": self._link.port, "user": self._lab.user}
        site = write_site(self._folder, settings, **endpoint)
        task = write_task(self._folder, site, **endpoint)
        if len(task.settings) != settings:
            raise AssertionError(f"the site has {len(task.settings)} settings, not {settings}")
        self._finish(site, task)
        cells = [Cell(settings, operation, tool) for operation in OPERATIONS for tool in tools]
        for round_trip_ms in round_trips_ms:
            self._link.round_trip_s = round_trip_ms / 1000
            for number in range(repeat):
                for cell in cells:
                    before = cell.samples.setdefault(round_trip_ms, [])
                    if cell.tool.missing or any(one.seconds > REPEATED_BELOW_S for one in before):
                        continue
                    before.append(self._run(cell, task))
                    progress(f"{settings} settings, {cell.operation}, {cell.tool.name}, {round_trip_ms} ms, run {number + 1}")
                    if cell.operation == "apply" and not before[1:]:
                        self._compare(cell.tool)
        return cells

    def time(self, command: list[str], codes: tuple[int, ...] = (0,)) -> float:
        """Seconds that a command takes by itself."""
        done, seconds, _ = self._launch(command)
        if done.returncode not in codes:
            raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}\n{done.stdout}")
        return seconds

    def _finish(self, site: Path, task: Task) -> None:
        """The finished machine is made by lyncarr, and not measured: the first run on a machine compiles the stand-ins."""
        self._link.round_trip_s = 0.0
        self._ground.keep(site)
        self._ground.pending()
        self.time(Lyncarr().command(task, "apply"))
        self._ground.keep(site)

    def _compare(self, peer: Tool) -> None:
        """A peer that did something else was not measured at the same work: lyncarr must find nothing left to do."""
        done, _, _ = self._launch([*LYNCARR, "plan", "--host", "rp01"])
        if done.returncode:
            raise RuntimeError(f"what {peer.name} made is not what lyncarr would have made:\n{done.stdout}")

    def _run(self, cell: Cell, task: Task) -> Sample:
        if cell.operation == "no-op":
            self._ground.finished()
        else:
            self._ground.pending()
        first, connections = len(self._lab.requests), self._lab.connections
        done, seconds, peak_kb = self._launch(cell.tool.command(task, cell.operation))
        if (complaint := cell.tool.complaint(task, cell.operation, done.returncode, done.stdout)) is not None:
            raise RuntimeError(f"{cell.tool.name}, {cell.operation}, {cell.settings} settings: {complaint}\n{done.stdout}")
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
        """Run it in the folder; its two outputs together, seconds and peak memory in KiB."""
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
