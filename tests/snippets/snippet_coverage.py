"""Coverage of the snippets inside a composed script, from what coverage.ps1 recorded.

A driver runs under it as `coverage_command(pwsh, script, output, driver, arguments)`; when the driver ends, `output` exists.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

RECORDER = Path(__file__).resolve().parent / "coverage.ps1"
KEEP = "LYNCARR_COVERAGE"
"""Names a folder in which recordings stay after their test, for report.py."""


@dataclass(frozen=True)
class Coverage:
    """Line numbers of one snippet: those on which a statement begins, and those of them on which one begins that never ran."""

    lines: tuple[int, ...]
    missed: tuple[int, ...]


def coverage_command(pwsh: str, script: Path, output: Path, driver: Path, arguments: Iterable[str] = ()) -> list[str]:
    """The command that runs `driver` and records into `output` which lines of `script` it reached."""
    return [pwsh, "-NoProfile", "-NonInteractive", "-File", str(RECORDER), str(script), str(output), str(driver), *arguments]


def recording_of(script: Path, otherwise: Path) -> Path:
    """Where a run of `script` is to be recorded: a new file in the folder $LYNCARR_COVERAGE, else `otherwise`."""
    kept = os.environ.get(KEEP)
    if not kept:
        return otherwise
    folder = Path(kept).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{_digest(script.read_text(encoding='ascii'))}-{uuid.uuid4().hex}.json"


def kept_recordings(folder: Path, script: str) -> list[Path]:
    """The recordings in `folder` of exactly this text; those of any other are not looked at."""
    return sorted(folder.glob(f"{_digest(script)}-*.json"))


def function_of(text: str, line: int) -> str:
    """The name of the function that line number `line` of a snippet is in. A function of a snippet begins at the left edge."""
    names = re.findall(r"^function ([\w-]+)", "\n".join(text.splitlines()[:line]), re.MULTILINE)
    return names[-1] if names else ""


def snippet_coverage(script: str, snippets: Mapping[str, str], recordings: Iterable[Path]) -> dict[str, Coverage]:
    """Coverage of each of `snippets`, file name -> text, each a part of `script`, over all `recordings` of that script.

    Raises ValueError for a snippet that is not in the script, or not once.
    """
    statements: set[str] = set()
    hit: set[str] = set()
    for recording in recordings:
        data = json.loads(recording.read_text(encoding="utf-8"))
        statements.update(data["statements"])
        hit.update(data["hit"])
    lines, missed = _lines(statements), _lines(statements - hit)
    return {name: _coverage(name, script, text, lines, missed) for name, text in snippets.items()}


def _digest(script: str) -> str:
    return hashlib.sha256(script.encode("ascii")).hexdigest()[:16]


def _lines(places: set[str]) -> set[int]:
    return {int(place.partition(":")[0]) for place in places}


def _coverage(name: str, script: str, snippet: str, lines: set[int], missed: set[int]) -> Coverage:
    text = snippet.rstrip("\n") + "\n"
    if script.count(text) != 1:
        raise ValueError(f"{name} is in the script {script.count(text)} times; its lines can be told only when it is there once")
    before = script[: script.index(text)].count("\n")
    own = [line for line in sorted(lines) if before < line <= before + text.count("\n")]
    return Coverage(tuple(line - before for line in own), tuple(line - before for line in own if line in missed))
