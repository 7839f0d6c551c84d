"""WinRS on a simulated Windows server: cmd.exe and powershell.exe as unmodified pywinrm and pypsrp see them."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
import winrm
from pypsrp.shell import Process, SignalCode, WinRS

from lyncarr.lab.real.wine import WineMachine
from lyncarr.lab.wire.server import LabServer
from tests.lab.lab_client import connect, eventually, script
from tests.windows.conftest import MakeMachine
from tests.windows.wire import served

pytestmark = pytest.mark.wine

UTF8 = 65001


@pytest.fixture(scope="module")
def machine(make_machine: MakeMachine) -> WineMachine:
    return make_machine("bare")


@pytest.fixture(scope="module")
def lab(machine: WineMachine) -> Iterator[LabServer]:
    with served(machine) as server:
        yield server


@pytest.fixture
def shell(lab: LabServer) -> Iterator[WinRS]:
    with (
        connect(lab, ssl=False, auth="ntlm") as connection,
        WinRS(connection, codepage=UTF8, working_directory=r"c:\WINDOWS\temp", environment={"ONE": "x", "PATH": "nowhere"}) as opened,
    ):
        yield opened


def encoded(name: str) -> str:
    return base64.b64encode(script(name).encode("utf-16-le")).decode()


def runs(text: str) -> bool:
    """Whether a process has this in its command line."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if text.encode() in path.read_bytes():
                return True
        except OSError:
            continue  # it has ended meanwhile
    return False


def begin(shell: WinRS, name: str) -> Process:
    """A powershell.exe that runs a script, and has said its first word."""
    process = Process(shell, "powershell", ["-EncodedCommand", encoded(name)])
    process.begin_invoke()
    while b"\n" not in process.stdout:
        process.poll_invoke()
    return process


def test_pywinrm_runs_scripts_and_commands(lab: LabServer, machine: WineMachine) -> None:
    session = winrm.Session(f"http://{lab.address}:{lab.http_port}/wsman", auth=(lab.user, lab.password), transport="ntlm", proxy=None)
    ran = session.run_ps(script("streams"))
    assert (ran.std_out, ran.std_err, ran.status_code) == (b"out \x81\r\n", b"err \x81\r\n", 3)
    ran = session.run_cmd('echo "a  b" %OS% & exit 7')
    assert (ran.std_out.strip(), ran.status_code) == (b'"a  b" Windows_NT', 7)
    assert not list((machine.drive / "windows" / "temp").glob("*.cmd"))


def test_a_shell_has_its_environment_and_its_folder(shell: WinRS) -> None:
    process = Process(shell, "echo", ["%ONE%", "%CD%"])
    process.invoke()
    assert process.stdout.split() == [b"x", rb"C:\windows\temp"]


def test_powershell_takes_input(shell: WinRS) -> None:
    process = begin(shell, "lines")
    process.send(("\u00fc" * 50_000 + "\n").encode(), end=False)
    while process.stdout.count(b"\n") < 2:
        process.poll_invoke()
    assert process.stdout.split()[1] == b"50000"
    process.send(b"", end=True)
    process.end_invoke()
    assert process.rc == 0


def test_powershell_takes_ctrl_c_and_goes_with_its_shell(shell: WinRS) -> None:
    process = begin(shell, "forever")
    process.signal(SignalCode.CTRL_C)
    process.end_invoke()
    assert process.rc == 130
    begin(shell, "forever")
    assert runs(encoded("forever"))
    shell.close()
    assert eventually(lambda: not runs(encoded("forever")))
