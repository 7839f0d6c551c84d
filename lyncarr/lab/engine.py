"""What stands behind the wire: an engine makes shells, a shell takes PSRP fragments and writes PSRP fragments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


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


class Engine(Protocol):
    @property
    def computer(self) -> str: ...

    def open(self, shell_id: str, creation: bytes, output: Output) -> EngineShell: ...

    def close(self) -> None:
        """End what is left of all shells."""
