"""The picture: one bar for each tool, operation and size, with the seconds at each round-trip time behind each other."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import groupby

from benchmarks.costs import Cell

WIDTH, LEFT, RIGHT = 860, 110, 150
BAR, GAP, GROUP = 14, 5, 28
COLOURS = {"lyncarr": "#1a7f5a", "pypsrp": "#3b73b9", "pywinrm": "#a8641c", "Ansible": "#8a4fa3"}
# Readable on a white and on a black page.
STYLE = "text{font:12px sans-serif;fill:#57606a}.h{font-weight:bold}@media(prefers-color-scheme:dark){text{fill:#adb5bd}}"


def chart(cells: Sequence[Cell], round_trips_ms: Sequence[int]) -> str:
    """An SVG with a title and a description for readers who cannot see it. Each number of settings has its own scale."""
    ordered = sorted(round_trips_ms)
    parts: list[str] = []
    y = 20
    for settings, of_size in groupby(cells, lambda cell: cell.settings):
        measured = [cell for cell in of_size if not cell.tool.missing]
        longest = max(cell.time(each).seconds for cell in measured for each in ordered)
        scale = (WIDTH - LEFT - RIGHT) / longest
        for operation, group in groupby(measured, lambda cell: cell.operation):
            parts.append(_text(0, y, f"{settings} settings, {operation}", "h"))
            y += GAP
            for cell in group:
                parts.append(_text(12, y + BAR - 3, cell.tool.name))
                seconds = [cell.time(each).seconds for each in ordered]
                parts += _bar(y, seconds, scale, COLOURS[cell.tool.name])
                parts.append(_text(LEFT + seconds[-1] * scale + 6, y + BAR - 3, " / ".join(f"{each:.1f}" for each in seconds) + " s"))
                y += BAR + GAP
            y += GROUP
    times = ", ".join(str(each) for each in ordered)
    title = f"Seconds at round-trip times of {times} ms, lyncarr and its peers"
    described = "; ".join(
        f"{cell.settings} settings, {cell.operation}, {cell.tool.name}: "
        + ", ".join(f"{cell.time(each).seconds:.1f} s at {each} ms" for each in ordered)
        for cell in cells
        if not cell.tool.missing
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" width="{WIDTH}" height="{y}" role="img" '
        f'aria-labelledby="title desc">\n<title id="title">{escape(title)}</title>\n<desc id="desc">{escape(described)}</desc>\n'
        f"<style>{STYLE}</style>\n" + "\n".join(parts) + "\n</svg>\n"
    )


def _bar(y: int, seconds: Sequence[float], scale: float, colour: str) -> list[str]:
    """The rectangles of one bar. The longest time is drawn first and is the palest, so that the shorter times cover it."""
    shades = [1.0, 0.55, 0.3, 0.2, 0.15]
    return [
        f'<rect x="{LEFT}" y="{y}" width="{each * scale:.1f}" height="{BAR}" fill="{colour}" fill-opacity="{shades[min(at, 4)]}"/>'
        for at, each in reversed(list(enumerate(seconds)))
    ]


def _text(x: float, y: float, text: str, kind: str = "") -> str:
    return f'<text x="{x:.0f}" y="{y}"' + (f' class="{kind}"' if kind else "") + f">{escape(text)}</text>"
