"""Scripts of checks (checks.ps1): their names for pytest, and what they answer on a simulated Windows server."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from lyncarr.lab.real.wine import WineMachine
from tests.snippets.snippet_coverage import RECORDER, recording_of


def windows_path(path: Path) -> str:
    return "Z:" + str(path.resolve()).replace("/", "\\")


def names(script: Path) -> list[str]:
    """Names of the checks as they stand in the script; one with a variable in it ends before it and stands for several."""
    text = script.read_text(encoding="ascii")
    return [name.partition("$")[0] for name in re.findall(r"\bTest-That ['\"](.+?)['\"] ", text)]


@dataclass(frozen=True)
class Answers:
    """The lines of all checks of a script, and the recording of which lines of the script under test ran."""

    lines: list[str]
    recording: Path


def run(script: Path, machine: WineMachine, tested: Path, *arguments: str) -> Answers:
    """Run the checks in one PowerShell process that watches the statements of `tested`."""
    report = recording_of(tested, machine.folder / "coverage.json")
    command = machine.powershell("-File", *map(windows_path, (RECORDER, tested, report, script)), *arguments)
    done = machine.run(command, timeout_s=120)
    assert done.returncode == 0, done.stdout[-2000:]
    assert report.exists(), done.stdout[-2000:]
    return Answers(done.stdout.splitlines(), report)


def verify(lines: list[str], name: str) -> None:
    """Fails unless all checks of this name said ok."""
    mine = [line for line in lines if re.match(rf"(ok|failed) {re.escape(name)}", line)]
    assert mine, f"the script ended before this check: {lines[-5:]}"
    assert not [line for line in mine if line.startswith("failed")], mine
