"""The table, and the part of docs/benchmarks.md that contains it."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path

from benchmarks.chart import chart
from benchmarks.costs import Cell, Time

DOCS = Path(__file__).parents[1] / "docs"
BEGIN, END = "<!-- measured: make bench writes this -->", "<!-- end of what was measured -->"
TITLES = {
    "no-op": "no-op: all settings are correct",
    "plan": "plan: all settings are missing, nothing is written",
    "apply": "full apply: all settings are missing",
}


def table(cells: Sequence[Cell], round_trips_ms: Sequence[int], starts: Mapping[str, float], repeat: int) -> str:
    """Plain text of less than 110 columns. The factor behind a time compares with lyncarr above it in the same run."""
    lines = ["Measured:", *(f"  {tool.about}" for tool in dict.fromkeys(cell.tool for cell in cells))]
    runs = f"the median of {repeat} runs" if repeat > 1 else "one run of each"
    lines += [f"  on {platform.system()}, {os.cpu_count()} cores, Python {platform.python_version()}; {runs}", ""]
    head = "".join(f"{f's at {each} ms':>16}" for each in round_trips_ms)
    for (settings, operation), group in groupby(cells, lambda cell: (cell.settings, cell.operation)):
        rows = list(group)
        lines.append(f"{settings} settings, {TITLES[operation]}")
        lines.append(f"  {'':8}{'requests':>9}{'conn.':>6}{'shells':>7}{'KB up':>8}{'KB down':>8}{head}{'peak MB':>9}")
        lines += [_row(cell, rows[0], round_trips_ms) for cell in rows]
        lines.append("")
    measured = [cell for cell in cells if not cell.tool.missing]
    if not all(cell.time(each).measured for cell in measured for each in round_trips_ms):
        off = f"{_off(measured, round_trips_ms):.0%}"
        lines += [
            f"~ computed: seconds at {min(round_trips_ms)} ms plus the round trips; where both are known, they differ by at most {off}",
            "",
        ]
    plans = {
        f"lyncarr plan, {cell.settings} settings": cell.time(0).seconds
        for cell in measured
        if cell.operation == "plan" and cell.tool.name == "lyncarr" and 0 in cell.samples
    }
    lines += ["Without network latency:", *(f"  {name:30}{seconds:6.2f} s" for name, seconds in {**starts, **plans}.items())]
    return "\n".join(lines)


def _row(cell: Cell, lyncarr: Cell, round_trips_ms: Sequence[int]) -> str:
    if cell.tool.missing:
        return f"  {cell.tool.name:8}{cell.tool.missing:>15}"
    requests, connections, shells, up, down = (
        cell.typical(figure)
        for figure in (
            lambda sample: sample.requests,
            lambda sample: sample.connections,
            lambda sample: sample.shells,
            lambda sample: sample.bytes_up,
            lambda sample: sample.bytes_down,
        )
    )
    times = "".join(f"{_time(cell.time(each), lyncarr.time(each), cell is lyncarr):>16}" for each in round_trips_ms)
    return f"  {cell.tool.name:8}{requests:9}{connections:6}{shells:7}{up / 1000:8.1f}{down / 1000:8.1f}{times}{cell.peak_kb / 1024:9.0f}"


def _time(taken: Time, lyncarr: Time, itself: bool) -> str:
    factor = "" if itself else f"({taken.seconds / lyncarr.seconds:.1f}x)"
    return f"{'' if taken.measured else '~'}{taken.seconds:.2f} {factor:>7}"


def _off(cells: Sequence[Cell], round_trips_ms: Sequence[int]) -> float:
    """The largest relative difference between a computed time and the measured time."""
    return max(
        (abs(cell.compute(each) / taken.seconds - 1) for cell in cells for each in round_trips_ms if (taken := cell.time(each)).measured),
        default=0.0,
    )


def write(text: str, cells: Sequence[Cell], round_trips_ms: Sequence[int]) -> None:
    """Write the table between its marks, and the picture beside the page."""
    path = DOCS / "benchmarks.md"
    before, _, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    path.write_text(f"{before}{BEGIN}\n\n```text\n{text}\n```\n\n{END}{after}", encoding="utf-8")
    (DOCS / "benchmarks.svg").write_text(chart(cells, round_trips_ms), encoding="utf-8")
