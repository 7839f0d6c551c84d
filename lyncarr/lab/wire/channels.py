"""The output of a shell on its way to the client: which request receives it, and when. Independent of the engine and of HTTP."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from lyncarr.lab.wire import wsman
from lyncarr.lab.wire.wsman import Fault, Message

LOOK_AT_CLIENT_S = 0.1


@dataclass(frozen=True)
class Received:
    """What one Receive took from its channel. `packets` are (stream, bytes); `exit_code` is set with the last of a command."""

    shell_id: str
    command_id: str | None
    packets: tuple[tuple[str, bytes], ...]
    exit_code: int | None


class Channel:
    """Packets on their way to one Receive target: the pool, or one command. A packet is never split."""

    def __init__(self, shell_id: str, command_id: str | None) -> None:
        self._shell_id = shell_id
        self._command_id = command_id
        self._change = threading.Condition()
        self._packets: deque[tuple[str, bytes]] = deque()
        self._size = 0
        self._exit_code: int | None = None
        self._over = False
        self._abort: Fault | None = None
        self._turn = 0
        self._last: tuple[str, Received] | None = None

    @property
    def held_bytes(self) -> int:
        with self._change:
            return self._size

    def write(self, packets: Iterable[bytes], *, stream: str = "stdout", exit_code: int | None = None) -> None:
        """Add packets; with `exit_code` they are the last, and leave together with the news of the end."""
        with self._change:
            for packet in packets:
                self._packets.append((stream, packet))
                self._size += len(packet)
            if exit_code is not None:
                self._exit_code = exit_code
            self._change.notify_all()

    def wait_for_room(self, limit: int) -> None:
        """Wait until fewer than `limit` bytes are held, or the channel is aborted."""
        with self._change:
            self._change.wait_for(lambda: self._size < limit or self._abort is not None)

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
            while not self._packets and self._exit_code is None:
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
        while self._exit_code is None and (left := end - time.monotonic()) > 0:
            self._change.wait(left)

    def _check(self, turn: int, alive: Callable[[], bool]) -> None:
        if self._abort is not None:
            raise self._abort
        if self._over:
            raise wsman.no_such("a command")
        if turn != self._turn or not alive():
            raise wsman.timed_out()

    def _take(self, message: Message) -> Received:
        taken: list[tuple[str, bytes]] = []
        size = 0
        while self._packets and (not taken or size + len(self._packets[0][1]) <= message.payload_limit):
            size += len(self._packets[0][1])
            taken.append(self._packets.popleft())
        self._size -= size
        self._over = self._exit_code is not None and not self._packets
        received = Received(self._shell_id, self._command_id, tuple(taken), self._exit_code if self._over else None)
        self._last = (message.message_id, received)
        self._change.notify_all()
        return received

    def give_back(self, received: Received) -> None:
        """The answer did not reach the client: the next Receive gets the packets."""
        with self._change:
            if self._last is not None and self._last[1] is received:
                self._packets.extendleft(reversed(received.packets))
                self._size += sum(len(data) for _, data in received.packets)
                self._last = None
                self._over = False
                self._change.notify_all()
