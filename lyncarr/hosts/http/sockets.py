"""Sockets with a deadline in elapsed time, and how to open one.

A read timeout of requests starts again with every byte, so a host that sends one byte at a time could hold a run forever. Here each
read and write gets only the time that is left for the whole answer. This needs no thread and no cooperation of the libraries.

Each wait is made in slices of SLICE_S. On Windows no signal interrupts select() or a wait for a lock, so Ctrl-C would be noticed only
when the host answers; and shutdown() by another thread does not wake select() there.
"""

from __future__ import annotations

import errno
import os
import queue
import selectors
import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from lyncarr.core.errors import UnreachableError
from lyncarr.core.model import Deadline
from lyncarr.hosts.http.retry import TransientError

SLICE_S = 0.2
"""The longest wait in seconds during which Ctrl-C may not be noticed."""
T = TypeVar("T")


def in_slices(left: Callable[[], float], attempt: Callable[[float], T]) -> T:
    """The result of `attempt(seconds)`, which is called with at most SLICE_S seconds until it no longer raises TimeoutError.

    `left` returns the seconds that are left; raises TimeoutError when there are none. Between two attempts Python runs its signal
    handlers. A TimeoutError with an error number is one of the network, and is raised at once.
    """
    while (seconds := left()) > 0:
        try:
            return attempt(min(seconds, SLICE_S))
        except TimeoutError as error:
            if error.errno is not None:
                raise
    raise TimeoutError("the time for this answer has ended")


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


class TimedSocket(socket.socket):
    """A socket whose reads and writes end at the deadline of its clock. Without a clock it is an ordinary socket."""

    clock: Clock | None = None

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        count = self._timed(super().recv_into, *args, **kwargs)
        if self.clock is not None:
            self.clock.bytes_down += count
        return count

    def send(self, *args: Any, **kwargs: Any) -> int:
        count = self._timed(super().send, *args, **kwargs)
        if self.clock is not None:
            self.clock.bytes_up += count
        return count

    def sendall(self, data: Any, flags: int = 0) -> None:
        view = memoryview(data).cast("B")
        while view:
            view = view[self.send(view, flags) :]

    def _timed(self, operation: Callable[..., int], *args: Any, **kwargs: Any) -> int:
        if self.clock is None:
            return operation(*args, **kwargs)

        def attempt(seconds: float) -> int:
            self.settimeout(seconds)
            return operation(*args, **kwargs)

        return in_slices(self.clock.left, attempt)


class TimedTlsSocket(TimedSocket, ssl.SSLSocket):
    """The same with TLS. An SSLContext makes it through its `sslsocket_class`."""


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
            _connect(sock, destination, Deadline(share))
            sock.settimeout(share)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return sock
        except OSError as error:
            problem = error
            sock.close()
    message, hint = _no_connection(where, problem)
    raise TransientError(message, hint=hint, detail=_cause(problem))


def _connect(sock: socket.socket, destination: Any, deadline: Deadline) -> None:
    """Like sock.connect with a timeout. Leaves `sock` non-blocking."""
    sock.setblocking(False)
    problem = sock.connect_ex(destination)
    if problem in (errno.EINPROGRESS, errno.EWOULDBLOCK):

        def attempt(seconds: float) -> int:
            if not waiting.select(seconds):
                raise TimeoutError
            return sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)

        with selectors.DefaultSelector() as waiting:
            waiting.register(sock, selectors.EVENT_WRITE)
            problem = in_slices(deadline.left, attempt)
    if problem:
        raise OSError(problem, os.strerror(problem))


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
        found = in_slices(deadline.left, lambda seconds: _taken(answer, seconds))
    except TimeoutError:
        found = TimeoutError("no answer from the name server")
    if isinstance(found, list):
        return found
    message, hint = f"The name {address} of {where} cannot be resolved.", "Check the name, or give the address of the host with --address."
    if isinstance(found, TimeoutError) or getattr(found, "errno", None) == socket.EAI_AGAIN:
        raise TransientError(message, hint=hint, detail=_cause(found))
    raise UnreachableError(message, hint=hint, detail=_cause(found))


def _taken(answer: queue.SimpleQueue[T], seconds: float) -> T:
    try:
        return answer.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError from None


def _cause(error: Exception | None) -> str | None:
    return None if error is None else f"{type(error).__name__}: {error}"
