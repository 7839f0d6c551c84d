"""What the tests ran of the snippets: `python -m tools.snippets.report FOLDER [--check | --write]`.

FOLDER holds what a test run recorded ($LYNCARR_COVERAGE). Outside the platform layer every line must have run. A line of the platform
layer that ran nowhere must be in data/unreached.json with its reason. --write puts the result into docs/what-is-proved.md; --check fails
where that page differs.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lyncarr.powershell import bootstrap
from lyncarr.powershell.bundle import MAIN, SHARED, WINDOWS, WINRS, compose, read_snippet, winrs_bootstrap
from lyncarr.steps import STEPS
from tests.conftest import engine
from tests.powershell import bootstrap_engine
from tests.powershell.engine import composed
from tools.docs.documents import FIX, renewed
from tools.snippets.snippet_coverage import Coverage, function_of, kept_recordings, snippet_coverage

CONSOLE_LAYER = f"{bootstrap.FOLDER}/_windows.ps1"
LAYERS = (*WINDOWS, CONSOLE_LAYER)
"""The files of the platform layers: of the script for hosts, and of the console script."""
ENGINES = {
    "Linux": ("LYNCARR_PWSH", "pwsh", "tests/powershell"),
    "Wine": ("LYNCARR_PWSH_WINE", "pwsh-wine", "tests/windows/test_platform*.py"),
}
"""Where a snippet ran -> what names its engine, what the engine is called, and what records."""
UNREACHED = Path(__file__).parent / "data" / "unreached.json"
PAGE = Path(__file__).parents[2] / "docs" / "what-is-proved.md"
PART = "snippets"
"""The generated part of that page."""


@dataclass(frozen=True, order=True)
class Line:
    """A line by what stands in it: numbers change with every edit above it."""

    file: str
    function: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}, {self.function or 'top level'}: {self.text}"


@dataclass(frozen=True)
class Part:
    """A snippet or a piece of one: its text, to which the numbers of its coverage belong, and where it ran."""

    name: str
    place: str
    text: str
    coverage: Coverage

    def lines(self, numbers: Iterable[int]) -> Iterator[Line]:
        texts = self.text.splitlines()
        for number in sorted(numbers):
            yield Line(self.name, function_of(self.text, number), texts[number - 1].strip())


def excused() -> dict[Line, str]:
    """The lines of the platform layer that are known to run nowhere -> why."""
    entries = json.loads(UNREACHED.read_text(encoding="ascii"))["lines"]
    return {Line(entry["file"], entry["function"], entry["text"]): entry["reason"] for entry in entries}


def layer_text(names: Iterable[str]) -> str:
    """The files of a platform layer as one script, which the checks on Wine run."""
    return "\n".join(read_snippet(name) for name in names)


def layer_parts(recordings: Iterable[Path], names: tuple[str, ...]) -> list[Part]:
    """The files `names` of a platform layer, from recordings of `layer_text(names)`."""
    texts = {name: read_snippet(name) for name in names}
    found = snippet_coverage(layer_text(names), texts, recordings)
    return [Part(name, "Wine", text, found[name]) for name, text in texts.items()]


def recorded(folder: Path) -> list[Part]:
    """What ran of each snippet. The parts of a place where nothing was recorded are left out."""
    parts: list[Part] = []
    if files := kept_recordings(folder, composed()):
        # The entry point is the frame around all others.
        head, _, tail = compose(("@",)).partition("@")
        pieces = [(MAIN, head), (MAIN, tail.lstrip("\n"))]
        pieces += [(name, read_snippet(name)) for name in (*SHARED, *(step.snippet for step in STEPS)) if name not in WINDOWS]
        for name, text in pieces:
            parts.append(Part(name, "Linux", text, snippet_coverage(composed(), {name: text}, files)[name]))
    if files := kept_recordings(folder, winrs_bootstrap()):
        # A program of its own, and in no script.
        text = winrs_bootstrap()
        parts.append(Part(WINRS, "Linux", text, snippet_coverage(text, {WINRS: text}, files)[WINRS]))
    if files := kept_recordings(folder, bootstrap_engine.composed()):
        for name, text in bootstrap_engine.pieces():
            parts.append(Part(name, "Linux", text, snippet_coverage(bootstrap_engine.composed(), {name: text}, files)[name]))
    for names in (WINDOWS, (CONSOLE_LAYER,)):
        if files := kept_recordings(folder, layer_text(names)):
            parts += layer_parts(files, names)
    return sorted(parts, key=lambda part: part.name)


def places(parts: list[Part]) -> set[str]:
    return {part.place for part in parts}


def unrecorded(parts: list[Part]) -> Iterator[str]:
    """Complaints about places that have an engine and recorded nothing."""
    for place in ENGINES.keys() - places(parts):
        variable, program, tests = ENGINES[place]
        if engine(variable, program) is not None:
            yield f"{tests} recorded nothing of the snippets as they are now: run make coverage-ps."


def misjudged(parts: list[Part]) -> Iterator[str]:
    """Complaints about lines: those that did not run without an excuse, and excuses that nothing needs."""
    missed = {line for part in parts for line in part.lines(part.coverage.missed)}
    for line in sorted(missed):
        if line.file not in LAYERS:
            yield f"No test in tests/powershell runs this line, and outside the platform layer each must be run. {line}"
        elif line not in excused():
            yield f"No check in tests/windows runs this line: add one, or a reason to {UNREACHED.name}. {line}"
    judged = {part.name for part in parts}
    for line in sorted(excused().keys() - missed):
        if line.file in judged:
            yield f"Take this out of {UNREACHED.name}: the line runs, or is no longer there. {line}"


def counts(parts: list[Part]) -> Mapping[str, tuple[str, int, int, list[int]]]:
    """Snippet -> where it ran, how many lines ran, how many there are, and the numbers of those that did not."""
    found: dict[str, tuple[str, int, int, list[int]]] = {}
    for part in parts:
        _, ran, total, missed = found.get(part.name, (part.place, 0, 0, []))
        lines, left = part.coverage.lines, part.coverage.missed
        found[part.name] = (part.place, ran + len(lines) - len(left), total + len(lines), [*missed, *left])
    return found


def show(parts: list[Part]) -> None:
    """The result for the console."""
    print(f"{'snippet':22}{'ran':>5} of{'lines':>5}  on     did not run")
    for name, (place, ran, total, missed) in counts(parts).items():
        print(f"{name:22}{ran:5} of{total:5}  {place:6} {', '.join(map(str, missed))}".rstrip())
    for place in sorted(ENGINES.keys() - places(parts)):
        print(f"Of these texts nothing was recorded by {ENGINES[place][2]}, which needs ${ENGINES[place][0]}.")
    for line, reason in excused().items():
        print(f"Ran nowhere: {line}\n  {reason}")


def page_text(parts: list[Part]) -> str:
    """The result for the page."""
    rows = ["| snippet | lines that ran | of | on |", "|---|---|---|---|"]
    rows += [f"| `{name}` | {ran} | {total} | {place} |" for name, (place, ran, total, _) in counts(parts).items()]
    rows += ["", "| function of the platform layer | line that ran nowhere, or not as a whole | why |", "|---|---|---|"]
    for line, reason in sorted(excused().items()):
        shown = line.text.replace("|", r"\|")
        rows.append(f"| `{line.function}` | `{shown}` | {reason} |")
    return "\n".join(rows) + "\n"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.snippets.report", description="What the tests ran of the snippets.")
    parser.add_argument("folder", type=Path)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--write", action="store_true", help="write the result into docs/what-is-proved.md")
    what.add_argument("--check", action="store_true", help="fail where docs/what-is-proved.md tells another")
    options = parser.parse_args(arguments)
    parts = recorded(options.folder)
    show(parts)
    complaints = [*unrecorded(parts), *misjudged(parts)]
    if options.write or options.check:
        page = PAGE.read_text(encoding="utf-8")
        fresh, misplaced = renewed(page, {PART: lambda: page_text(parts)})
        complaints += [f"{PAGE.name}: {one}" for one in misplaced]
        if places(parts) != ENGINES.keys():
            print(f"{PAGE.name} was not looked at: it tells what both engines ran.", file=sys.stderr)
        elif options.write:
            PAGE.write_text(fresh, encoding="utf-8")
        elif page != fresh:
            complaints.append(f"{PAGE.name} is outdated: {FIX}.")
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
