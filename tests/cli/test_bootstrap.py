"""lyncarr bootstrap prints one constant script; what differs from server to server stands in the command line beside it."""

from __future__ import annotations

import hashlib
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from lyncarr.powershell.bootstrap import script
from tests.cli.test_usage import lyncarr

VALUES = ["--controller", "192.0.2.50, 2001:DB8::5", "--name", "rp01", "--port", "5999"]


def test_the_script_is_the_same_for_everybody(tmp_path: Path) -> None:
    bare, full = lyncarr("bootstrap", cwd=tmp_path), lyncarr("bootstrap", *VALUES, cwd=tmp_path)
    assert (bare.returncode, full.returncode) == (0, 0)
    assert bare.stdout == full.stdout == script()
    assert "-Controller ADDRESS-OF-THE-CONTROLLER\n" in bare.stderr
    assert "-Controller 192.0.2.50,2001:db8::5 -Name rp01 -Port 5999\n" in full.stderr


def test_a_file_has_the_line_ends_of_windows_and_is_never_overwritten(tmp_path: Path) -> None:
    done = lyncarr("bootstrap", *VALUES, "--file", "go here.ps1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    written = (tmp_path / "go here.ps1").read_bytes()
    assert written == script().replace("\n", "\r\n").encode("ascii")
    assert hashlib.sha256(written).hexdigest() in done.stdout
    assert '-File "go here.ps1" -Controller' in done.stdout
    again = lyncarr("bootstrap", "--file", "go here.ps1", cwd=tmp_path)
    assert again.returncode == 65
    assert "was not changed" in again.stderr
    assert (tmp_path / "go here.ps1").read_bytes() == written
    assert lyncarr("bootstrap", "--file", "no/such/folder.ps1", cwd=tmp_path).returncode == 65


def test_a_name_of_a_device_is_refused_on_every_system(tmp_path: Path) -> None:
    """The script is copied to Windows."""
    done = lyncarr("bootstrap", "--file", "con.ps1", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (64, "")
    assert done.stderr.startswith("error: --file: 'con.ps1' is the name of a Windows device.\nhint: ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--controller", "rp01"], "--controller"),
        (["--controller", "any"], "--controller"),
        (["--controller", "192.0.2.0/24"], "--controller"),
        (["--controller", "0.0.0.0"], "--controller"),
        (["--controller", "fe80::1%eth0"], "--controller"),
        (["--controller", "192.0.2.50,"], "--controller"),
        (["--name", "rp01; calc"], "--name"),
        (["--name", ""], "--name"),
        (["--port", "0"], "--port"),
    ],
)
def test_misuse(words: list[str], said: str, tmp_path: Path) -> None:
    done = lyncarr("bootstrap", *words, "--file", "x.ps1", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (64, "")
    assert said in done.stderr
    assert not (tmp_path / "x.ps1").exists()


@pytest.mark.powershell
def test_the_printed_command_line_fits_the_script(pwsh: str, tmp_path: Path) -> None:
    """A real PowerShell binds its parameters. Away from Windows the first look at it is the end, which is told and ends with 1."""
    done = lyncarr("bootstrap", *VALUES, "--file", "bootstrap.ps1", cwd=tmp_path)
    (line,) = re.findall(r"^  powershell (.+)$", done.stdout, re.MULTILINE)
    ran = subprocess.run([pwsh, *shlex.split(line)], cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 1
    assert ran.stdout.startswith("Stopped: ")
    assert ran.stderr == ""
    wrong = subprocess.run(
        [pwsh, *shlex.split(line), "-Nonsense", "1"], cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    )
    assert not wrong.stdout.startswith("Stopped: ")
