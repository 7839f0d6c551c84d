"""What hosts/winrs.py relies on inside pywinrm, beyond its documented interface. A new pywinrm that fails here must be read."""

from __future__ import annotations

import inspect
import re
import warnings
import xml.etree.ElementTree as ElementTree
from typing import Any

from pypsrp.wsman import NAMESPACES
from winrm.protocol import Protocol

from lyncarr.hosts import winrs
from lyncarr.hosts.winrs import CHUNK_BYTES, CMD_RESOURCE, RECEIVE_ACTION, SHELL
from lyncarr.lab.wire.wsman import DEFAULT_ENVELOPE_BYTES, RECEIVE
from lyncarr.powershell import lines

SHELL_ID = "67F9F5A4-9C9A-4B4E-9B1F-0B8C7D5C1A11"


class Kept:
    """A transport that keeps what it is given, and answers with nothing."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def send_message(self, message: str) -> bytes:
        self.messages.append(message)
        return b"<x><Selector Name='ShellId'>1</Selector><CommandId>2</CommandId></x>"


def made(name: str, *arguments: Any, **options: Any) -> tuple[str, ElementTree.Element]:
    """The message that a method of Protocol sends: its text, and its envelope."""
    kept = Kept()
    protocol = winrs._Protocol(kept, 20)  # type: ignore[arg-type]
    getattr(protocol, name)(*arguments, **options)
    return kept.messages[0], ElementTree.fromstring(kept.messages[0])


def test_protocol_asks_its_transport_for_two_things_only() -> None:
    """hosts/winrs.py stands in for it, and has no more."""
    used = set(re.findall(r"\bself\.transport\.(\w+)", inspect.getsource(Protocol)))
    assert used == {"send_message", "close_session"}
    assert used <= set(dir(winrs._Messages))


def test_protocol_is_made_without_a_transport_of_pywinrm_and_misses_nothing() -> None:
    """hosts/winrs.py sets what the methods read, because the constructor changes warning filters and keeps an account."""
    methods = [inspect.getsource(method) for name, method in inspect.getmembers(Protocol, inspect.isfunction) if name != "__init__"]
    read = {name for text in methods for name in re.findall(r"\bself\.(\w+)", text)} - set(dir(Protocol))
    filters = list(warnings.filters)
    assert read <= set(vars(winrs._Protocol(Kept(), 20)))  # type: ignore[arg-type]
    assert list(warnings.filters) == filters


def test_a_fault_is_known_by_what_the_transport_raises() -> None:
    assert "except WinRMTransportError as ex" in inspect.getsource(Protocol.send_message)


def test_only_a_receive_is_recognized_as_one() -> None:
    """The action in the text of a message decides whether it may be sent again."""
    assert f">{RECEIVE}</a:Action>" == RECEIVE_ACTION
    others = [("open_shell",), ("run_command", SHELL_ID, RECEIVE), ("send_command_input", SHELL_ID, "1", RECEIVE_ACTION.encode())]
    assert [RECEIVE_ACTION in made(*call)[0] for call in others] == [False] * 3
    assert RECEIVE_ACTION in made("get_command_output_raw", SHELL_ID, "1")[0]


def test_the_shell_speaks_utf_8_and_standard_input_is_a_pipe() -> None:
    _, shell = made("open_shell", codepage=winrs.UTF8, idle_timeout="PT60S")
    options = {option.get("Name"): option.text for option in shell.iterfind(".//{*}Option")}
    assert options == {"WINRS_NOPROFILE": "FALSE", "WINRS_CODEPAGE": "65001"}
    assert shell.findtext(".//{*}IdleTimeOut") == "PT60S"
    assert shell.findtext(".//{*}ResourceURI") == CMD_RESOURCE
    _, command = made("run_command", SHELL_ID, lines.command_line(), console_mode_stdin=False)
    options = {option.get("Name"): option.text for option in command.iterfind(".//{*}Option")}
    assert options == {"WINRS_CONSOLEMODE_STDIN": "FALSE", "WINRS_SKIP_CMD_SHELL": "FALSE"}
    assert command.findtext(".//{*}Command") == lines.command_line()


def test_a_piece_of_input_fits_into_the_envelope_of_an_old_host() -> None:
    text, message = made("send_command_input", SHELL_ID, SHELL_ID, b"\xff" * CHUNK_BYTES)
    assert len(text.encode()) < DEFAULT_ENVELOPE_BYTES
    stream = message.find(".//{*}Stream")
    assert stream is not None
    assert (stream.get("Name"), stream.get("End"), stream.get("CommandId")) == ("stdin", "false", SHELL_ID)


def test_a_header_is_an_envelope_that_a_signal_can_be_put_into() -> None:
    """pywinrm itself knows terminate only."""
    header = winrs._Protocol(Kept(), 20).build_wsman_header(f"{SHELL}/Signal", CMD_RESOURCE, SHELL_ID)
    assert set(header) >= {"env:Header", "@xmlns:env", "@xmlns:rsp"}
    assert header["@xmlns:rsp"] == NAMESPACES["rsp"]
    assert "shell/signal/terminate" in inspect.getsource(Protocol.cleanup_command)


def test_the_errors_of_windows_powershell_are_read_out_of_their_clixml() -> None:
    progress = '<Obj S="progress" RefId="0"><TN RefId="0"><T>System.Management.Automation.PSCustomObject</T></TN></Obj>' * 5
    said = '<S S="Error">Cannot invoke &lt;method&gt;._x000D__x000A_</S><S S="Error">At line:1</S>'
    text = f'#< CLIXML\r\n<Objs Version="1.1.0.1">{progress}{said}</Objs>'
    assert winrs.readable(text.encode()) == "Cannot invoke <method>. At line:1"
    assert winrs.readable(b"plain \x1b[31m text").startswith("plain ")
    assert "\x1b" not in winrs.readable(b"plain \x1b[31m text")
