"""Shells of the simulated host: which there are, what is in them, when they end. Independent of the engine and of HTTP."""

from __future__ import annotations

import re
import threading
import time
import uuid
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from lyncarr.lab.wire import wsman
from lyncarr.lab.wire.channels import Channel, Received
from lyncarr.lab.wire.engine import Engine
from lyncarr.lab.wire.pools import Pool
from lyncarr.lab.wire.winrs import Commands
from lyncarr.lab.wire.wsman import NAMESPACES, Message

DEFAULT_IDLE_S = 7200.0
DEFAULT_LINGER_S = 0.01
REAP_S = 0.1


def _nothing() -> None:
    """For answers that leave nothing to take back."""


@dataclass(frozen=True)
class Reply:
    """Body of an answer. `take_back` must be called where the answer could not be written: it puts received data back.

    `receive` is set for an answer to Receive, so that a fault can be put into it; `psrp` is whether it carries PSRP.
    """

    body: str
    take_back: Callable[[], None] = _nothing
    receive: Received | None = None
    psrp: bool = True


class Inside(Protocol):
    """What is in a shell: a runspace pool, or commands. Its channels stand in the dictionary that it was made with."""

    @property
    def streams(self) -> tuple[str, str]:
        """Names of the streams in, and of those out."""

    @property
    def psrp(self) -> bool: ...

    def command(self, command_id: str, line: ET.Element, message: Message) -> None:
        """Start what the rsp:CommandLine says; its channel is there. Raises Fault."""

    def send(self, command_id: str | None, stream: str, data: bytes, end: bool) -> None: ...

    def interrupt(self, command_id: str) -> None: ...

    def terminate(self, command_id: str) -> None: ...

    def close(self) -> None:
        """End at once, whatever runs. Must not raise and may be called twice."""


@dataclass
class Shell:
    """One shell. `inside` is there as soon as its Create was answered."""

    id: str
    resource_uri: str
    idle_s: float
    channels: dict[str | None, Channel] = field(default_factory=dict)
    inside: Inside | None = None
    in_use: int = 0
    last_used: float = field(default_factory=time.monotonic)

    @property
    def opened(self) -> Inside:
        if self.inside is None:
            raise wsman.no_such("a shell")
        return self.inside

    def channel(self, command_id: str | None) -> Channel:
        channel = self.channels.get(command_id)
        if channel is None:
            raise wsman.no_such("a command")
        return channel


class Shells:
    """The WS-Management service: answers one message at a time, from many threads."""

    def __init__(self, engine: Engine, *, linger_s: float = DEFAULT_LINGER_S, idle_s: float = DEFAULT_IDLE_S) -> None:
        self._engine = engine
        self._linger_s = linger_s
        self._idle_s = idle_s
        self._shells: dict[str, Shell] = {}
        self._lock = threading.RLock()
        self._stopping = threading.Event()
        self._reaper = threading.Thread(target=self._reap, name="lab-reaper", daemon=True)
        self._reaper.start()

    @property
    def open_shells(self) -> tuple[str, ...]:
        with self._lock:
            return tuple(self._shells)

    @property
    def held_bytes(self) -> int:
        """Output that no client has fetched yet."""
        with self._lock:
            return sum(channel.held_bytes for shell in self._shells.values() for channel in list(shell.channels.values()))

    def hurry(self, idle_s: float) -> None:
        """Shorten the idle timeout of the shells that are open now: for tests that cannot wait a minute."""
        with self._lock:
            for shell in self._shells.values():
                shell.idle_s = min(shell.idle_s, idle_s)

    def close(self) -> None:
        """End every shell at once, then the engine."""
        self._stopping.set()
        for shell_id in self.open_shells:
            self._end(shell_id, "the host is shutting down")
        self._engine.close()
        self._reaper.join()

    def answer(self, message: Message, alive: Callable[[], bool]) -> Reply:
        """Carry out one message; raises Fault. `alive` is whether its client is still connected."""
        if message.action == wsman.CREATE:
            return self._create(message)
        handler = {
            wsman.COMMAND: self._command,
            wsman.SEND: self._send,
            wsman.SIGNAL: self._signal,
            wsman.GET: self._get,
        }.get(message.action)
        if message.action == wsman.DELETE:
            self._shell(message)
            self._end(message.shell_id or "", "the shell was deleted")
            return Reply("")
        with self._using(message) as shell:
            if message.action == wsman.RECEIVE:
                return self._receive(message, shell, alive)
            if handler is None:
                raise wsman.unsupported(f"This host does not know the action {message.action}.")
            return handler(message, shell)

    def _shell(self, message: Message) -> Shell:
        with self._lock:
            shell = self._shells.get(message.shell_id or "")
            if shell is None:
                raise wsman.no_such("a shell")
            return shell

    @contextmanager
    def _using(self, message: Message) -> Iterator[Shell]:
        with self._lock:
            shell = self._shell(message)
            shell.in_use += 1
        try:
            yield shell
        finally:
            with self._lock:
                shell.in_use -= 1
                shell.last_used = time.monotonic()

    def _create(self, message: Message) -> Reply:
        element = message.body.find("rsp:Shell", NAMESPACES)
        if element is None:
            raise wsman.unsupported("Create without a Shell.")
        shell_id = (element.get("ShellId") or str(uuid.uuid4())).upper()
        if not re.fullmatch(r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}", shell_id):
            raise wsman.unsupported("ShellId is not a UUID.")
        idle = element.findtext("rsp:IdleTimeOut", None, NAMESPACES)
        idle_s = self._idle_s if idle is None else wsman.seconds(idle, -1)
        if idle_s < 0:
            raise wsman.unsupported(f"IdleTimeOut is not a duration: {idle}.")
        shell = Shell(shell_id, message.resource_uri, idle_s, in_use=1)
        with self._lock:
            if shell_id in self._shells:
                raise wsman.unsupported("This ShellId is already in use.")
            self._shells[shell_id] = shell
        try:
            inside = self._open(shell, element, message)
        except Exception:
            self._end(shell_id, "the shell could not be started")
            raise
        with self._lock:
            shell.in_use -= 1
            shell.last_used = time.monotonic()
            gone = shell_id not in self._shells
        if gone:  # deleted, or ended by itself, while it was being opened
            inside.close()
            raise wsman.aborted("the shell ended while it was opened")
        return Reply(wsman.created(shell_id, message.resource_uri, inside.streams, idle_s))

    def _open(self, shell: Shell, element: ET.Element, message: Message) -> Inside:
        """Fill a new shell with what its resource asks for; raises Fault."""
        if message.resource_uri == wsman.CMD_RESOURCE:
            shell.inside = Commands(self._engine, shell.id, shell.channels, element, message)
            return shell.inside
        if not message.resource_uri.startswith(wsman.POWERSHELL_RESOURCE):
            raise wsman.unsupported(f"This host has no resource {message.resource_uri}; it serves PowerShell and cmd.")
        creation = element.find(wsman.CREATION)
        if creation is None:
            raise wsman.unsupported("Create without a creationXml.")
        shell.inside = pool = Pool(shell.id, shell.channels, lambda reason: self._end(shell.id, reason))
        pool.open(self._engine, wsman.decode(creation.text))
        return pool

    def _end(self, shell_id: str, reason: str) -> None:
        with self._lock:
            shell = self._shells.pop(shell_id, None)
        if shell is None:
            return
        # Channels first: else a Receive that waits would get the end of the pipeline instead of the end of the shell.
        for channel in list(shell.channels.values()):
            channel.abort(wsman.aborted(reason))
        if shell.inside is not None:
            shell.inside.close()

    def _command(self, message: Message, shell: Shell) -> Reply:
        line = message.body.find("rsp:CommandLine", NAMESPACES)
        if line is None:
            raise wsman.unsupported("Command without a CommandLine.")
        command_id = (line.get("CommandId") or str(uuid.uuid4())).upper()
        inside = shell.opened
        shell.channels[command_id] = Channel(shell.id, command_id)
        try:
            inside.command(command_id, line, message)
        except Exception:
            shell.channels.pop(command_id, None)
            raise
        return Reply(f"<rsp:CommandResponse><rsp:CommandId>{command_id}</rsp:CommandId></rsp:CommandResponse>")

    def _receive(self, message: Message, shell: Shell, alive: Callable[[], bool]) -> Reply:
        stream = message.body.find("rsp:Receive/rsp:DesiredStream", NAMESPACES)
        command_id = _command_id(stream.get("CommandId") if stream is not None else None)
        channel = shell.channel(command_id)
        received = channel.receive(message, self._linger_s, alive)
        return Reply(
            wsman.received(command_id, received.packets, received.exit_code),
            take_back=lambda: channel.give_back(received),
            receive=received,
            psrp=shell.opened.psrp,
        )

    def _send(self, message: Message, shell: Shell) -> Reply:
        for stream in message.body.findall("rsp:Send/rsp:Stream", NAMESPACES):
            command_id = _command_id(stream.get("CommandId"))
            shell.channel(command_id)
            end = (stream.get("End") or "").lower() in ("true", "1")
            shell.opened.send(command_id, stream.get("Name") or "stdin", wsman.decode(stream.text), end)
        return Reply("<rsp:SendResponse/>")

    def _signal(self, message: Message, shell: Shell) -> Reply:
        signal = message.body.find("rsp:Signal", NAMESPACES)
        command_id = _command_id(signal.get("CommandId") if signal is not None else None)
        code = (signal.findtext("rsp:Code", "", NAMESPACES) if signal is not None else "").lower()
        if command_id is None:
            raise wsman.unsupported("Signal without a CommandId.")
        channel = shell.channel(command_id)
        if code.endswith("terminate"):
            shell.channels.pop(command_id, None)
            channel.abort(wsman.aborted("the command was terminated"))
            shell.opened.terminate(command_id)
        elif code.endswith(("ctrl_c", "crtl_c")):  # the second is how Microsoft's own clients spell it
            shell.opened.interrupt(command_id)
        else:
            raise wsman.unsupported(f"This host does not know the signal {code}.")
        return Reply("<rsp:SignalResponse/>")

    def _get(self, message: Message, shell: Shell) -> Reply:
        return Reply(wsman.described(shell.id, shell.resource_uri, shell.opened.streams, shell.idle_s))

    def _reap(self) -> None:
        """Delete shells that no client has used for their idle timeout."""
        while not self._stopping.wait(REAP_S):
            now = time.monotonic()
            with self._lock:
                idle = [shell.id for shell in self._shells.values() if not shell.in_use and now - shell.last_used >= shell.idle_s]
            for shell_id in idle:
                self._end(shell_id, "the shell was idle for too long")


def _command_id(text: str | None) -> str | None:
    return text.upper() if text else None
