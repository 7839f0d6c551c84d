"""Waits of the network in slices, so that Ctrl-C is noticed on Windows too: there no signal interrupts select() or a lock."""

from __future__ import annotations

import errno
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from lyncarr.core.model import Deadline, Secret
from lyncarr.hosts.http import sockets
from lyncarr.hosts.http.sockets import SLICE_S, Clock, TimedSocket, TimedTlsSocket, dial, in_slices
from lyncarr.hosts.http.tls import speaks_tls
from lyncarr.hosts.target import Target, Tls
from tests.patience import HANG_S


class Pressed(BaseException):
    pass


def test_no_slice_is_longer_than_the_limit_and_the_last_one_is_what_is_left() -> None:
    left, asked = [1.0, 0.3, 0.1, 0.0], []

    def attempt(seconds: float) -> None:
        asked.append(seconds)
        raise TimeoutError

    with pytest.raises(TimeoutError):
        in_slices(iter(left).__next__, attempt)
    assert asked == [SLICE_S, SLICE_S, 0.1]


def test_a_time_out_of_the_network_itself_is_not_waited_for_again() -> None:
    def attempt(seconds: float) -> None:
        raise TimeoutError(errno.ETIMEDOUT, "Connection timed out")

    with pytest.raises(TimeoutError, match="Connection timed out"):
        in_slices(lambda: HANG_S, attempt)


@contextmanager
def silent_server() -> Iterator[tuple[str, int]]:
    """Accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[:2]


def tls_off(address: str, port: int) -> Target:
    return Target("rp01", address, port, "Administrator", Secret("x"), tls=Tls("pin", pin="0" * 64))


def read_plain(address: str, port: int) -> None:
    sock = dial(address, port, "rp01", Deadline(HANG_S))
    with sock:
        sock.clock = Clock()
        sock.clock.limit_s = HANG_S
        sock.clock.restart()
        sock.recv_into(bytearray(1))


def shake_hands(address: str, port: int) -> None:
    speaks_tls(dial(address, port, "rp01", Deadline(HANG_S)), tls_off(address, port), Deadline(HANG_S))


def resolve_never(address: str, port: int) -> None:
    sockets.resolve("nowhere.invalid", port, "rp01", Deadline(HANG_S))


@pytest.mark.parametrize("wait", [read_plain, shake_hands, resolve_never])
def test_a_signal_ends_a_wait_for_the_host(wait: Callable[[str, int], None], monkeypatch: pytest.MonkeyPatch) -> None:
    # raise_signal in a thread: on Windows this sets a flag that the main thread reads when it next runs Python code, as Ctrl-C does.
    import signal

    def pressed(number: int, frame: object) -> None:
        raise Pressed

    if wait is resolve_never:
        monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: time.sleep(HANG_S))
    before = signal.signal(signal.SIGINT, pressed)
    started = time.monotonic()
    try:
        with silent_server() as (address, port):
            timer = threading.Timer(0.5, signal.raise_signal, (signal.SIGINT,))
            timer.start()
            with pytest.raises(Pressed):
                wait(address, port)
            timer.join()
    finally:
        signal.signal(signal.SIGINT, before)
    assert time.monotonic() - started < HANG_S


@pytest.mark.parametrize("tls", [False, True])
def test_a_cancelled_clock_ends_a_read_of_another_thread_without_a_shutdown(tls: bool) -> None:
    ours, theirs = socket.socketpair()
    sock: TimedSocket = TimedSocket(ours.family, ours.type, fileno=ours.detach())
    with sock, theirs:
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode, context.sslsocket_class = False, ssl.CERT_NONE, TimedTlsSocket
            secured = context.wrap_socket(sock, do_handshake_on_connect=False)
            assert isinstance(secured, TimedTlsSocket)
            sock = secured
        sock.clock = Clock()
        sock.clock.limit_s = HANG_S
        sock.clock.restart()
        threading.Timer(0.3, setattr, (sock.clock, "cancelled", True)).start()
        with pytest.raises(TimeoutError), sock:
            sock.recv_into(bytearray(1))


@pytest.mark.skipif(sys.platform != "win32", reason="the numbers of Winsock")
def test_a_refused_connection_is_one_on_windows() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(Exception, match="refused the connection"):
        dial("127.0.0.1", port, "rp01", Deadline(HANG_S))
