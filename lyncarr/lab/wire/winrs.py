"""The inside of a WinRS shell: processes of the engine, each with a channel of its own."""

from __future__ import annotations

import codecs
import threading
import xml.etree.ElementTree as ET
from dataclasses import dataclass

from lyncarr.lab.wire import wsman
from lyncarr.lab.wire.channels import Channel
from lyncarr.lab.wire.engine import OEM_CODEPAGE, Engine, EngineProcess, ProcessStart, Stream
from lyncarr.lab.wire.wsman import NAMESPACES, Message

LONGEST_LINE = 8191  # cmd.exe's: https://learn.microsoft.com/troubleshoot/windows-client/shell-experience/command-line-string-limitation
LONGEST_LINE_WITHOUT_CMD = 32_767  # CreateProcess's
TOO_LONG = b"The command line is too long.\r\n"
PACKET_BYTES = 8192  # small against any envelope that a client may ask for
BEHIND_BYTES = 1024 * 1024


@dataclass(frozen=True)
class _Output:
    """The ProcessOutput of one command."""

    channel: Channel

    def write(self, stream: Stream, data: bytes) -> None:
        self.channel.wait_for_room(BEHIND_BYTES)
        self.channel.write((data[at : at + PACKET_BYTES] for at in range(0, len(data), PACKET_BYTES)), stream=stream)

    def exited(self, code: int) -> None:
        self.channel.write((), exit_code=code)


class Commands:
    """The commands of one shell. `creation` is its rsp:Shell element, `options` are those of its Create. Raises Fault."""

    streams = ("stdin", "stdout stderr")
    psrp = False

    def __init__(self, engine: Engine, shell_id: str, channels: dict[str | None, Channel], creation: ET.Element, message: Message) -> None:
        self._engine = engine
        self._shell_id = shell_id
        self._channels = channels
        self._codepage = _codepage(message.options.get("WINRS_CODEPAGE"))
        self._folder = creation.findtext("rsp:WorkingDirectory", None, NAMESPACES) or None
        variables = creation.findall("rsp:Environment/rsp:Variable", NAMESPACES)
        self._environment = {variable.get("Name", ""): variable.text or "" for variable in variables}
        self._lock = threading.Lock()
        self._processes: dict[str, EngineProcess] = {}
        self._closed = False

    def command(self, command_id: str, line: ET.Element, message: Message) -> None:
        """Start a process. A line too long for cmd.exe is started and fails, as there; without cmd.exe it is a fault."""
        output = _Output(self._channels[command_id])
        start = ProcessStart(
            self._shell_id,
            command_id,
            command=line.findtext("rsp:Command", "", NAMESPACES),
            arguments=tuple(argument.text or "" for argument in line.findall("rsp:Arguments", NAMESPACES)),
            through_cmd=message.options.get("WINRS_SKIP_CMD_SHELL", "").upper() != "TRUE",
            codepage=self._codepage,
            environment=self._environment,
            folder=self._folder,
        )
        if start.through_cmd and len(start.line) > LONGEST_LINE:
            output.write("stderr", TOO_LONG)
            output.exited(1)
            return
        if len(start.line) > LONGEST_LINE_WITHOUT_CMD:
            raise wsman.windows_error(wsman.LINE_TOO_LONG, "The filename or extension is too long.")
        process = self._engine.open_process(start, output)
        with self._lock:
            self._processes[command_id] = process
            unwanted = self._closed or command_id not in self._channels
        if unwanted:  # the shell was deleted, or the command terminated, while it was being started
            process.close()

    def send(self, command_id: str | None, stream: str, data: bytes, end: bool) -> None:
        process = self._process(command_id)
        if data:
            process.send(data)
        if end:
            process.end_input()

    def interrupt(self, command_id: str) -> None:
        if (process := self._processes.get(command_id)) is not None:  # a line that was too long never had one
            process.interrupt()

    def terminate(self, command_id: str) -> None:
        with self._lock:
            process = self._processes.pop(command_id, None)
        if process is not None:
            process.close()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            processes, self._processes = list(self._processes.values()), {}
        for process in processes:
            process.close()

    def _process(self, command_id: str | None) -> EngineProcess:
        process = self._processes.get(command_id or "")
        if process is None:
            raise wsman.windows_error(wsman.BROKEN_PIPE, "The pipe has been ended.")
        return process


def _codepage(text: str | None) -> int:
    """The code page that Create names; raises Fault for one that Windows could not have."""
    if text is None:
        return OEM_CODEPAGE
    try:
        codecs.lookup(f"cp{int(text)}")
    except (ValueError, LookupError) as error:
        raise wsman.unsupported(f"The code page {text} is not valid.") from error
    return int(text)
