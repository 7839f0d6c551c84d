"""Scripts of checks (checks.ps1): their names for pytest, and what they answer on a simulated Windows server."""

from __future__ import annotations

import re
from pathlib import Path

from lyncarr.lab.wine import WineMachine


def windows_path(path: Path) -> str:
    return "Z:" + str(path.resolve()).replace("/", "\\")


def names(script: Path) -> list[str]:
    """Names of the checks as they stand in the script; one with a variable in it ends before it and stands for several."""
    text = script.read_text(encoding="ascii")
    return [name.partition("$")[0] for name in re.findall(r"^ *Test-That ['\"](.+?)['\"] ", text, re.MULTILINE)]


def run(script: Path, machine: WineMachine, *arguments: str) -> list[str]:
    """The lines of all checks, in one PowerShell process."""
    done = machine.run(machine.powershell("-File", windows_path(script), *arguments), timeout_s=120)
    assert done.returncode == 0, done.stdout[-2000:]
    return done.stdout.splitlines()


def verify(lines: list[str], name: str) -> None:
    mine = [line for line in lines if re.match(rf"(ok|failed) {re.escape(name)}", line)]
    assert mine, f"the script ended before this check: {lines[-5:]}"
    assert not [line for line in mine if line.startswith("failed")], mine
