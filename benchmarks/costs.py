"""What was measured: samples, and the cells of the table that they make."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from benchmarks.tools import Operation, Tool

# Before its first request a connection goes back and forth once for TCP and once for TLS 1.3.
HANDSHAKES = 2


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


@dataclass(frozen=True)
class Time:
    """Seconds, measured or else computed."""

    seconds: float
    measured: bool = True


@dataclass
class Cell:
    """The runs of one tool in one operation: round-trip time in ms -> samples, none where the tool is missing."""

    settings: int
    operation: Operation
    tool: Tool
    samples: dict[int, list[Sample]] = field(default_factory=dict)

    def time(self, round_trip_ms: int) -> Time:
        """The median of the runs; where there are none, what reckon() says."""
        samples = self.samples.get(round_trip_ms)
        return Time(_median(samples)) if samples else Time(self.reckon(round_trip_ms), measured=False)

    def reckon(self, round_trip_ms: int) -> float:
        """Seconds at the shortest round-trip time, and the round trips on top.

        Too many by what the host does while an answer is under way: at most one round trip for each pipeline or process.
        """
        shortest = min(self.samples)
        round_trips = self.typical(lambda one: one.requests + HANDSHAKES * one.connections)
        return _median(self.samples[shortest]) + round_trips * (round_trip_ms - shortest) / 1000

    def typical(self, figure: Callable[[Sample], int]) -> int:
        """The median over all round-trip times, of which requests and bytes are independent but for a Receive more or less."""
        return statistics.median_low(figure(one) for group in self.samples.values() for one in group)

    @property
    def peak_kb(self) -> int:
        return max(one.peak_kb for group in self.samples.values() for one in group)


def _median(samples: Iterable[Sample]) -> float:
    return statistics.median(one.seconds for one in samples)
