"""A remote PowerShell over WinRS: core.model.Shell by pywinrm. One process in one shell gets all requests, as lines of its input."""

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
from lyncarr.hosts.target import CHECK_ADDRESS, RUN_AGAIN, Target
from lyncarr.powershell import lines
from lyncarr.powershell.protocol import EventReader

UTF8 = 65001
CHUNK_BYTES = 100 * 1024
"""Standard input of one Send. In base64 and with its envelope it stays below 150 KB, the limit of old hosts."""
MAX_STDERR_BYTES = 16 * 1024
CLIXML_ERROR = re.compile(r'<S S="Error">([^<]*)</S>')
CMD_RESOURCE = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell/cmd"
SHELL = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
RECEIVE_ACTION = f">{SHELL}/Receive</a:Action>"
NO_SHELL = ("does not open a command shell", "Allow remote shells on the host (winrm/config/winrs AllowRemoteShellAccess).")


class WinrsShell(RemoteShell):
    """One command shell on `target` with one powershell.exe in it. `secrets` are a line of its standard input."""

    _process: _Process | None = None
    _sent = 0
    _end_due = False
    """Whether the end of the previous request is not read yet."""

    def _open(self) -> str:
        self._process = process = _Process(self._target, self._transport, self._operation_timeout_s)
        process.start()
        while process.exit_code is None:
            for line in process.read():
                if line.startswith(lines.VERSION):
                    return line.removeprefix(lines.VERSION)
                raise ProtocolError(
                    f"{self._target.where} sent output before the bootstrap of lyncarr started.",
                    hint=r"Check the value AutoRun of the key SOFTWARE\Microsoft\Command Processor in HKLM and HKCU on the host, "
                    "then the address.",
                    detail=safe(line),
                )
        raise RefusedError(
            f"{self._target.where} does not run powershell.exe in a command shell (exit code {process.exit_code}).",
            hint="Check whether a policy or antivirus software on the host blocks it.",
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
        # After the last event lyncarr does not wait for the end mark of the request, which can need an answer of its own.
        while not (ended or reader.done):
            for line in process.read():
                if ended or (self._end_due and not line.startswith(lines.MARK)):
                    raise self._unexpected(line)
                if not line.startswith(lines.MARK):
                    self._report(line, reader, on_event)
                elif self._is_end(line, process):
                    ended, self._end_due = not self._end_due, False
            if process.exit_code is not None and not (ended or reader.done):
                raise self._script_ended(f"exit code {process.exit_code}.", process.errors)
        self._end_due = not ended
        reader.finish()

    def _send(self, process: _Process, data: bytes) -> None:
        pieces = lines.pieces(data, CHUNK_BYTES)
        for number, piece in enumerate(pieces, 1):
            try:
                process.write(piece)
            except LostConnectionError:
                if number < len(pieces):
                    # More of the request was to follow. The host waits for it and has not started the request.
                    raise
                # Possibly only the answer was lost. The request is never sent again, and a write is not interrupted: lyncarr asks the
                # bootstrap whether the request arrived. It answers with the output of the request, or that the request is incomplete,
                # and then ends.
                self._ask(process)

    def _ask(self, process: _Process) -> None:
        """Ask whether the request arrived. Windows answers with fault 170 (busy) while it still reads the previous piece."""
        asking(lambda: not (self._interrupted or self._transport.over))(process.write, lines.ask(self._sent))

    def _is_end(self, line: str, process: _Process) -> bool:
        """Whether `line`, which is not an event, is the end of the request. Raises the error that another mark means."""
        if line == lines.END:
            return True
        if line == lines.INCOMPLETE:
            raise LostConnectionError(
                f"The connection was lost while a request was sent to {self._target.where}; the host did not start the request.",
                hint=RUN_AGAIN,
            )
        if line.startswith(lines.ERROR):
            raise self._script_ended(safe(line.removeprefix(lines.ERROR), 500), process.errors)
        raise self._unexpected(line)

    def _unexpected(self, line: str) -> ProtocolError:
        return ProtocolError(
            f"{self._target.where} sent output that the bootstrap of lyncarr never writes; lyncarr stopped reading.",
            hint=CHECK_ADDRESS,
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
    """The text of standard error, safe to show.

    Windows PowerShell writes CLIXML where its command was encoded; the progress of loading modules stands before the errors.
    """
    text = errors.decode("utf-8", "replace")
    if text.startswith("#< CLIXML"):
        text = unescape("".join(CLIXML_ERROR.findall(text))).replace("_x000D__x000A_", " ") or text
    return safe(text, 400)


class _Process:
    """The shell and its only command. Every method raises errors of core/errors.py."""

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
        """The first MAX_STDERR_BYTES of its standard error, as text."""
        return readable(self._errors)

    def start(self) -> None:
        """Open the shell and start the bootstrap in it. Standard input is a pipe: a console would edit and echo it."""
        with self._translated():
            self.shell = self._protocol.open_shell(codepage=UTF8, idle_timeout=f"PT{IDLE_TIMEOUT_S}S")
            self.command = self._protocol.run_command(self.shell, lines.command_line(), console_mode_stdin=False)

    def write(self, data: bytes) -> None:
        with self._translated():
            self._protocol.send_command_input(self.shell, self.command, data)

    def read(self) -> list[str]:
        """The lines that arrived within one operation timeout. Sets `exit_code` when the process has ended."""
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
        """Send a signal. pywinrm itself supports terminate only."""
        header = self._protocol.build_wsman_header(f"{SHELL}/Signal", CMD_RESOURCE, self.shell)
        body = {"rsp:Signal": {"@CommandId": self.command, "rsp:Code": f"{SHELL}/signal/{name}"}}
        with self._translated():
            self._protocol.send_message(xmltodict.unparse({"env:Envelope": {**header, "env:Body": body}}))

    def delete(self) -> None:
        """Delete the shell. Its processes end with it."""
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
    """Replaces the HTTP transport of pywinrm, of which Protocol uses these two methods only (a test fails when that changes)."""

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
