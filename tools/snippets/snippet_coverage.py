"""Coverage of the snippets inside a composed script, from what coverage.ps1 recorded.

A driver loads `Tested.loaded` in the place of a script, and runs as `driver_arguments(driver, tested, ...)`. Only where
$LYNCARR_COVERAGE names a folder is anything recorded: then the driver loads a copy that marks the statements that it reaches,
and `Tested.recording` exists when the driver ends.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

RECORDER = Path(__file__).resolve().parent / "coverage.ps1"
KEEP = "LYNCARR_COVERAGE"
"""Names the folder for recordings, which report.py and the last tests read. Without it nothing is recorded."""
NEEDED = f"nothing was recorded: set {KEEP}, or run make test"


@dataclass(frozen=True)
class Coverage:
    """Line numbers of one snippet: those on which a statement begins, and those of them on which one begins that never ran."""

    lines: tuple[int, ...]
    missed: tuple[int, ...]


@dataclass(frozen=True)
class Tested:
    """A script under test: `loaded` is the file that a driver loads in its place, `recording` the file that will tell which lines ran."""

    script: Path
    loaded: Path
    recording: Path | None


def recorded(script: Path, copy: Path, recording: Path) -> Tested:
    """A script whose lines are recorded; coverage.ps1 writes `copy`."""
    return Tested(script, copy, recording)


def to_load(script: Path, copy: Path) -> Tested:
    """A script whose lines are recorded into a new file of the folder $LYNCARR_COVERAGE; itself where the variable is not set."""
    kept = os.environ.get(KEEP)
    if not kept:
        return Tested(script, script, None)
    folder = Path(kept).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    return recorded(script, copy, folder / f"{_digest(script.read_text(encoding='ascii'))}-{uuid.uuid4().hex}.json")


def driver_arguments(
    driver: Path, scripts: Iterable[Tested], arguments: Iterable[str] = (), *, named: Callable[[Path], str] = str
) -> list[str]:
    """What comes after -File to run `driver` with `arguments`. `named` gives the name of a file as the engine knows it."""
    plan = [(one, one.recording) for one in scripts if one.recording is not None]
    if not plan:
        return [named(driver), *arguments]
    entries = [{"script": named(one.script), "copy": named(one.loaded), "output": named(recording)} for one, recording in plan]
    file = plan[0][0].loaded.with_suffix(".plan.json")
    file.write_text(json.dumps(entries), encoding="utf-8")
    return [named(RECORDER), named(file), named(driver), *arguments]


def driver_command(pwsh: str, driver: Path, scripts: Iterable[Tested], arguments: Iterable[str] = ()) -> list[str]:
    """The command of an engine of this system that runs `driver`."""
    return [pwsh, "-NoProfile", "-NonInteractive", "-File", *driver_arguments(driver, scripts, arguments)]


def finished(recordings: Iterable[Path | None]) -> list[Path]:
    """Those whose driver has ended."""
    return [path for path in recordings if path is not None and path.exists()]


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
