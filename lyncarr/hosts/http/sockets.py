"""Sockets that keep a wall-clock deadline, and the way to an open one.

A read time-out of requests starts again with every byte that comes, so a host that drips would hold a run for ever; here each
read and write gets only what is left of the answer's time. Needs no thread, and nothing else can forget it.
"""

from __future__ import annotations

import queue
import socket
import ssl
import threading
import time
from typing import Any

from lyncarr.core.errors import UnreachableError
from lyncarr.core.model import Deadline
from lyncarr.hosts.http.retry import TransientError


class Clock:
    """The time left for the answer that is under way, and what went over the wire; one for each session."""

    def __init__(self) -> None:
        self.limit_s = 30.0
        """Wall clock for one answer, from the moment its request begins."""
        self.until: Deadline | None = None
        """The run's own deadline, where there is one."""
        self.cancelled = False
        self.bytes_up = 0
        self.bytes_down = 0
        self._expires = time.monotonic() + self.limit_s

    def restart(self) -> None:
        self._expires = time.monotonic() + self.limit_s

    def left(self) -> float:
        """Seconds, never negative; 0 once cancelled."""
        if self.cancelled:
            return 0.0
        left = self._expires - time.monotonic()
        return max(0.0, left if self.until is None else min(left, self.until.left()))


class TimedSocket(socket.socket):
    """A socket whose reads and writes end when its clock says so. Without a clock it is an ordinary one."""

    clock: Clock | None = None

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self._arm()
        count = super().recv_into(*args, **kwargs)
        if self.clock is not None:
            self.clock.bytes_down += count
        return count

    def send(self, *args: Any, **kwargs: Any) -> int:
        self._arm()
        count = super().send(*args, **kwargs)
        if self.clock is not None:
            self.clock.bytes_up += count
        return count

    def sendall(self, data: Any, flags: int = 0) -> None:
        view = memoryview(data).cast("B")
        while view:
            view = view[self.send(view, flags) :]

    def _arm(self) -> None:
        if self.clock is None:
            return
        left = self.clock.left()
        if left <= 0:
            raise TimeoutError("the time for this answer is over")
        self.settimeout(left)


class TimedTlsSocket(TimedSocket, ssl.SSLSocket):
    """The same under TLS; made by an SSLContext whose `sslsocket_class` it is."""


def shut_down(sock: socket.socket) -> None:
    """End what another thread reads or writes there.

    By the plain socket's method: SSLSocket.shutdown takes its TLS object away under the hands of the reading thread.
    """
    try:
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
    except OSError:
        return


def dial(address: str, port: int, where: str, deadline: Deadline) -> TimedSocket:
    """A TCP connection to the first of the name's addresses that answers; TransientError where none does before `deadline`."""
    found = resolve(address, port, where, deadline)
    problem: OSError | None = None
    for number, (family, kind, protocol, _, destination) in enumerate(found):
        # A share for each: a black hole at the first address must not use up the time of the second.
        share = deadline.left() / (len(found) - number)
        if share <= 0:
            break
        sock = TimedSocket(family, kind, protocol)
        try:
            sock.settimeout(share)
            sock.connect(destination)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return sock
        except OSError as error:
            problem = error
            sock.close()
    raise TransientError(_no_connection(where, problem), detail=_cause(problem))


def _no_connection(where: str, problem: OSError | None) -> str:
    if isinstance(problem, ConnectionRefusedError):
        return f"{where} refused the connection: nothing listens on that port. Is there a listener of WinRM (lyncarr bootstrap)?"
    if problem is None or isinstance(problem, TimeoutError):
        return f"{where} did not answer in time. Is the address right, the machine on, and the port open in every firewall between?"
    return f"{where} cannot be reached. Check the address, the network and the firewalls between."


def resolve(address: str, port: int, where: str, deadline: Deadline) -> list[Any]:
    """What getaddrinfo answers; TransientError where no name server does before `deadline`, UnreachableError where there is no such name.

    In a thread of its own: getaddrinfo takes no time-out, and a dead name server holds it for half a minute.
    """
    answer: queue.SimpleQueue[list[Any] | Exception] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answer.put(socket.getaddrinfo(address, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            answer.put(error)

    threading.Thread(target=ask, name="lyncarr-resolve", daemon=True).start()
    try:
        found = answer.get(timeout=deadline.left())
    except queue.Empty:
        found = TimeoutError("no answer from the name server")
    if isinstance(found, list):
        return found
    message = f"The name {address} of {where} cannot be resolved. Check it, or give the machine's address with --address."
    if isinstance(found, TimeoutError) or getattr(found, "errno", None) == socket.EAI_AGAIN:
        raise TransientError(message, detail=_cause(found))
    raise UnreachableError(message, detail=_cause(found))


def _cause(error: Exception | None) -> str | None:
    return None if error is None else f"{type(error).__name__}: {error}"
