"""coverage.ps1 and snippet_coverage tell which lines of a snippet ran."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.snippets.snippet_coverage import Coverage, coverage_command, snippet_coverage

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


def record(pwsh: str, folder: Path, driver: str) -> Path:
    """A recording of SCRIPT under a driver, which gets the script's path."""
    (folder / "script.ps1").write_text(SCRIPT, encoding="ascii")
    (folder / "driver.ps1").write_text(driver, encoding="ascii")
    output = folder / "coverage.json"
    command = coverage_command(pwsh, folder / "script.ps1", output, folder / "driver.ps1", [str(folder / "script.ps1")])
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    return output


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


def test_snippet_must_be_in_the_script_once() -> None:
    with pytest.raises(ValueError, match=r"sample\.ps1 is in the script 0 times"):
        snippet_coverage("param()\n", {"sample.ps1": SNIPPET}, [])
