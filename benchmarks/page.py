"""The table, and its place in docs/benchmarks.md beside the picture."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path

from benchmarks.chart import chart
from benchmarks.measure import Cell

DOCS = Path(__file__).parents[1] / "docs"
BEGIN, END = "<!-- measured: make bench writes this -->", "<!-- end of what was measured -->"
TITLES = {"no-op": "no-op: everything is in place", "plan": "plan: everything is missing, nothing is written", "apply": "full apply: everything is missing"}  # fmt: skip


def table(cells: Sequence[Cell], round_trips_ms: Sequence[int], starts: Mapping[str, float], repeat: int) -> str:
    """Plain text, below 110 columns. The factor behind a time is that of lyncarr's in the same row of the same run."""
    lines = [tool.about for tool in dict.fromkeys(cell.tool for cell in cells)]
    lines += [f"{platform.system()}, {os.cpu_count()} cores, Python {platform.python_version()}; median of {repeat} runs", ""]
    head = "".join(f"{f's at {each} ms':>16}" for each in round_trips_ms)
    for (settings, operation), group in groupby(cells, lambda cell: (cell.settings, cell.operation)):
        rows = list(group)
        lines.append(f"{settings} settings, {TITLES[operation]}")
        lines.append(f"  {'':8}{'requests':>9}{'shells':>7}{'KB up':>8}{'KB down':>8}{head}{'peak MB':>9}")
        lines += [_row(cell, rows[0], round_trips_ms) for cell in rows]
        lines.append("")
    lines += [f"{name:30}{seconds:6.2f} s" for name, seconds in starts.items()]
    lines += [
        f"{f'lyncarr plan, {cell.settings} settings':30}{seconds:6.2f} s"
        for cell in cells
        if cell.operation == "plan" and cell.tool.name == "lyncarr" and (seconds := cell.seconds(0)) is not None
    ]
    return "\n".join(lines)


def _row(cell: Cell, lyncarr: Cell, round_trips_ms: Sequence[int]) -> str:
    if cell.tool.missing:
        return f"  {cell.tool.name:8}{cell.tool.missing:>15}"
    counts = f"{cell.typical(lambda one: one.requests):9}{cell.typical(lambda one: one.shells):7}"
    size = "".join(f"{(cell.typical(figure) or 0) / 1000:8.1f}" for figure in (lambda one: one.bytes_up, lambda one: one.bytes_down))
    times = "".join(f"{_time(cell.seconds(each), lyncarr.seconds(each), cell is lyncarr):>16}" for each in round_trips_ms)
    peak = max(one.peak_kb for group in cell.samples.values() for one in group) / 1024
    return f"  {cell.tool.name:8}{counts}{size}{times}{peak:9.0f}"


def _time(seconds: float | None, lyncarr: float | None, itself: bool) -> str:
    if seconds is None:
        return ""
    factor = "       " if itself or not lyncarr else f" ({seconds / lyncarr:.1f}x)".rjust(7)
    return f"{seconds:.2f}{factor}"


def write(text: str, cells: Sequence[Cell], round_trips_ms: Sequence[int]) -> None:
    """Put the table between its marks, and the picture beside the page."""
    path = DOCS / "benchmarks.md"
    before, _, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    path.write_text(f"{before}{BEGIN}\n\n```text\n{text}\n```\n\n{END}{after}", encoding="utf-8")
    (DOCS / "benchmarks.svg").write_text(chart(cells, round_trips_ms), encoding="utf-8")
