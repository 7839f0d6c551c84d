"""Line coverage of the snippets inside a composed script, from what coverage.ps1 recorded.

A driver runs under it as `coverage_command(pwsh, script, output, driver, arguments)`; when the driver ends, `output` exists.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

RECORDER = Path(__file__).resolve().parent / "coverage.ps1"


@dataclass(frozen=True)
class Coverage:
    """Line numbers of one snippet: those that begin a statement, and those of them that never ran."""

    lines: tuple[int, ...]
    missed: tuple[int, ...]


def coverage_command(pwsh: str, script: Path, output: Path, driver: Path, arguments: Iterable[str] = ()) -> list[str]:
    """The command that runs `driver` and records into `output` which lines of `script` it reached."""
    return [pwsh, "-NoProfile", "-NonInteractive", "-File", str(RECORDER), str(script), str(output), str(driver), *arguments]


def snippet_coverage(script: str, snippets: Mapping[str, str], recordings: Iterable[Path]) -> dict[str, Coverage]:
    """Coverage of each of `snippets`, file name -> text, each a part of `script`, over all `recordings` of that script.

    Raises ValueError for a snippet that is not in the script, or not once.
    """
    lines: set[int] = set()
    hit: set[int] = set()
    for recording in recordings:
        data = json.loads(recording.read_text(encoding="utf-8"))
        lines.update(data["lines"])
        hit.update(data["hit"])
    return {name: _coverage(name, script, text, lines, hit) for name, text in snippets.items()}


def _coverage(name: str, script: str, snippet: str, lines: set[int], hit: set[int]) -> Coverage:
    text = snippet.rstrip("\n") + "\n"
    if script.count(text) != 1:
        raise ValueError(f"{name} is in the script {script.count(text)} times; its lines can be told only when it is there once")
    before = script[: script.index(text)].count("\n")
    own = [line for line in sorted(lines) if before < line <= before + text.count("\n")]
    return Coverage(tuple(line - before for line in own), tuple(line - before for line in own if line not in hit))
