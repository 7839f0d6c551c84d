"""A TCP relay with latency: in each direction, data leaves half a round-trip time after it arrived."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from collections import deque
from typing import Self

CHUNK = 65_536


class Link:
    """Relays from a free port of loopback to `port`. `round_trip_s` can be changed at any time and applies to new connections.

    A connection to the relay itself takes no time, so its first bytes wait for the round trip of a TCP handshake. Handshakes of TLS and
    bodies in several packets are delayed like all bytes. Bandwidth and loss are not simulated.
    """

    def __init__(self, address: str, port: int) -> None:
        self.round_trip_s = 0.0
        self._target = (address, port)
        self._listener = socket.create_server((address, 0))
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, name="link", daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # ends accept() in the other thread
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(near, self.round_trip_s), name="link", daemon=True).start()

    def _serve(self, near: socket.socket, round_trip_s: float) -> None:
        opened = time.monotonic() + round_trip_s
        with near, socket.create_connection(self._target) as far:
            directions = [
                threading.Thread(target=_carry, args=(*pair, opened, round_trip_s / 2), name="link", daemon=True)
                for pair in ((near, far), (far, near))
            ]
            for end in (near, far):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for direction in directions:
                direction.start()
            for direction in directions:
                direction.join()


def _carry(source: socket.socket, target: socket.socket, opened: float, delay_s: float) -> None:
    """Relays one direction until the end of `source`. Errors are ignored, because then the other side is closed."""
    under_way: deque[tuple[float, bytes]] = deque()
    ended = False
    with contextlib.suppress(OSError):
        while under_way or not ended:
            wait_s = max(0.0, under_way[0][0] - time.monotonic()) if under_way else None
            if select.select([] if ended else [source], [], [], wait_s)[0]:
                data = source.recv(CHUNK)
                ended = not data
                under_way.append((max(time.monotonic(), opened) + delay_s, data))
            while under_way and under_way[0][0] <= time.monotonic():
                data = under_way.popleft()[1]
                if data:
                    target.sendall(data)
                else:
                    target.shutdown(socket.SHUT_WR)
        return
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
