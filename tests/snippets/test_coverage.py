"""coverage.ps1 and snippet_coverage tell which lines of a snippet ran, as a debugger would."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tools.snippets.snippet_coverage import KEEP, Coverage, driver_command, recorded, snippet_coverage, to_load

BREAKPOINTS = Path(__file__).with_name("breakpoints.ps1")
STATEMENTS = (Path(__file__).parent / "samples" / "statements.ps1").read_text(encoding="ascii")

SNIPPET = """\
# Every kind of statement that can stay unreached.
function Get-LyncarrSample {
    param([int]$Number)
    if ($Number -eq 1) {
        return 'one'
    }
    elseif ($Number -eq 2) {
        return 'two'
    }
    if ($Number -eq 4) { return 'four' }
    try {
        throw 'three'
    }
    catch {
        $state = [ordered]@{
            text = 'three'
        }
    }
    foreach ($entry in @()) {
        $state['never'] = $entry
    }
    switch ($Number) {
        3 { $state['text'] }
        default { 'never' }
    }
}
"""
SCRIPT = f"param([int]$Number)\n\n{SNIPPET}\nGet-LyncarrSample -Number $Number\n"


LOAD = "param([string]$Script, [int]$Number)\n. $Script -Number $Number\n"
LONGEST_S = 120
TOO_EARLY = ("param([int]$Number = $(", '"text $(if', '$Number)" }) and $(', "Get-Date | ForEach-Object { 1 })[0]")
"""Lines of samples/statements.ps1 inside default values, strings and what follows -and: of their statements a debugger tells as soon as
it stops at the one around them, whether they run or not."""


def record(pwsh: str, folder: Path, driver: str, script: str = SCRIPT, *arguments: str) -> Path:
    """A recording of a script under a driver, which gets the path of what it shall load, and `arguments`."""
    (folder / "script.ps1").write_text(script, encoding="ascii")
    (folder / "driver.ps1").write_text(driver, encoding="ascii")
    run = recorded(folder / "script.ps1", folder / "counted.ps1", folder / "coverage.json")
    command = driver_command(pwsh, folder / "driver.ps1", [run], [str(run.loaded), *arguments])
    (folder / "output.txt").write_bytes(subprocess.check_output(command, stdin=subprocess.DEVNULL, timeout=LONGEST_S))
    return folder / "coverage.json"


def stopped_at(pwsh: str, folder: Path, *arguments: str) -> tuple[dict[str, list[str]], bytes]:
    """What a debugger saw of the script that was recorded in `folder`, and what it put out."""
    output = folder / "breakpoints.json"
    command = [pwsh, "-NoProfile", "-NonInteractive", "-File", str(BREAKPOINTS), str(folder / "script.ps1"), str(output)]
    command += [str(folder / "driver.ps1"), str(folder / "script.ps1"), *arguments]
    shown = subprocess.check_output(command, stdin=subprocess.DEVNULL, timeout=LONGEST_S)
    return json.loads(output.read_text()), shown


@pytest.mark.powershell
@pytest.mark.parametrize("number", range(1, 6))
def test_marks_tell_what_a_debugger_sees(pwsh: str, tmp_path: Path, number: int) -> None:
    """Of every kind of statement, with the same output: see samples/statements.ps1. Only TOO_EARLY the debugger tells more, and wrongly."""
    recording = json.loads(record(pwsh, tmp_path, LOAD, STATEMENTS, str(number)).read_text())
    seen, shown = stopped_at(pwsh, tmp_path, str(number))
    assert sorted(recording["statements"]) == sorted(seen["statements"])
    assert set(recording["hit"]) <= set(seen["hit"])
    lines = STATEMENTS.splitlines()
    for place in set(seen["hit"]) - set(recording["hit"]):
        assert any(early in lines[int(place.partition(":")[0]) - 1] for early in TOO_EARLY), place
    assert (tmp_path / "output.txt").read_bytes() == shown


@pytest.mark.powershell
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Get-Date\nif ($?) { 1 }", "line 2: $? would not be"),
        ("for ($i = 0; $i -lt 1; Get-Date) { $i++ }", "line 1: only an assignment, ++ and --"),
        ("$table = @{ a = switch (1) { 1 { 2 } } }", "line 1: no statement can be put before this"),
        ("if (1) {", "Missing closing"),
    ],
)
def test_what_marks_would_change_is_refused(pwsh: str, tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "script.ps1").write_text(text, encoding="ascii")
    (tmp_path / "driver.ps1").touch()
    run = recorded(tmp_path / "script.ps1", tmp_path / "counted.ps1", tmp_path / "coverage.json")
    command = driver_command(pwsh, tmp_path / "driver.ps1", [run])
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LONGEST_S, check=False)
    assert done.returncode == 1
    assert reason in " ".join(done.stderr.split())


@pytest.mark.powershell
def test_lines_of_several_loads_and_recordings_are_added(pwsh: str, tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    first = record(pwsh, folders[0], "param([string]$Script)\n. $Script -Number 3\n. $Script -Number 3\n")
    second = record(pwsh, folders[1], "param([string]$Script)\n. $Script -Number 3\n. $Script -Number 1\n")
    lines = (4, 5, 7, 8, 10, 12, 15, 19, 20, 22, 23, 24)
    assert snippet_coverage(SCRIPT, {"sample.ps1": SNIPPET}, [first]) == {"sample.ps1": Coverage(lines, (5, 8, 10, 20, 24))}
    assert snippet_coverage(SCRIPT, {"sample.ps1": SNIPPET}, [first, second]) == {"sample.ps1": Coverage(lines, (8, 10, 20, 24))}


@pytest.mark.powershell
def test_recording_survives_an_error_of_the_driver(pwsh: str, tmp_path: Path) -> None:
    driver = "param([string]$Script)\ntry { . $Script -Number 2; throw 'no' } catch { 'caught' }\nthrow 'end'\n"
    with pytest.raises(subprocess.CalledProcessError):
        record(pwsh, tmp_path, driver)
    found = snippet_coverage(SCRIPT, {"sample.ps1": SNIPPET}, [tmp_path / "coverage.json"])["sample.ps1"]
    assert set(found.lines) - set(found.missed) == {4, 7, 8}


def test_nothing_is_recorded_unless_it_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script, driver = tmp_path / "script.ps1", tmp_path / "driver.ps1"
    script.write_text(SCRIPT, encoding="ascii")
    monkeypatch.delenv(KEEP, raising=False)
    plain = to_load(script, tmp_path / "counted.ps1")
    assert (plain.loaded, plain.recording) == (script, None)
    assert driver_command("pwsh", driver, [plain], ["x"]) == ["pwsh", "-NoProfile", "-NonInteractive", "-File", str(driver), "x"]
    monkeypatch.setenv(KEEP, str(tmp_path / "kept"))
    counted = to_load(script, tmp_path / "counted.ps1")
    assert counted.loaded == tmp_path / "counted.ps1"
    assert counted.recording is not None
    assert counted.recording.parent == tmp_path / "kept"


def test_snippet_must_be_in_the_script_once() -> None:
    with pytest.raises(ValueError, match=r"sample\.ps1 is in the script 0 times"):
        snippet_coverage("param()\n", {"sample.ps1": SNIPPET}, [])
