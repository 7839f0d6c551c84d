"""The HTTP and HTTPS endpoint of the simulated host: who listens where, and a log of all requests."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

from lyncarr.lab.wire.auth import Account, ConnectionAuth
from lyncarr.lab.wire.certs import Identity, server_identity
from lyncarr.lab.wire.connection import Connection, Cut, RequestRecord
from lyncarr.lab.wire.engine import Engine
from lyncarr.lab.wire.faults import Faults
from lyncarr.lab.wire.http import Request
from lyncarr.lab.wire.shells import DEFAULT_IDLE_S, DEFAULT_LINGER_S, Shells
from lyncarr.lab.wire.wsman import Message

BACKLOG = 256


class LabServer:
    """A simulated Windows host on the network, a context manager. It owns `engine` and closes it at the end.

    Ports of 0 become free ones. With `https` False there is no TLS endpoint; the http one is always there, and takes only
    sealed messages. `client_authority` (PEM) is trusted for logon by client certificate. `basic` False is Windows' default:
    then Basic is not offered over TLS either.

    `on_message` is called with each message before it is carried out, in its connection's thread; it may be exchanged at any time.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        address: str = "127.0.0.1",
        https: bool = True,
        http_port: int = 0,
        https_port: int = 0,
        user: str = "Administrator",
        password: str = "P@ssw0rd-of-the-lab",  # noqa: S107  (a host on loopback that guards nothing)
        certificate: Identity | None = None,
        client_authority: bytes | None = None,
        basic: bool = True,
        faults: Faults | None = None,
        linger_s: float = DEFAULT_LINGER_S,
        idle_s: float = DEFAULT_IDLE_S,
    ) -> None:
        self.address = address
        self.http_port = http_port
        self.https_port = https_port
        self.user = user
        self.password = password
        self.faults = faults or Faults()
        self.engine = engine
        self.identity = certificate or (server_identity(address, computer=engine.computer) if https else None)
        self.requests: list[RequestRecord] = []
        self.on_message: Callable[[RequestRecord, Message], None] = lambda record, message: None
        self.connections = 0
        self.failed_handshakes = 0
        self._account = Account(user, password, engine.computer)
        self._client_authority = client_authority
        self._basic = basic
        self._linger_s = linger_s
        self._idle_s = idle_s
        self._lock = threading.Lock()
        self._messages = 0
        self._once: set[str] = set()
        self._stopping = threading.Event()
        self._listeners: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._open: set[Connection] = set()
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._shells: Shells | None = None

    def __enter__(self) -> LabServer:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    @property
    def shells(self) -> Shells:
        if self._shells is None:
            raise RuntimeError("the lab is not started")
        return self._shells

    @property
    def ca_file(self) -> Path:
        """PEM file of the authority that signed the server's certificate."""
        return self._path("ca.pem")

    @property
    def pin(self) -> str:
        """SHA-256 of the server's certificate, upper hex."""
        if self.identity is None:
            raise RuntimeError("this lab has no TLS endpoint")
        return self.identity.pin

    @property
    def messages(self) -> list[RequestRecord]:
        """The requests that were SOAP messages and came through authentication."""
        return [record for record in list(self.requests) if record.message is not None]

    def _path(self, name: str) -> Path:
        if self._folder is None:
            raise RuntimeError("the lab is not started")
        return Path(self._folder.name) / name

    def start(self) -> None:
        """Listen. Raises OSError where the address or a port cannot be had."""
        self._folder = tempfile.TemporaryDirectory(prefix="lyncarr-lab-")
        try:
            tls = self._tls_context() if self.identity is not None else None
            self.http_port = self._listen(self.http_port, None)
            if tls is not None:
                self.https_port = self._listen(self.https_port, tls)
        except BaseException:
            self.stop()
            raise
        self._shells = Shells(self.engine, linger_s=self._linger_s, idle_s=self._idle_s)
        for thread in self._threads:
            thread.start()

    def _tls_context(self) -> ssl.SSLContext:
        identity = self.identity
        assert identity is not None  # noqa: S101  (the caller checks it)
        for name, data in (("ca.pem", identity.authority), ("server.pem", identity.certificate + identity.key)):
            path = self._path(name)
            path.touch(mode=0o600)
            path.write_bytes(data)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers("DEFAULT:@SECLEVEL=0")  # a host shows short keys if it has them; refusing is the client's part
        context.load_cert_chain(self._path("server.pem"))
        if self._client_authority is not None:
            context.verify_mode = ssl.CERT_OPTIONAL
            context.load_verify_locations(cadata=self._client_authority.decode("ascii"))
        return context

    def _listen(self, port: int, tls: ssl.SSLContext | None) -> int:
        family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        self._listeners.append(listener)
        if os.name == "posix":
            # On Windows this option lets another program take the port.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((self.address, port))
        listener.listen(BACKLOG)
        self._threads.append(threading.Thread(target=self._accept, args=(listener, tls), name="lab-accept", daemon=True))
        bound: int = listener.getsockname()[1]
        return bound

    def stop(self) -> None:
        """End connections, shells and the engine; returns when all threads of the server have ended or been let go."""
        self._stopping.set()
        for listener in self._listeners:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # wakes the accepting thread
            listener.close()
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            connection.shutdown()
        if self._shells is not None:
            self._shells.close()
        else:
            self.engine.close()
        for thread in (*(thread for thread in self._threads if thread.ident), *(c.thread for c in connections)):
            thread.join(1.0)
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _accept(self, listener: socket.socket, tls: ssl.SSLContext | None) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            connection = Connection(self, client, tls)
            with self._lock:
                self.connections += 1
                self._open.add(connection)
            if self._stopping.is_set():
                connection.shutdown()
            connection.thread.start()

    # What ConnectionServer names:

    def new_auth(self, tls: bool, client_certificate: bool) -> ConnectionAuth:
        binding = self.identity.binding if tls and self.identity is not None else None
        return ConnectionAuth(self._account, binding, client_certificate=client_certificate, basic=self._basic)

    def new_record(self, request: Request, tls: bool) -> RequestRecord:
        with self._lock:
            record = RequestRecord(len(self.requests) + 1, request.method, request.path, tls, request.size)
            self.requests.append(record)
            return record

    def count_message(self, record: RequestRecord, action: str) -> None:
        with self._lock:
            self._messages += 1
            record.message, record.action = self._messages, action

    @property
    def message_count(self) -> int:
        return self._messages

    def first_time(self, fault: str) -> bool:
        """Whether a fault that happens once happens now."""
        with self._lock:
            if fault in self._once:
                return False
            self._once.add(fault)
            return True

    def forget(self, connection: Connection, *, failed_handshake: bool) -> None:
        with self._lock:
            self._open.discard(connection)
            self.failed_handshakes += failed_handshake

    def pause(self, seconds: float) -> None:
        """Wait, but not beyond the server's end."""
        if seconds > 0 and self._stopping.wait(seconds):
            raise Cut
