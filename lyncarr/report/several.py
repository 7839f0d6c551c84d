"""One report for several readers: the terminal or JSON, and the log file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from lyncarr.core.converge import Listener
from lyncarr.core.outcome import HostResult


class Report(Listener, Protocol):
    """A Listener that also gets the result of the run."""

    def finish(self, result: HostResult) -> None: ...


class Reports:
    """A Report that passes everything on to each report that was added, in their order."""

    def __init__(self) -> None:
        self._reports: list[Report] = []

    def add(self, report: Report) -> None:
        self._reports.append(report)

    def event(self, host: str, name: str, data: Mapping[str, Any]) -> None:
        for report in self._reports:
            report.event(host, name, data)

    def finish(self, result: HostResult) -> None:
        for report in self._reports:
            report.finish(result)
