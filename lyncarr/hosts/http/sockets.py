"""Sockets with a deadline in elapsed time, and how to open one.

A read timeout of requests starts again with every byte, so a host that sends one byte at a time could hold a run forever. Here each
read and write gets only the time that is left for the whole answer. This needs no thread and no cooperation of the libraries.
"""

from __future__ import annotations

import errno
import math
import os
import queue
import selectors
import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from lyncarr.core import waits
from lyncarr.core.errors import UnreachableError
from lyncarr.core.model import Deadline
from lyncarr.hosts.http.retry import TransientError

Result = TypeVar("Result")

_SHORTEST_S = 0.001
"""A socket timeout of 0 would mean not to wait at all."""


class Clock:
    """The time left for the current answer, and the bytes sent and received. Each session has one."""

    def __init__(self) -> None:
        self.limit_s = 30.0
        """Seconds for one answer, from the start of its request."""
        self.until: Deadline | None = None
        """The deadline of the whole run, where there is one."""
        self.cancelled = False
        self.bytes_up = 0
        self.bytes_down = 0
        self._expires = time.monotonic() + self.limit_s

    def restart(self) -> None:
        self._expires = time.monotonic() + self.limit_s

    def left(self) -> float:
        """Seconds left, never negative; 0 after a cancel."""
        if self.cancelled:
            return 0.0
        left = self._expires - time.monotonic()
        return max(0.0, left if self.until is None else min(left, self.until.left()))


class Within(Deadline):
    """At most `seconds` from now, and not beyond the deadline `whole`, which may end early."""

    __slots__ = ("_whole",)

    def __init__(self, whole: Deadline, seconds: float) -> None:
        super().__init__(seconds)
        self._whole = whole

    def left(self) -> float:
        return min(super().left(), self._whole.left())


class TimedSocket(socket.socket):
    """A socket whose waits end at the deadline of its clock, before it has a clock at `deadline`, and with Ctrl-C on every system.

    Without both it is an ordinary socket.
    """

    clock: Clock | None = None
    deadline: Deadline | None = None

    def connect(self, address: Any) -> None:
        if waits.SLICE_S is None or self.deadline is None:
            self._waiting(lambda: socket.socket.connect(self, address))
            return
        # A second connect() in place of a wait would mean something else on each system.
        self.setblocking(False)
        problem = self.connect_ex(address)
        if problem in (errno.EINPROGRESS, errno.EWOULDBLOCK):
            with selectors.DefaultSelector() as selector:
                selector.register(self, selectors.EVENT_WRITE)
                if not any(selector.select(seconds) for seconds in waits.slices(self._left)):
                    raise TimeoutError("timed out")
            problem = self.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if problem:
            raise OSError(problem, os.strerror(problem))

    def recv(self, *args: Any, **kwargs: Any) -> bytes:
        data = self._waiting(lambda: super(TimedSocket, self).recv(*args, **kwargs))
        if self.clock is not None:
            self.clock.bytes_down += len(data)
        return data

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        count = self._waiting(lambda: super(TimedSocket, self).recv_into(*args, **kwargs))
        if self.clock is not None:
            self.clock.bytes_down += count
        return count

    def send(self, *args: Any, **kwargs: Any) -> int:
        count = self._waiting(lambda: super(TimedSocket, self).send(*args, **kwargs))
        if self.clock is not None:
            self.clock.bytes_up += count
        return count

    def sendall(self, data: Any, flags: int = 0) -> None:
        view = memoryview(data).cast("B")
        while view:
            view = view[self.send(view, flags) :]

    def _left(self) -> float:
        if self.clock is not None:
            return self.clock.left()
        return math.inf if self.deadline is None else self.deadline.left()

    def _waiting(self, attempt: Callable[[], Result]) -> Result:
        """The result of `attempt`, which is repeated when a slice of its wait is over. OpenSSL continues where it was."""
        if self.clock is None and self.deadline is None:
            return attempt()
        ended = TimeoutError("the time for this answer has ended")
        if self._left() <= 0:
            raise ended
        for seconds in waits.slices(self._left):
            self.settimeout(max(seconds, _SHORTEST_S))
            try:
                return attempt()
            except TimeoutError as error:
                if error.errno is not None:
                    raise  # The system's own ETIMEDOUT: the other side is gone.
                ended = error
        raise ended


class TimedTlsSocket(TimedSocket, ssl.SSLSocket):
    """The same with TLS. An SSLContext makes it through its `sslsocket_class`."""

    def do_handshake(self, block: bool = False) -> None:
        self._waiting(lambda: super(TimedTlsSocket, self).do_handshake())


def shut_down(sock: socket.socket) -> None:
    """End a read or write of another thread on `sock`.

    Calls the method of the plain socket: SSLSocket.shutdown would remove the TLS object that the other thread is using.
    """
    try:
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
    except OSError:
        return


def dial(address: str, port: int, where: str, deadline: Deadline) -> TimedSocket:
    """A TCP connection to the first address of the name that answers. Raises TransientError where none does before `deadline`."""
    found = resolve(address, port, where, deadline)
    problem: OSError | None = None
    for number, (family, kind, protocol, _, destination) in enumerate(found):
        # Each address gets a share: a first address that never answers must not use the time of the second.
        share = deadline.left() / (len(found) - number)
        if share <= 0:
            break
        sock = TimedSocket(family, kind, protocol)
        try:
            sock.deadline = Within(deadline, share)
            sock.connect(destination)
            sock.deadline = deadline
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return sock
        except OSError as error:
            problem = error
            sock.close()
    message, hint = _no_connection(where, problem)
    raise TransientError(message, hint=hint, detail=_cause(problem))


def _no_connection(where: str, problem: OSError | None) -> tuple[str, str]:
    """The message and the hint."""
    if isinstance(problem, ConnectionRefusedError):
        return (
            f"{where} refused the connection: no service listens on that port.",
            "Check the port. The script of lyncarr bootstrap creates an HTTPS listener of WinRM on the host.",
        )
    if problem is None or isinstance(problem, TimeoutError):
        return (
            f"{where} did not answer in time.",
            "Check the address, that the host is running, and that every firewall in between allows the port.",
        )
    return f"{where} cannot be reached.", "Check the address, the network, and the firewalls in between."


def resolve(address: str, port: int, where: str, deadline: Deadline) -> list[Any]:
    """The result of getaddrinfo.

    Raises TransientError where no name server answers before `deadline`, UnreachableError where the name does not exist.
    getaddrinfo runs in a thread of its own: it has no timeout, and waits half a minute for a name server that does not answer.
    """
    answer: queue.SimpleQueue[list[Any] | Exception] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answer.put(socket.getaddrinfo(address, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            answer.put(error)

    threading.Thread(target=ask, name="lyncarr-resolve", daemon=True).start()
    try:
        found = waits.take(answer, deadline.left)
    except queue.Empty:
        found = TimeoutError("no answer from the name server")
    if isinstance(found, list):
        return found
    message, hint = f"The name {address} of {where} cannot be resolved.", "Check the name, or give the address of the host with --address."
    if isinstance(found, TimeoutError) or getattr(found, "errno", None) == socket.EAI_AGAIN:
        raise TransientError(message, hint=hint, detail=_cause(found))
    raise UnreachableError(message, hint=hint, detail=_cause(found))


def _cause(error: Exception | None) -> str | None:
    return None if error is None else f"{type(error).__name__}: {error}"
