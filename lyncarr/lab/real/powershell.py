"""The engine with a real PowerShell behind it: one process a shell, PowerShell's own PSRP server in each (`pwsh -s`).

Packets travel over its standard input and output, one a line, as between a PowerShell and its background jobs. The commands of WinRS
shells are processes too: powershell.exe is this PowerShell, anything else goes to this system's shell.
"""

from __future__ import annotations

import base64
import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from lyncarr.lab.real.command_line import asks_for_cmd, powershell_arguments, split
from lyncarr.lab.real.processes import HostProcess
from lyncarr.lab.wire import wsman
from lyncarr.lab.wire.engine import Output, ProcessOutput, ProcessStart

if sys.platform == "win32":
    raise ImportError("This module needs POSIX: process groups, waitid and file locks.")

ARGUMENTS = ("-NoLogo", "-NoProfile", "-NonInteractive", "-ExecutionPolicy", "Bypass", "-s")
POOL = str(uuid.UUID(int=0))
PACKET = re.compile(rb"<(Data|DataAck|CommandAck|SignalAck|CloseAck)\b[^>]*PSGuid='([0-9A-Fa-f-]{36})'[^>]*?(?:/>|>([^<]*)<)")
ACK_S = 60.0
LINES_KEPT = 20
WINESERVERS = ("/usr/lib/wine/wineserver64", "/usr/lib/wine/wineserver", "/usr/bin/wineserver64", "/usr/bin/wineserver")


@dataclass(frozen=True)
class Program:
    """A process to start. Its streams are translated between UTF-8 and `codepage`; `at_end` is called when it is gone."""

    command: list[str]
    codepage: int
    at_end: Callable[[], None] = lambda: None


class PowerShellEngine:
    """Starts `command` (a program and its own arguments) for each shell.

    `environment` is the whole environment of the processes, by default this one's. `wine_prefix` is given where the
    engine runs on Wine and this lab owns that prefix: its server is ended with the lab.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        computer: str = "RP01",
        wine_prefix: Path | None = None,
    ) -> None:
        self._powershell = tuple(command)
        self._environment = dict(os.environ if environment is None else environment)
        self._computer = computer
        self._wine_prefix = wine_prefix
        self._lock = threading.Lock()
        self._running: set[PowerShellShell | HostProcess] = set()
        self._closed = False

    @property
    def computer(self) -> str:
        return self._computer

    def open(self, shell_id: str, creation: bytes, output: Output) -> PowerShellShell:
        shell = PowerShellShell((*self._powershell, *ARGUMENTS), self._environment, output)
        self._remember(shell)
        shell.data(POOL, "Default", creation)
        return shell

    def open_process(self, start: ProcessStart, output: ProcessOutput) -> HostProcess:
        arguments = None if start.through_cmd and asks_for_cmd(start.line) else powershell_arguments(start.line)
        program = self.program(start) if arguments is None else Program([*self._powershell, *arguments], start.codepage)
        process = HostProcess(
            program.command,
            self.variables(start),
            output,
            folder=None if start.folder is None else self.folder(start.folder),
            codepage=program.codepage,
            at_end=program.at_end,
        )
        self._remember(process)
        return process

    def program(self, start: ProcessStart) -> Program:
        """Anything but powershell.exe, as this system starts it."""
        return Program(["/bin/sh", "-c", start.line] if start.through_cmd else split(start.line), start.codepage)

    def folder(self, path: str) -> Path:
        """A folder of the host as this system names it."""
        return Path(path)

    def variables(self, start: ProcessStart) -> dict[str, str]:
        """All variables of a process."""
        return {**self._environment, **start.environment}

    def _remember(self, started: PowerShellShell | HostProcess) -> None:
        with self._lock:
            self._running = {other for other in self._running if other.running} | {started}
            closed = self._closed
        if closed:
            started.close()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            running, self._running = self._running, set()
        for started in running:
            started.close()
        if self._wine_prefix is not None:
            end_wine(self._wine_prefix)


def end_wine(prefix: Path) -> None:
    """End all processes of a Wine prefix, and wait until its registry is written."""
    server = next((name for name in WINESERVERS if Path(name).exists()), None)
    if server is None:
        return
    environment = {**os.environ, "WINEPREFIX": str(prefix)}
    for switch in ("-k", "-w"):
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run([server, switch], env=environment, capture_output=True, timeout=10, check=False)  # noqa: S603


class PowerShellShell:
    """One process. Its packets are sent one at a time, each after the acknowledgement of the one before."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], output: Output) -> None:
        self._output = output
        self._turn = threading.Lock()
        self._write_lock = threading.Lock()
        self._acknowledged = threading.Event()
        self._last_words: deque[str] = deque(maxlen=LINES_KEPT)
        self._closed = False
        # A session of its own, so that whatever the scripts start goes down with it.
        self._process = subprocess.Popen(  # noqa: S603  (the command is the one the person typed)
            command,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._stdin = cast("IO[bytes]", self._process.stdin)
        self._listener = threading.Thread(target=self._hear, args=(self._process.stderr,), name="lab-stderr", daemon=True)
        self._listener.start()
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,), name="lab-stdout", daemon=True)
        self._reader.start()

    @property
    def running(self) -> bool:
        return not self._closed

    @property
    def pid(self) -> int:
        return self._process.pid

    def command(self, command_id: str, data: bytes) -> None:
        with self._turn:
            self._send_and_wait(f"<Command PSGuid='{command_id.lower()}' />")
        self.data(command_id.lower(), "Default", data)

    def send(self, command_id: str | None, stream: str, data: bytes) -> None:
        self.data((command_id or POOL).lower(), "PromptResponse" if stream == "pr" else "Default", data)

    # The acknowledgement of these two comes when the pipeline has stopped, and that may take as long as it likes.

    def stop(self, command_id: str) -> None:
        self._write_line(f"<Signal PSGuid='{command_id.lower()}' />")

    def terminate(self, command_id: str) -> None:
        self._write_line(f"<Close PSGuid='{command_id.lower()}' />")

    def data(self, target: str, stream: str, data: bytes) -> None:
        """Send PSRP fragments; raises Fault where the process does not take them."""
        with self._turn:
            self._send_and_wait(f"<Data Stream='{stream}' PSGuid='{target}'>{base64.b64encode(data).decode('ascii')}</Data>")

    def _send_and_wait(self, line: str) -> None:
        self._acknowledged.clear()
        self._write_line(line)
        if not self._acknowledged.wait(ACK_S):
            raise wsman.aborted("PowerShell did not take a packet")
        if self._closed:
            raise wsman.aborted(self._obituary())

    def _write_line(self, line: str) -> None:
        try:
            with self._write_lock:
                self._stdin.write(line.encode("ascii") + b"\n")
                self._stdin.flush()
        except (OSError, ValueError) as error:
            self._listener.join(0.5)
            raise wsman.aborted(self._obituary()) from error

    def _obituary(self) -> str:
        words = "; ".join(self._last_words)
        return f"PowerShell's process has ended{': ' if words else ''}{words}"

    def _hear(self, stream: IO[bytes]) -> None:
        with stream:
            for line in stream:
                self._last_words.append(line.decode("utf-8", "replace").strip())

    def _read(self, stream: IO[bytes]) -> None:
        with stream:
            for line in stream:
                found = PACKET.search(line)
                if found is None:
                    continue  # what scripts print past PowerShell's own streams
                kind, target = found.group(1), found.group(2).decode("ascii")
                if kind == b"Data":
                    self._output.write(None if target == POOL else target.upper(), [base64.b64decode(found.group(3))])
                elif kind in (b"DataAck", b"CommandAck"):
                    self._acknowledged.set()
        if not self._closed:
            self._listener.join(0.5)
            self.close()
            self._output.broken(self._obituary())

    def close(self) -> None:
        """Kill the process and all that it started: on Wine, and in the middle of a pipeline, it would not end by itself."""
        if self._closed:
            return
        self._closed = True
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._acknowledged.set()
        with contextlib.suppress(OSError, ValueError):
            self._stdin.close()
        for thread in (self._reader, self._listener):
            if thread is not threading.current_thread():
                thread.join(1.0)
