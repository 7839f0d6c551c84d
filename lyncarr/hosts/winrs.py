"""A remote PowerShell by WinRS: core.model.Shell over pywinrm, one process in one shell for all requests, lines on its standard streams."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from xml.sax.saxutils import unescape

import xmltodict
from pypsrp.exceptions import WinRMTransportError as FaultAnswer
from winrm.exceptions import WinRMOperationTimeoutError, WinRMTransportError, WSManFaultError
from winrm.protocol import Protocol

from lyncarr.core.errors import LostConnectionError, ProtocolError, RefusedError
from lyncarr.core.model import Deadline, Event, Secret
from lyncarr.core.text import safe
from lyncarr.hosts.faults import TIMED_OUT, of_fault, translated
from lyncarr.hosts.http.retry import asking
from lyncarr.hosts.http.transport import Transport
from lyncarr.hosts.shell import IDLE_TIMEOUT_S, RemoteShell
from lyncarr.hosts.target import Target
from lyncarr.powershell import lines
from lyncarr.powershell.protocol import EventReader

UTF8 = 65001
CHUNK_BYTES = 100 * 1024
"""Of standard input in one Send: in base64, and with its envelope, below the 150 KB that an old host takes."""
MAX_STDERR_BYTES = 16 * 1024
CLIXML_ERROR = re.compile(r'<S S="Error">([^<]*)</S>')
CMD_RESOURCE = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell/cmd"
SHELL = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
RECEIVE_ACTION = f">{SHELL}/Receive</a:Action>"
NO_SHELL = "opens no command shell (WinRM fault {code}). Are remote shells allowed there (winrm/config/winrs AllowRemoteShellAccess)?"


class WinrsShell(RemoteShell):
    """One command shell on `target`, and in it one powershell.exe. `secrets` are a line of its standard input."""

    _process: _Process | None = None
    _sent = 0
    _end_due = False
    """Whether the end of the request before is still to be read."""

    def _open(self) -> str:
        self._process = process = _Process(self._target, self._transport, self._operation_timeout_s)
        process.start()
        while process.exit_code is None:
            for line in process.read():
                if line.startswith(lines.VERSION):
                    return line.removeprefix(lines.VERSION)
                raise ProtocolError(
                    f"{self._target.where} put out something before lyncarr's bootstrap did. Does cmd.exe run something there first "
                    r"(the value AutoRun of HKLM\SOFTWARE\Microsoft\Command Processor, or of the account's)? Else check the address.",
                    detail=safe(line),
                )
        raise RefusedError(
            f"{self._target.where} does not run powershell.exe in a command shell (exit code {process.exit_code}). "
            "Does a policy or an antivirus there stop it?",
            detail=process.errors,
        )

    def _converse(
        self,
        script: str | None,
        request: str,
        secrets: Mapping[str, Secret],
        reader: EventReader,
        on_event: Callable[[Event], None],
    ) -> None:
        process = self._process
        assert process is not None  # noqa: S101  (opened by now)
        self._sent += 1
        self._send(process, lines.encode(script, request, {name: secret.reveal() for name, secret in secrets.items()}))
        ended = False
        # The end of a request is not waited for when its last event is there: that can be an answer of its own.
        while not (ended or reader.done):
            for line in process.read():
                if ended or (self._end_due and not line.startswith(lines.MARK)):
                    raise self._strange(line)
                if not line.startswith(lines.MARK):
                    self._hand_on(line, reader, on_event)
                elif self._is_end(line, process):
                    ended, self._end_due = not self._end_due, False
            if process.exit_code is not None and not (ended or reader.done):
                raise self._script_ended(f"it ended with exit code {process.exit_code}.", process.errors)
        self._end_due = not ended
        reader.finish()

    def _send(self, process: _Process, data: bytes) -> None:
        pieces = lines.pieces(data, CHUNK_BYTES)
        for number, piece in enumerate(pieces, 1):
            try:
                process.write(piece)
            except LostConnectionError:
                if number < len(pieces):
                    # More of it was to come: the host waits for that, and has begun nothing.
                    raise
                # Perhaps only the answer was lost. Never sent again, and not ended in the middle of a write either: the bootstrap is
                # asked whether the request has arrived. It answers by what the request has to say, or that it is not whole, and ends.
                self._ask(process)

    def _ask(self, process: _Process) -> None:
        """Ask whether the request has arrived. Windows is busy (fault 170) while it still takes the piece before."""
        asking(lambda: not (self._interrupted or self._transport.over))(process.write, lines.ask(self._sent))

    def _is_end(self, line: str, process: _Process) -> bool:
        """What a line that is no event says; True at the end of the request."""
        if line == lines.END:
            return True
        if line == lines.INCOMPLETE:
            raise LostConnectionError(f"The connection was lost, and with it the request to {self._target.where}; it was not begun there.")
        if line.startswith(lines.ERROR):
            raise self._script_ended(safe(line.removeprefix(lines.ERROR), 500), process.errors)
        raise self._strange(line)

    def _strange(self, line: str) -> ProtocolError:
        return ProtocolError(
            f"{self._target.where} put out what lyncarr's bootstrap does not; nothing more is read from it. Is that a machine of yours?",
            detail=safe(line),
        )

    def _stop(self, end: Deadline) -> None:
        process = self._process
        if process is None or not process.command or process.exit_code is not None:
            return
        process.signal("ctrl_c")
        while process.exit_code is None and not end.passed:
            process.read()
        if process.exit_code is None:
            process.signal("terminate")

    def _take_deletion(self) -> Callable[[], None] | None:
        process, self._process = self._process, None
        return None if process is None or not process.shell else process.delete


def readable(errors: bytes) -> str:
    """What standard error has to say, made harmless.

    Windows PowerShell writes it as CLIXML where its command came encoded, behind the progress of loading its modules.
    """
    text = errors.decode("utf-8", "replace")
    if text.startswith("#< CLIXML"):
        text = unescape("".join(CLIXML_ERROR.findall(text))).replace("_x000D__x000A_", " ") or text
    return safe(text, 400)


class _Process:
    """The shell and its one command. All of it raises errors of core/errors.py."""

    def __init__(self, target: Target, transport: Transport, operation_timeout_s: int) -> None:
        self._target = target
        self._protocol = _Protocol(_Messages(transport), operation_timeout_s)
        self._output = lines.LineReader()
        self._errors = b""
        self.shell = ""
        self.command = ""
        self.exit_code: int | None = None

    @property
    def errors(self) -> str:
        """What it wrote to standard error, as far as that is kept."""
        return readable(self._errors)

    def start(self) -> None:
        """Open the shell and start the bootstrap in it, with standard input a pipe: as a console's it would be edited and echoed."""
        with self._translated():
            self.shell = self._protocol.open_shell(codepage=UTF8, idle_timeout=f"PT{IDLE_TIMEOUT_S}S")
            self.command = self._protocol.run_command(self.shell, lines.command_line(), console_mode_stdin=False)

    def write(self, data: bytes) -> None:
        with self._translated():
            self._protocol.send_command_input(self.shell, self.command, data)

    def read(self) -> list[str]:
        """The lines that have come; waits for them for one operation time-out. Sets `exit_code` where they are the last."""
        with self._translated():
            try:
                output, errors, code, ended = self._protocol.get_command_output_raw(self.shell, self.command)
            except WinRMOperationTimeoutError:
                return []
            self._errors = (self._errors + errors)[:MAX_STDERR_BYTES]
            if ended:
                self.exit_code = code
            return self._output.feed(output)

    def signal(self, name: str) -> None:
        """pywinrm itself knows terminate only."""
        header = self._protocol.build_wsman_header(f"{SHELL}/Signal", CMD_RESOURCE, self.shell)
        body = {"rsp:Signal": {"@CommandId": self.command, "rsp:Code": f"{SHELL}/signal/{name}"}}
        with self._translated():
            self._protocol.send_message(xmltodict.unparse({"env:Envelope": {**header, "env:Body": body}}))

    def delete(self) -> None:
        """The processes in the shell go with it."""
        with self._translated():
            self._protocol.close_shell(self.shell, close_session=False)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        opened = self.shell != ""
        with translated(self._target, opened=opened):
            try:
                yield
            except WSManFaultError as fault:
                raise of_fault(fault.wsman_fault_code, fault.reason, self._target, opened=opened, refused=NO_SHELL) from None
            except WinRMOperationTimeoutError:
                raise of_fault(TIMED_OUT, "", self._target, opened=opened) from None


class _Protocol(Protocol):
    """pywinrm's messages over lyncarr's transport.

    Does not call Protocol's constructor: that makes a transport of pywinrm's, which changes the warning filters of the whole process.
    """

    def __init__(self, transport: _Messages, operation_timeout_s: int) -> None:
        self.transport = transport  # type: ignore[assignment]
        self.operation_timeout_sec = operation_timeout_s
        self.read_timeout_sec = operation_timeout_s + 1
        self.max_env_sz = Protocol.DEFAULT_MAX_ENV_SIZE
        self.locale = Protocol.DEFAULT_LOCALE


class _Messages:
    """Stands where pywinrm has its own HTTP transport. Of that one Protocol uses these two only; a test fails when that changes."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def send_message(self, message: str) -> bytes:
        """The answer to one SOAP message. Only a Receive may be sent again; see Transport.send."""
        try:
            return self._transport.send(message.encode("utf-8"), retries_on_read_timeout=int(RECEIVE_ACTION in message))
        except FaultAnswer as fault:
            raise WinRMTransportError("http", 500, fault.response_text) from None

    def close_session(self) -> None:
        self._transport.reset()
