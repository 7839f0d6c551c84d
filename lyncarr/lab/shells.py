"""Shells and commands of the simulated host: who may receive what, and when. Independent of the engine and of HTTP."""

from __future__ import annotations

import re
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from lyncarr.lab import wsman
from lyncarr.lab.engine import Engine, EngineShell
from lyncarr.lab.fragments import PipelineWatch
from lyncarr.lab.wsman import NAMESPACES, Fault, Message

DEFAULT_IDLE_S = 7200.0
DEFAULT_LINGER_S = 0.01
LOOK_AT_CLIENT_S = 0.1
REAP_S = 0.1


def _nothing() -> None:
    """For answers that leave nothing to take back."""


@dataclass(frozen=True)
class Reply:
    """Body of an answer. `take_back` must be called where the answer could not be written: it puts received data back.

    `receive` is set for an answer to Receive, so that a fault can be put into it.
    """

    body: str
    take_back: Callable[[], None] = _nothing
    receive: Received | None = None


@dataclass(frozen=True)
class Received:
    """What one Receive took from its channel."""

    shell_id: str
    command_id: str | None
    packets: tuple[bytes, ...]
    done: bool


class Channel:
    """Packets on their way to one Receive target: the pool, or one command. A packet is never split."""

    def __init__(self, shell_id: str, command_id: str | None) -> None:
        self._shell_id = shell_id
        self._command_id = command_id
        self._watch = PipelineWatch() if command_id else None
        self._change = threading.Condition()
        self._packets: deque[bytes] = deque()
        self._done = False
        self._over = False
        self._abort: Fault | None = None
        self._turn = 0
        self._last: tuple[str, Received] | None = None

    def write(self, packets: Sequence[bytes]) -> None:
        with self._change:
            self._packets.extend(packets)
            if self._watch is not None:
                # All of them are looked at: the watch puts messages together.
                ended = [self._watch.ends_with(packet) for packet in packets]
                self._done = self._done or any(ended)
            self._change.notify_all()

    def abort(self, error: Fault) -> None:
        """End the Receive that waits, and all later ones, with `error`."""
        with self._change:
            self._abort = error
            self._change.notify_all()

    def receive(self, message: Message, linger_s: float, alive: Callable[[], bool]) -> Received:
        """Wait for packets as long as the message allows; raises Fault.

        A newer Receive ends an older one: a client that lost its connection must not leave a reader behind that swallows
        the data. The same MessageID again gets the same answer again.
        """
        deadline = time.monotonic() + message.operation_timeout_s
        with self._change:
            if self._last is not None and self._last[0] == message.message_id:
                # A new object: the answer of before may yet turn out to be lost, and must not take back what is answered now.
                self._last = (message.message_id, replace(self._last[1]))
                return self._last[1]
            self._turn += 1
            self._change.notify_all()
            turn = self._turn
            while not self._packets and not self._done:
                self._check(turn, alive)
                left = deadline - time.monotonic()
                if left <= 0:
                    raise wsman.timed_out()
                self._change.wait(min(left, LOOK_AT_CLIENT_S))
            self._linger(linger_s)
            self._check(turn, alive)
            return self._take(message)

    def _linger(self, linger_s: float) -> None:
        """Wait a moment for what follows the first packet: it saves the client a request."""
        end = time.monotonic() + linger_s
        while not self._done and (left := end - time.monotonic()) > 0:
            self._change.wait(left)

    def _check(self, turn: int, alive: Callable[[], bool]) -> None:
        if self._abort is not None:
            raise self._abort
        if self._over:
            raise wsman.no_such("a command")
        if turn != self._turn or not alive():
            raise wsman.timed_out()

    def _take(self, message: Message) -> Received:
        taken: list[bytes] = []
        size = 0
        while self._packets and (not taken or size + len(self._packets[0]) <= message.payload_limit):
            size += len(self._packets[0])
            taken.append(self._packets.popleft())
        done = self._done and not self._packets
        self._over = done
        received = Received(self._shell_id, self._command_id, tuple(taken), done)
        self._last = (message.message_id, received)
        return received

    def give_back(self, received: Received) -> None:
        """The answer did not reach the client: the next Receive gets the packets."""
        with self._change:
            if self._last is not None and self._last[1] is received:
                self._packets.extendleft(reversed(received.packets))
                self._last = None
                self._over = False
                self._change.notify_all()


@dataclass
class Shell:
    """One shell; also the Output that its engine writes to."""

    id: str
    resource_uri: str
    idle_s: float
    on_broken: Callable[[str], None]
    engine: EngineShell | None = None
    channels: dict[str | None, Channel] = field(default_factory=dict)
    in_use: int = 0
    last_used: float = field(default_factory=time.monotonic)

    def write(self, command_id: str | None, packets: Sequence[bytes]) -> None:
        channel = self.channels.get(command_id)
        if channel is not None:  # what a command says after its end is for nobody
            channel.write(packets)

    def broken(self, reason: str) -> None:
        self.on_broken(reason)


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

    def hurry(self, idle_s: float) -> None:
        """Shorten the idle time-out of the shells that are open now: for tests that cannot wait a minute."""
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
        """Carry out one message; raises Fault. `alive` tells whether its client is still there."""
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
        if not message.resource_uri.startswith(wsman.POWERSHELL_RESOURCE):
            raise wsman.unsupported(f"This host has no resource {message.resource_uri}; it serves PowerShell only.")
        element = message.body.find("rsp:Shell", NAMESPACES)
        creation = element.find(wsman.CREATION) if element is not None else None
        if element is None or creation is None:
            raise wsman.unsupported("Create without a creationXml.")
        shell_id = (element.get("ShellId") or str(uuid.uuid4())).upper()
        if not re.fullmatch(r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}", shell_id):
            raise wsman.unsupported("ShellId is not a UUID.")
        idle_s = wsman.seconds(element.findtext("rsp:IdleTimeOut", None, NAMESPACES), self._idle_s)
        shell = Shell(shell_id, message.resource_uri, idle_s, lambda reason: self._end(shell_id, reason), in_use=1)
        shell.channels[None] = Channel(shell_id, None)
        with self._lock:
            if shell_id in self._shells:
                raise wsman.unsupported("This ShellId is already in use.")
            self._shells[shell_id] = shell
        try:
            shell.engine = self._engine.open(shell_id, wsman.decode(creation.text), shell)
        except Exception:
            self._end(shell_id, "the shell could not be started")
            raise
        with self._lock:
            shell.in_use -= 1
            shell.last_used = time.monotonic()
            gone = shell_id not in self._shells
        if gone:  # deleted, or ended by itself, while it was being opened
            shell.engine.close()
            raise wsman.aborted("the shell ended while it was opened")
        return Reply(wsman.created(shell_id, message.resource_uri, idle_s))

    def _end(self, shell_id: str, reason: str) -> None:
        with self._lock:
            shell = self._shells.pop(shell_id, None)
        if shell is None:
            return
        # Channels first: else a Receive that waits would get the end of the pipeline instead of the end of the shell.
        for channel in list(shell.channels.values()):
            channel.abort(wsman.aborted(reason))
        if shell.engine is not None:
            shell.engine.close()

    def _command(self, message: Message, shell: Shell) -> Reply:
        line = message.body.find("rsp:CommandLine", NAMESPACES)
        if line is None:
            raise wsman.unsupported("Command without a CommandLine.")
        command_id = (line.get("CommandId") or str(uuid.uuid4())).upper()
        shell.channels[command_id] = Channel(shell.id, command_id)
        _engine(shell).command(command_id, wsman.decode(line.findtext("rsp:Arguments", None, NAMESPACES)))
        return Reply(f"<rsp:CommandResponse><rsp:CommandId>{command_id}</rsp:CommandId></rsp:CommandResponse>")

    def _receive(self, message: Message, shell: Shell, alive: Callable[[], bool]) -> Reply:
        stream = message.body.find("rsp:Receive/rsp:DesiredStream", NAMESPACES)
        command_id = _command_id(stream.get("CommandId") if stream is not None else None)
        channel = _channel(shell, command_id)
        received = channel.receive(message, self._linger_s, alive)
        return Reply(
            wsman.received(command_id, received.packets, received.done),
            take_back=lambda: channel.give_back(received),
            receive=received,
        )

    def _send(self, message: Message, shell: Shell) -> Reply:
        for stream in message.body.findall("rsp:Send/rsp:Stream", NAMESPACES):
            command_id = _command_id(stream.get("CommandId"))
            _channel(shell, command_id)
            _engine(shell).send(command_id, stream.get("Name") or "stdin", wsman.decode(stream.text))
        return Reply("<rsp:SendResponse/>")

    def _signal(self, message: Message, shell: Shell) -> Reply:
        signal = message.body.find("rsp:Signal", NAMESPACES)
        command_id = _command_id(signal.get("CommandId") if signal is not None else None)
        code = (signal.findtext("rsp:Code", "", NAMESPACES) if signal is not None else "").lower()
        if command_id is None:
            raise wsman.unsupported("Signal without a CommandId.")
        channel = _channel(shell, command_id)
        if code.endswith("terminate"):
            shell.channels.pop(command_id, None)
            channel.abort(wsman.aborted("the command was terminated"))
            _engine(shell).terminate(command_id)
        elif code.endswith(("ctrl_c", "crtl_c")):  # the second is how Microsoft's own clients spell it
            _engine(shell).stop(command_id)
        else:
            raise wsman.unsupported(f"This host does not know the signal {code}.")
        return Reply("<rsp:SignalResponse/>")

    def _get(self, message: Message, shell: Shell) -> Reply:
        return Reply(wsman.described(shell.id, shell.resource_uri, shell.idle_s))

    def _reap(self) -> None:
        """Delete shells that nobody has used for their idle time-out."""
        while not self._stopping.wait(REAP_S):
            now = time.monotonic()
            with self._lock:
                idle = [shell.id for shell in self._shells.values() if not shell.in_use and now - shell.last_used >= shell.idle_s]
            for shell_id in idle:
                self._end(shell_id, "the shell was idle for too long")


def _engine(shell: Shell) -> EngineShell:
    if shell.engine is None:
        raise wsman.no_such("a shell")
    return shell.engine


def _command_id(text: str | None) -> str | None:
    return text.upper() if text else None


def _channel(shell: Shell, command_id: str | None) -> Channel:
    channel = shell.channels.get(command_id)
    if channel is None:
        raise wsman.no_such("a command")
    return channel
