"""The measurements: samples, and the cells of the table, which combine them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from benchmarks.tools import Operation, Tool

# Before its first request, a connection needs one round trip for TCP and one for TLS 1.3.
HANDSHAKES = 2


@dataclass(frozen=True)
class Sample:
    """One run. `peak_kb` is the largest process of the tool; bytes are HTTP headers and bodies, without TLS."""

    seconds: float
    peak_kb: int
    requests: int
    connections: int
    shells: int
    bytes_up: int
    bytes_down: int


@dataclass(frozen=True)
class Time:
    """Seconds, measured or computed."""

    seconds: float
    measured: bool = True


@dataclass
class Cell:
    """The runs of one tool in one operation: round-trip time in ms -> samples. There are none if the tool is missing."""

    settings: int
    operation: Operation
    tool: Tool
    samples: dict[int, list[Sample]] = field(default_factory=dict)

    def time(self, round_trip_ms: int) -> Time:
        """The median of the runs, or the result of compute() if there are none."""
        samples = self.samples.get(round_trip_ms)
        return Time(_median(samples)) if samples else Time(self.compute(round_trip_ms), measured=False)

    def compute(self, round_trip_ms: int) -> float:
        """Seconds at the shortest round-trip time, plus the round trips.

        The result is too high by the work of the host while a response travels: at most one round trip for each pipeline or process.
        """
        shortest = min(self.samples)
        round_trips = self.typical(lambda sample: sample.requests + HANDSHAKES * sample.connections)
        return _median(self.samples[shortest]) + round_trips * (round_trip_ms - shortest) / 1000

    def typical(self, figure: Callable[[Sample], int]) -> int:
        """The median over all round-trip times. Requests and bytes do not depend on them, except for an occasional extra Receive."""
        return statistics.median_low(figure(sample) for group in self.samples.values() for sample in group)

    @property
    def peak_kb(self) -> int:
        return max(sample.peak_kb for group in self.samples.values() for sample in group)


def _median(samples: Iterable[Sample]) -> float:
    return statistics.median(sample.seconds for sample in samples)
