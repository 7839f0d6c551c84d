"""Scripts of checks (checks.ps1): their names for pytest, and what they answer on a simulated Windows server."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from lyncarr.lab.real.wine import WineMachine
from tools.snippets.report import layer_text
from tools.snippets.snippet_coverage import driver_arguments, to_load

LONGEST_RUN_S = 600


def windows_path(path: Path) -> str:
    return "Z:" + str(path.resolve()).replace("/", "\\")


def names(script: Path) -> list[str]:
    """Names of the checks as they stand in the script; one with a variable in it ends before it and stands for several."""
    text = script.read_text(encoding="ascii")
    return [name.partition("$")[0] for name in re.findall(r"\bTest-That ['\"](.+?)['\"] ", text)]


@dataclass(frozen=True)
class Answers:
    """The lines of all checks of a script, and the recording, if there is one, of which lines of the script under test ran."""

    lines: list[str]
    recording: Path | None


def run(script: Path, machine: WineMachine, folder: Path, layer: tuple[str, ...], *arguments: str) -> Answers:
    """Run the checks in one PowerShell process.

    Their first argument is a copy of `folder`, the snippets, with _layer.ps1: the files `layer` as one script, which is under test.
    """
    snippets = machine.folder / "snippets"
    shutil.copytree(folder, snippets)
    tested, loaded = machine.folder / "layer.ps1", snippets / "_layer.ps1"
    for file in (tested, loaded):
        file.write_text(layer_text(layer), encoding="ascii")
    checked = to_load(tested, loaded)
    called = driver_arguments(script, [checked], [windows_path(snippets), *arguments], named=windows_path)
    done = machine.run(machine.powershell("-File", *called), timeout_s=LONGEST_RUN_S)
    assert done.returncode == 0, done.stdout[-2000:]
    assert checked.recording is None or checked.recording.exists(), done.stdout[-2000:]
    return Answers(done.stdout.splitlines(), checked.recording)


def verify(lines: list[str], name: str) -> None:
    """Fails unless all checks of this name said ok."""
    mine = [line for line in lines if re.match(rf"(ok|failed) {re.escape(name)}", line)]
    assert mine, f"the script ended before this check: {lines[-5:]}"
    assert not [line for line in mine if line.startswith("failed")], mine
