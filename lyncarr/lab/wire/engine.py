"""What stands behind the wire: an engine makes runspace pools, which speak PSRP fragments, and processes, which speak bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

Stream = Literal["stdout", "stderr"]
OEM_CODEPAGE = 437
CONTROL_C_EXIT = 0xC000013A  # what Windows gives a process that Ctrl-C ended
KILLED_EXIT = 1


class Output(Protocol):
    """Where a shell of an engine writes to; safe to call from any thread."""

    def write(self, command_id: str | None, packets: Sequence[bytes]) -> None:
        """Packets of whole PSRP fragments for one pipeline, or for the runspace pool (None); written together, they can leave together."""

    def broken(self, reason: str) -> None:
        """The shell is gone without having been closed."""


class EngineShell(Protocol):
    """One runspace pool. Ids are upper-case UUIDs. Calls may come from several threads."""

    def command(self, command_id: str, data: bytes) -> None: ...

    def send(self, command_id: str | None, stream: str, data: bytes) -> None: ...

    def stop(self, command_id: str) -> None: ...

    def terminate(self, command_id: str) -> None: ...

    def close(self) -> None:
        """End at once, whatever runs. Must not raise and may be called twice."""


@dataclass(frozen=True)
class ProcessStart:
    """One command of a WinRS shell, as the client gave it.

    `command` and `arguments`, joined by blanks, are the command line: clients put all of it into `command`, or each argument
    apart. `through_cmd` False (WINRS_SKIP_CMD_SHELL): the command is a program, and no shell reads the line. `environment` is what the
    shell adds to the host's variables, `folder` its working folder. Bytes are in `codepage`, 65001 being UTF-8.
    """

    shell_id: str
    command_id: str
    command: str
    arguments: tuple[str, ...] = ()
    through_cmd: bool = True
    codepage: int = OEM_CODEPAGE
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: str | None = None

    @property
    def line(self) -> str:
        return " ".join((self.command, *self.arguments))


class ProcessOutput(Protocol):
    """Where a process writes to; safe to call from any thread."""

    def write(self, stream: Stream, data: bytes) -> None:
        """Output in any pieces. Waits while the client is far behind, as a full pipe does."""

    def exited(self, code: int) -> None:
        """The process has ended, 0 <= code < 2**32; said once, after its last write."""


class EngineProcess(Protocol):
    """A process that was started. Calls may come from several threads, also after its end."""

    def send(self, data: bytes) -> None:
        """More standard input; waits until it is taken. Raises Fault where the process does not take any."""

    def end_input(self) -> None:
        """The end of standard input. May be said twice."""

    def interrupt(self) -> None:
        """Ctrl-C; the process may take it as it likes."""

    def close(self) -> None:
        """End it and all that it started, at once. Must not raise and may be called twice."""


class Engine(Protocol):
    @property
    def computer(self) -> str: ...

    def open(self, shell_id: str, creation: bytes, output: Output) -> EngineShell: ...

    def open_process(self, start: ProcessStart, output: ProcessOutput) -> EngineProcess:
        """Start a process; raises Fault where it cannot be started. It may write before this returns."""

    def close(self) -> None:
        """End what is left of all shells and processes."""
