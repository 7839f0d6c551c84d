"""The simulated host as unmodified pywinrm and pypsrp see it over WinRS: commands are processes of this system."""

from __future__ import annotations

import base64
import json
import shlex
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
import requests
import winrm
from pypsrp.client import Client
from pypsrp.exceptions import AuthenticationError, WSManFaultError
from pypsrp.shell import CommandState, Process, SignalCode, WinRS
from pypsrp.wsman import OptionSet
from winrm.exceptions import WinRMOperationTimeoutError, WinRMTransportError
from winrm.exceptions import WSManFaultError as PywinrmFault
from winrm.protocol import Protocol

from lyncarr.lab.real.powershell import PowerShellEngine
from lyncarr.lab.wire import wsman
from lyncarr.lab.wire.faults import At
from lyncarr.lab.wire.server import LabServer
from tests.lab.lab_client import TRANSPORTS, connect, envelope, eventually, gone, post, replay, script
from tests.patience import HANG_S

PYWINRM = {"https basic": ("https", "ssl"), "https ntlm": ("https", "ntlm"), "http ntlm sealed": ("http", "ntlm")}
SLEEPER = "sleep 300 & echo $!; wait"
UTF8 = 65001


@pytest.fixture(autouse=True)
def as_in_a_terminal() -> Iterator[None]:
    """A run in the background begins with SIGINT ignored, and so would all that it starts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def lab() -> Iterator[LabServer]:
    """Commands that need no PowerShell: this engine's is never started."""
    with LabServer(PowerShellEngine(["no-powershell"])) as server:
        yield server


@pytest.fixture(scope="module")
def pwsh_lab(pwsh: str) -> Iterator[LabServer]:
    with LabServer(PowerShellEngine(shlex.split(pwsh))) as server:
        yield server


def pywinrm(lab: LabServer, transport: str = "https basic", **options: Any) -> winrm.Session:
    scheme, auth = PYWINRM[transport]
    port = lab.https_port if scheme == "https" else lab.http_port
    settings: dict[str, Any] = {"transport": auth, "ca_trust_path": str(lab.ca_file), "proxy": None, **options}
    return winrm.Session(f"{scheme}://{lab.address}:{port}/wsman", auth=(lab.user, lab.password), **settings)


def pypsrp(lab: LabServer, **options: Any) -> Client:
    client = Client.__new__(Client)
    client.wsman = connect(lab, **options)
    return client


@contextmanager
def shell(lab: LabServer, **options: Any) -> Iterator[WinRS]:
    with connect(lab) as connection, WinRS(connection, **options) as opened:
        yield opened


def begin(opened: WinRS, command: str, *arguments: str) -> Process:
    process = Process(opened, command, list(arguments))
    process.begin_invoke()
    return process


def first_line(process: Process) -> str:
    while b"\n" not in process.stdout:
        process.poll_invoke()
    return str(process.stdout.split()[0].decode())


def encoded(name: str) -> str:
    return base64.b64encode(script(name).encode("utf-16-le")).decode()


def refused(call: Any) -> int:
    """The code of the fault that a call of pypsrp ends in."""
    with pytest.raises(WSManFaultError) as fault:
        call()
    return int(fault.value.code)


# The libraries' own helpers


@pytest.mark.powershell
@pytest.mark.parametrize("transport", PYWINRM)
def test_pywinrm_runs_scripts_and_commands(pwsh_lab: LabServer, transport: str) -> None:
    session = pywinrm(pwsh_lab, transport)
    before = len(pwsh_lab.messages)
    ran = session.run_ps(script("streams"))
    # Code page 437, which is what a pywinrm Session always asks for.
    assert (ran.std_out, ran.std_err, ran.status_code) == (b"out \x81\n", b"err \x81\n", 3)
    records = pwsh_lab.messages[before:]
    # As many Receives as there are bursts of output.
    assert [action for action, _ in groupby(record.action for record in records)] == ["Create", "Command", "Receive", "Signal", "Delete"]
    assert all(record.sealed == ("sealed" in transport) for record in records)
    ran = session.run_cmd("echo", ["one", "'two  words'"])
    assert (ran.std_out, ran.std_err, ran.status_code) == (b"one two  words\n", b"", 0)
    assert not pwsh_lab.shells.open_shells


@pytest.mark.powershell
@pytest.mark.parametrize("transport", ["https basic", "https ntlm sealed", "http negotiate sealed"])
def test_pypsrp_client_runs_scripts_and_commands(pwsh_lab: LabServer, transport: str) -> None:
    client = pypsrp(pwsh_lab, **TRANSPORTS[transport])
    assert client.execute_cmd("echo out; echo err >&2; exit 7") == ("out\n", "err\n", 7)
    assert client.execute_cmd(f"powershell.exe -EncodedCommand {encoded('streams')}") == ("out ü\n", "err ü\n", 3)
    output, _, failed = client.execute_ps(script("echo"))
    assert (json.loads(output)["number"], failed) == (1, False)
    assert not pwsh_lab.shells.open_shells


@pytest.mark.parametrize("transport", PYWINRM)
def test_a_wrong_password_starts_nothing(lab: LabServer, transport: str) -> None:
    session = pywinrm(lab, transport)
    session.protocol.transport.password = "not it"
    with pytest.raises(winrm.exceptions.InvalidCredentialsError):
        session.run_cmd("true")
    with pytest.raises(AuthenticationError):
        pypsrp(lab, password="not it").execute_cmd("true")
    assert not lab.messages


# powershell.exe


@pytest.mark.powershell
def test_powershell_takes_input_and_keeps_its_state(pwsh_lab: LabServer) -> None:
    with shell(pwsh_lab, codepage=UTF8) as opened:
        process = begin(opened, r"C:\Windows\System32\WindowsPowerShell\v1.0\PowerShell.EXE", "-NoP", "-EncodedCommand", encoded("lines"))
        assert not gone(int(first_line(process)))
        for piece in ("ü" * 30 + "\n" + "x" * 100_000, "y" * 100_000 + "\n"):
            process.send(piece.encode(), end=False)
        while len(process.stdout.splitlines()) < 3:
            process.poll_invoke()
        assert process.stdout.split()[1:] == [b"30", b"200000"]
        assert process.state == CommandState.RUNNING
        process.send(b"", end=True)
        process.end_invoke()
    assert (process.rc, process.stderr) == (0, b"")


@pytest.mark.powershell
def test_the_code_page_is_that_of_input_and_output(pwsh_lab: LabServer) -> None:
    for codepage, text in ((UTF8, "ü€"), (1252, "ü€"), (437, "ü")):
        name = "utf-8" if codepage == UTF8 else f"cp{codepage}"
        with shell(pwsh_lab, codepage=codepage) as opened:
            process = begin(opened, "powershell -Command -")
            process.send(f"'{text}'".encode(name), end=True)
            process.end_invoke()
        assert process.stdout.decode(name) == f"{text}\n"


def test_a_character_that_the_code_page_lacks_is_a_question_mark(lab: LabServer) -> None:
    assert pypsrp(lab).execute_cmd("echo 'a€b'")[0] == "a?b\n"


@pytest.mark.powershell
def test_big_output(pwsh_lab: LabServer) -> None:
    ran = pywinrm(pwsh_lab).run_cmd("powershell", ["-Command", "\"'0123456789' * 100000\""])
    assert ran.std_out == b"0123456789" * 100_000 + b"\n"
    assert max(record.bytes_down for record in pwsh_lab.messages) <= Protocol.DEFAULT_MAX_ENV_SIZE


@pytest.mark.powershell
def test_ctrl_c_reaches_powershell(pwsh_lab: LabServer) -> None:
    with shell(pwsh_lab) as opened:
        process = begin(opened, "powershell", "-EncodedCommand", encoded("forever"))
        first_line(process)
        process.signal(SignalCode.CTRL_C)
        process.end_invoke()
    assert process.rc == 130


# Commands of this system


def test_the_shell_has_its_environment_and_its_folder(lab: LabServer, tmp_path: Path) -> None:
    with shell(lab, environment={"ONE": "1", "TWO": "a b"}, working_directory=str(tmp_path), codepage=UTF8) as opened:
        process = begin(opened, "echo", '"$ONE $TWO"', "$PWD")
        process.end_invoke()
    assert process.stdout.decode() == f"1 a b {tmp_path}\n"
    with shell(lab, working_directory=str(tmp_path / "none")) as opened:
        assert refused(lambda: begin(opened, "true")) == wsman.NO_SUCH_FOLDER


def test_output_comes_as_it_is_written(lab: LabServer) -> None:
    with shell(lab) as opened:
        process = begin(opened, "echo one; read word; echo $word; read word; echo $word >&2")
        assert first_line(process) == "one"
        process.send(b"two\n", end=False)
        process.poll_invoke()
        assert (process.stdout, process.stderr, process.state) == (b"one\ntwo\n", b"", CommandState.RUNNING)
        process.send(b"three\n", end=False)
        process.end_invoke()
    assert (process.stdout, process.stderr) == (b"one\ntwo\n", b"three\n")


def test_waiting_ends_with_the_operation_timeout(lab: LabServer) -> None:
    protocol = pywinrm(lab, operation_timeout_sec=1, read_timeout_sec=2 * HANG_S).protocol
    shell_id = protocol.open_shell()
    command_id = protocol.run_command(shell_id, "read word; echo $word")
    begun = time.monotonic()
    with pytest.raises(WinRMOperationTimeoutError):
        protocol.get_command_output_raw(shell_id, command_id)
    assert 0.9 < time.monotonic() - begun < HANG_S
    protocol.send_command_input(shell_id, command_id, "late\n")
    assert protocol.get_command_output(shell_id, command_id) == (b"late\n", b"", 0)
    protocol.close_shell(shell_id)


def test_bytes_that_are_no_text_stay_as_they_are(lab: LabServer) -> None:
    data = bytes(range(0x80, 0x100)) * 1000
    with shell(lab, codepage=UTF8) as opened:
        process = begin(opened, "cat")
        process.send(data, end=True)
        process.end_invoke()
    assert process.stdout == data


def test_without_cmd_a_program_is_started_as_it_is(lab: LabServer) -> None:
    with shell(lab) as opened:
        process = Process(opened, "/bin/echo", ["$HOME", '"a  b"', r"c\"d"], no_shell=True)
        process.invoke()
        assert process.stdout == b'$HOME a  b c"d\n'
        assert refused(Process(opened, "/no/such/program", no_shell=True).invoke) == wsman.NO_SUCH_FILE


def test_a_line_too_long_for_cmd_runs_nothing(lab: LabServer, tmp_path: Path) -> None:
    def line(length: int) -> str:
        start = f"touch {tmp_path}/ran; true "
        return start + "x" * (length - len(start))

    ran = pywinrm(lab).run_cmd(line(8192))
    assert (ran.std_err, ran.status_code) == (b"The command line is too long.\r\n", 1)
    assert not (tmp_path / "ran").exists()
    assert pywinrm(lab).run_cmd(line(8191)).status_code == 0
    assert (tmp_path / "ran").exists()
    with shell(lab) as opened:
        process = Process(opened, "/bin/echo", ["x" * 10_000], no_shell=True)
        process.invoke()
        assert len(process.stdout) == 10_001
        assert refused(Process(opened, "/bin/echo", ["x" * 40_000], no_shell=True).invoke) == wsman.LINE_TOO_LONG


def test_input_after_its_end_is_refused(lab: LabServer) -> None:
    with shell(lab) as opened:
        process = begin(opened, "cat >/dev/null; echo done")
        process.send(b"", end=True)
        assert refused(lambda: process.send(b"more", end=False)) == wsman.BROKEN_PIPE
        process.end_invoke()
        assert process.stdout == b"done\n"
        assert refused(lambda: process.send(b"more")) == wsman.BROKEN_PIPE


def test_a_command_that_leaves_something_running_is_over_all_the_same(lab: LabServer) -> None:
    with shell(lab) as opened:
        process = begin(opened, "sleep 300 & echo $!")
        process.end_invoke()
        child = int(process.stdout)
        assert process.rc == 0
        assert not gone(child)
    assert eventually(lambda: gone(child))


# Ends


def test_ctrl_c_ends_what_does_not_know_it(lab: LabServer) -> None:
    with shell(lab) as opened:
        process = begin(opened, "exec sleep 300")
        process.signal(SignalCode.CTRL_C)
        process.end_invoke()
        assert process.rc == 0xC000013A
        process.signal(SignalCode.CTRL_C)  # as Client.execute_cmd does: there is nobody left, and nobody minds


@pytest.mark.parametrize("end", ["terminate", "delete", "idle", "server"])
def test_an_end_takes_the_processes_with_it(end: str) -> None:
    lab = LabServer(PowerShellEngine(["no-powershell"]))
    lab.start()
    try:
        opened = WinRS(connect(lab), idle_time_out=2 if end == "idle" else None)
        opened.open()
        begun = time.monotonic()
        process = begin(opened, SLEEPER)
        child = int(first_line(process))
        assert not gone(child)
        if end == "terminate":
            process.signal(SignalCode.TERMINATE)
            assert refused(process.poll_invoke) == wsman.NO_SUCH_SHELL
        elif end == "delete":
            opened.close()
        elif end == "server":
            lab.stop()
        assert eventually(lambda: gone(child))
        assert end != "idle" or time.monotonic() - begun > 1.8
        assert bool(lab.shells.open_shells) == (end == "terminate")
    finally:
        lab.stop()


def test_deleting_a_shell_aborts_the_receive_that_waits(lab: LabServer) -> None:
    with connect(lab) as other, connect(lab) as connection:
        opened = WinRS(connection)
        opened.open()
        process = begin(opened, "sleep 300")
        receiving = threading.Event()
        lab.on_message = lambda record, message: receiving.set() if record.action == "Receive" else None

        def delete() -> None:
            assert receiving.wait(HANG_S)
            time.sleep(0.2)
            other.delete(opened.resource_uri, selector_set=opened._selector_set)

        deleting = threading.Thread(target=delete)
        deleting.start()
        assert refused(process.poll_invoke) == wsman.ABORTED
        deleting.join()


def test_a_client_that_does_not_fetch_holds_its_command_back(lab: LabServer) -> None:
    with shell(lab) as opened:
        process = begin(opened, "yes | head -c 4000000")
        assert eventually(lambda: lab.shells.held_bytes > 1_000_000)
        time.sleep(0.2)
        assert lab.shells.held_bytes < 1_200_000
        process.end_invoke()
        assert len(process.stdout) == 4_000_000


def test_stopping_is_quick_and_leaves_no_thread() -> None:
    before = {thread.ident for thread in threading.enumerate()}
    with LabServer(PowerShellEngine(["no-powershell"])) as lab:
        connection = connect(lab)
        opened = WinRS(connection)
        opened.open()
        for command in ("sleep 300", "yes", "cat"):
            begin(opened, command)
        begun = time.monotonic()
    assert time.monotonic() - begun < HANG_S
    connection.close()
    assert {thread.ident for thread in threading.enumerate()} <= before


# Lost answers, and requests that are none


def receive(opened: WinRS, process: Process) -> str:
    return envelope(
        wsman.RECEIVE,
        shell_id=opened.id,
        resource=wsman.CMD_RESOURCE,
        body=f'<rsp:Receive><rsp:DesiredStream CommandId="{process.id}">stdout stderr</rsp:DesiredStream></rsp:Receive>',
    )


@pytest.mark.parametrize("fault", ["cut_answer", "torn"])
def test_output_in_a_lost_answer_is_given_again(lab: LabServer, fault: str) -> None:
    setattr(lab.faults, fault, At(3))
    with shell(lab) as opened:
        process = begin(opened, "echo out; echo err >&2; exit 5")
        with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
            process.end_invoke()
        process.end_invoke()
        assert (process.stdout, process.stderr, process.rc) == (b"out\n", b"err\n", 5)


def test_the_same_message_gets_the_same_answer_again(lab: LabServer) -> None:
    with shell(lab) as opened:
        process = begin(opened, "echo once; exit 5")
        assert eventually(lambda: lab.shells.held_bytes > 0)
        body = receive(opened, process)
        one, again = (post(lab, body).text.split("<rsp:ReceiveResponse>")[1] for _ in range(2))
        assert one == again
        assert base64.b64encode(b"once\n").decode() in one


def test_a_command_that_was_cut_off_before_it_arrived_was_never_run(lab: LabServer, tmp_path: Path) -> None:
    lab.faults.cut_request = At(2)
    with shell(lab) as opened:
        with pytest.raises(requests.ConnectionError):
            begin(opened, f"touch {tmp_path}/ran")
        begin(opened, "true").end_invoke()
    assert not (tmp_path / "ran").exists()


def test_garbage_comes_before_the_output(lab: LabServer) -> None:
    lab.faults.garbage = lab.faults.host_call = At(1)
    out, _, code = pypsrp(lab).execute_cmd("echo out")
    assert out.endswith("junkout\n")
    assert code == 0


def test_clients_choose_ids_or_get_some(lab: LabServer) -> None:
    chosen = "6A3F0F6E-2F0C-4A52-9A55-0D8C1F4B7A10"
    with shell(lab, id=chosen) as opened:
        assert opened.id == chosen
        assert opened.output_streams == "stdout stderr"
        answer = opened.command("echo hi", None, command_id=chosen.lower())
        assert answer.findtext(".//{*}CommandId") == chosen
        assert begin(opened, "true").id != chosen
        assert opened._get_shell()["InputStreams"] == "stdin"


def test_what_is_no_request_is_a_fault(lab: LabServer) -> None:
    options = OptionSet()
    options.add_option("WINRS_CODEPAGE", "99999")
    with connect(lab) as connection:
        assert refused(lambda: WinRS(connection).open(options)) == wsman.UNSUPPORTED
    with pytest.raises(PywinrmFault, match="IdleTimeOut"):
        pywinrm(lab).protocol.open_shell(idle_timeout=60)
    with shell(lab) as opened:
        assert refused(lambda: opened.receive("stdout stderr")) == wsman.NO_SUCH_SHELL
        process = begin(opened, "sleep 300")
        assert refused(lambda: process.signal(SignalCode.CTRL_BREAK)) == wsman.UNSUPPORTED
        protocol = pywinrm(lab).protocol
        with pytest.raises(WinRMTransportError, match="413"):
            protocol.send_command_input(opened.id, process.id, b"x" * 400_000)
    assert not lab.shells.open_shells


def test_a_replay_host_runs_no_command() -> None:
    with LabServer(replay()) as lab:
        ran = pywinrm(lab).run_ps(script("streams"))
        assert (ran.std_out, ran.status_code) == (b"", 1)
        assert b"runs only the script that lyncarr ships" in ran.std_err
