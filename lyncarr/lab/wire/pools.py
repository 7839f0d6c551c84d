"""The inside of a PSRP shell: one runspace pool of the engine, its fragments sorted into channels."""

from __future__ import annotations

import threading
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence

from lyncarr.lab.wire import wsman
from lyncarr.lab.wire.channels import Channel
from lyncarr.lab.wire.engine import Engine, EngineShell
from lyncarr.lab.wire.fragments import PipelineWatch
from lyncarr.lab.wire.wsman import NAMESPACES, Message


class Pool:
    """Also the Output that its engine writes to."""

    streams = ("stdin pr", "stdout")
    psrp = True

    def __init__(self, shell_id: str, channels: dict[str | None, Channel], on_broken: Callable[[str], None]) -> None:
        self._shell_id = shell_id
        self._channels = channels
        self._channels[None] = Channel(shell_id, None)
        self._on_broken = on_broken
        self._watches: dict[str, PipelineWatch] = {}
        self._lock = threading.Lock()
        self._engine: EngineShell | None = None

    def open(self, engine: Engine, creation: bytes) -> None:
        """Raises Fault, or what the engine raises, where there is no such pool to be had."""
        self._engine = engine.open(self._shell_id, creation, self)

    def write(self, command_id: str | None, packets: Sequence[bytes]) -> None:
        channel = self._channels.get(command_id)
        if channel is None:
            return  # output of a command after its end is dropped
        if command_id is None:
            channel.write(packets)
            return
        with self._lock:
            watch = self._watches.setdefault(command_id, PipelineWatch())
            # All of them are looked at: the watch puts messages together.
            ended = [watch.ends_with(packet) for packet in packets]
            channel.write(packets, exit_code=0 if any(ended) else None)

    def broken(self, reason: str) -> None:
        self._on_broken(reason)

    def command(self, command_id: str, line: ET.Element, message: Message) -> None:
        self._opened().command(command_id, wsman.decode(line.findtext("rsp:Arguments", None, NAMESPACES)))

    def send(self, command_id: str | None, stream: str, data: bytes, end: bool) -> None:
        self._opened().send(command_id, stream, data)

    def interrupt(self, command_id: str) -> None:
        self._opened().stop(command_id)

    def terminate(self, command_id: str) -> None:
        with self._lock:
            self._watches.pop(command_id, None)
        self._opened().terminate(command_id)

    def close(self) -> None:
        if self._engine is not None:
            self._engine.close()

    def _opened(self) -> EngineShell:
        if self._engine is None:
            raise wsman.no_such("a shell")
        return self._engine
