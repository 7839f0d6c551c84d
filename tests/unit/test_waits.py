"""Ctrl-C ends every wait of the main thread, also where the system does not interrupt it.

On Windows the handler of Ctrl-C is noticed by the next bytecode only: nothing wakes a wait. A signal that another thread raises in
itself has the same effect on every system, so with slices these tests prove on Linux what they prove on Windows.
"""

from __future__ import annotations

import queue
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest

from lyncarr.core import waits
from lyncarr.core.errors import LostConnectionError
from lyncarr.core.interrupts import StopNow
from lyncarr.core.kinds import AuthMethod
from lyncarr.core.model import Deadline, Secret
from lyncarr.hosts.http.guard import GuardedSession
from lyncarr.hosts.http.retry import TransientError, connecting
from lyncarr.hosts.http.sockets import Clock, TimedSocket, dial, resolve
from lyncarr.hosts.target import Target, Tls
from lyncarr.lab.wire.certs import Identity, server_identity
from lyncarr.secrets import program
from tests.patience import HANG_S
from tests.unit.raw_server import RawServer, http

SLICE_S = 0.05
LONG_S = 4 * HANG_S
"""What each wait would last."""


@pytest.fixture(autouse=True)
def slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waits, "SLICE_S", SLICE_S)


@pytest.fixture(scope="module")
def identity() -> Identity:
    return server_identity("127.0.0.1")


def _stop(number: int, frame: FrameType | None) -> None:
    raise StopNow


@contextmanager
def ctrl_c(after_s: float = 0.3) -> Iterator[None]:
    """Ctrl-C in a moment. The block must end by it, and long before its own time."""
    before = signal.signal(signal.SIGINT, _stop)
    presser = threading.Timer(after_s, signal.raise_signal, [signal.SIGINT])
    began = time.monotonic()
    try:
        presser.start()
        with pytest.raises(StopNow):
            yield
        assert time.monotonic() - began < HANG_S
    finally:
        presser.cancel()
        presser.join()
        signal.signal(signal.SIGINT, before)


def target(port: int, identity: Identity | None = None) -> Target:
    tls = Tls("off") if identity is None else Tls("pin", pin=identity.pin)
    return Target("rp01", "127.0.0.1", port, "Administrator", Secret("canary"), AuthMethod.ntlm, tls)


def exchange(session: GuardedSession) -> None:
    session.exchange(b"body", {}, answer_s=LONG_S, connect_by=Deadline(LONG_S))


def silent(client: socket.socket) -> None:
    """An answer that never comes."""
    client.recv(1)


@contextmanager
def full_backlog() -> Iterator[int]:
    """The port of a listener that takes no connection."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
        for each in waiting:
            each.close()


def held_lock() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock


def pause_between_attempts() -> None:
    def fail() -> None:
        raise TransientError("refused", pause_s=LONG_S / 2)

    connecting(Deadline(LONG_S))(fail)


WAITS: dict[str, Callable[[], object]] = {
    "sleep": lambda: waits.sleep(LONG_S),
    "queue": lambda: waits.take(queue.SimpleQueue(), Deadline(LONG_S).left),
    "event": lambda: waits.wait(threading.Event()),
    "lock": lambda: waits.acquire(held_lock(), Deadline(LONG_S).left),
    "thread": lambda: waits.join(_lasting_thread(), LONG_S),
    "pause between attempts": pause_between_attempts,
}


def _lasting_thread() -> threading.Thread:
    thread = threading.Thread(target=time.sleep, args=(2.0,), daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize("wait", WAITS)
def test_ctrl_c_ends_a_wait(wait: str) -> None:
    with ctrl_c():
        WAITS[wait]()


def test_ctrl_c_ends_the_wait_for_a_lock_that_another_thread_holds_for_good() -> None:
    with ctrl_c(), waits.holding(held_lock()):
        pass


def test_ctrl_c_ends_the_wait_for_an_answer() -> None:
    with RawServer(silent) as server, ctrl_c():
        exchange(GuardedSession(target(server.port)))


def test_ctrl_c_ends_the_wait_for_an_answer_over_tls(identity: Identity, tmp_path: Path) -> None:
    with RawServer(silent, identity=identity, folder=tmp_path) as server, ctrl_c():
        exchange(GuardedSession(target(server.port, identity)))


def test_ctrl_c_ends_the_wait_in_a_handshake(identity: Identity) -> None:
    with RawServer(silent) as server, ctrl_c():
        exchange(GuardedSession(target(server.port, identity)))


def test_ctrl_c_ends_the_wait_for_a_connection() -> None:
    with full_backlog() as port, ctrl_c():
        dial("127.0.0.1", port, "rp01", Deadline(LONG_S))


def test_ctrl_c_ends_the_wait_for_a_name_server(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *words, **more: released.wait(HANG_S))
    with ctrl_c():
        resolve("rp01", 5986, "rp01", Deadline(LONG_S))
    released.set()


def test_ctrl_c_ends_the_wait_for_a_reader() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, ctrl_c():
        sock = dial("127.0.0.1", listener.getsockname()[1], "rp01", Deadline(LONG_S))
        sock.sendall(bytes(64_000_000))


def test_ctrl_c_ends_the_wait_for_a_program(tmp_path: Path) -> None:
    line = program.line_of([sys.executable, "-c", f"import time; time.sleep({LONG_S})"])
    with ctrl_c(1.0):
        program.output_of(line, folder=tmp_path, interactive=False, label="the password", limit=10)


# Another thread cancels: without any help of the socket, as where its shutdown() wakes nobody.


@pytest.mark.parametrize("phase", ["answer", "answer over TLS", "handshake", "connection"])
def test_a_cancel_by_another_thread_ends_the_wait(phase: str, identity: Identity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lyncarr.hosts.http.guard.shut_down", lambda sock: None)
    secured = phase == "answer over TLS"
    with RawServer(silent, identity=identity if secured else None, folder=tmp_path) as server, full_backlog() as full:
        port = full if phase == "connection" else server.port
        session = GuardedSession(target(port, identity if secured or phase == "handshake" else None))
        canceller = threading.Timer(0.3, session.cancel)
        canceller.start()
        began = time.monotonic()
        with pytest.raises(LostConnectionError, match="because the run was stopped"):
            exchange(session)
        assert time.monotonic() - began < HANG_S
        canceller.join()


# What slices must not change.


def test_an_answer_that_comes_in_time_is_one_wait(identity: Identity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slice costs nothing where the answer comes within it: no further wait, and none that ends without a result."""
    monkeypatch.setattr(waits, "SLICE_S", HANG_S)
    made: list[float] = []
    whole, real = list[float](), waits.slices

    def counted(left: Callable[[], float] | None = None) -> Iterator[float]:
        whole.append(1)
        for seconds in real(left):
            made.append(seconds)
            yield seconds

    monkeypatch.setattr(waits, "slices", counted)
    with RawServer(http("200 OK", b"<a/>"), identity=identity, folder=tmp_path) as server:
        session = GuardedSession(target(server.port, identity))
        exchange(session)
        exchange(session)
    assert len(made) == len(whole) > 4


def test_an_answer_in_pieces_arrives_whole(identity: Identity, tmp_path: Path) -> None:
    """Slices end between the pieces, in the middle of a TLS record as well, and a large body is written in many slices."""
    answer = http("200 OK", b"<a>" + b"x" * 200_000 + b"</a>")

    def slowly(client: socket.socket) -> None:
        for start in range(0, len(answer), 50_000):
            time.sleep(3 * SLICE_S)
            client.sendall(answer[start : start + 50_000])

    with RawServer(slowly, identity=identity, folder=tmp_path) as server:
        session = GuardedSession(target(server.port, identity))
        found = session.exchange(b"y" * 5_000_000, {}, answer_s=HANG_S, connect_by=Deadline(HANG_S))
        assert len(found.content) == 200_007
        assert server.requests[0].endswith(b"y" * 5_000_000)


def test_the_time_for_an_answer_ends_as_before(identity: Identity, tmp_path: Path) -> None:
    with RawServer(silent, identity=identity, folder=tmp_path) as server:
        session = GuardedSession(target(server.port, identity))
        began = time.monotonic()
        with pytest.raises(LostConnectionError, match="did not answer within 1 s"):
            session.exchange(b"", {}, answer_s=1.0, connect_by=Deadline(HANG_S))
        assert 0.9 < time.monotonic() - began < HANG_S


def test_the_time_for_a_handshake_ends_as_before(identity: Identity) -> None:
    with RawServer(silent) as server, pytest.raises(TransientError, match="accepts the connection but does not respond"):
        GuardedSession(target(server.port, identity)).exchange(b"", {}, answer_s=HANG_S, connect_by=Deadline(1.0))


def test_the_time_for_a_connection_ends_as_before() -> None:
    with full_backlog() as port, pytest.raises(TransientError, match="did not answer in time"):
        dial("127.0.0.1", port, "rp01", Deadline(1.0))


def test_a_refused_connection_is_known_as_such() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(TransientError, match="refused the connection"):
        dial("127.0.0.1", port, "rp01", Deadline(HANG_S))


def test_a_connection_that_fails_at_once_is_no_connection() -> None:
    """The network of this address is unreachable, or the address is not allowed: no system waits before it says so."""
    with pytest.raises(TransientError, match="cannot be reached"):
        dial("255.255.255.255", 5986, "rp01", Deadline(HANG_S))


def test_the_timeout_of_the_system_is_not_repeated() -> None:
    """ETIMEDOUT: the other side is gone, and every further attempt would fail the same."""
    attempts: list[int] = []

    def gone() -> None:
        attempts.append(1)
        raise TimeoutError(110, "Connection timed out")

    sock = TimedSocket()
    sock.clock = Clock()
    with sock, pytest.raises(TimeoutError, match="Connection timed out"):
        sock._waiting(gone)
    assert attempts == [1]


def test_a_wait_for_an_event_ends_with_the_event() -> None:
    event = threading.Event()
    threading.Timer(3 * SLICE_S, event.set).start()
    waits.wait(event)
    with pytest.raises(queue.Empty):
        waits.take(queue.SimpleQueue(), Deadline(3 * SLICE_S).left)
    assert not waits.acquire(held_lock(), Deadline(3 * SLICE_S).left)


@pytest.mark.skipif(sys.platform == "win32", reason="this system interrupts a wait")
def test_where_signals_interrupt_a_wait_it_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert waits.SLICE_S is None
    assert list(waits.slices(iter([7.0, 0.0]).__next__)) == [7.0]
    assert next(waits.slices()) == threading.TIMEOUT_MAX
    assert threading.Event().wait(0.0) is False


@pytest.mark.skipif(sys.platform != "win32", reason="the value on Windows")
def test_on_windows_a_slice_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert waits.SLICE_S == 0.2
    assert list(waits.slices(iter([7.0, 6.8, 0.1, 0.0]).__next__)) == [0.2, 0.1]
