"""The HTTP and HTTPS endpoint of the simulated host: connections, authentication, sealing, faults, and a log of all requests."""

from __future__ import annotations

import contextlib
import gzip
import select
import socket
import ssl
import struct
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lyncarr.lab import wsman
from lyncarr.lab.auth import SEALED_TYPE, Account, AuthStep, ConnectionAuth, SealError
from lyncarr.lab.certs import Identity, server_identity
from lyncarr.lab.engine import Engine
from lyncarr.lab.faults import Faults, hits
from lyncarr.lab.fragments import END, FRAGMENT_HEAD, host_call
from lyncarr.lab.shells import DEFAULT_IDLE_S, DEFAULT_LINGER_S, Reply, Shells

SOAP_TYPE = "application/soap+xml;charset=UTF-8"
MAX_HEAD_BYTES = 65_536
MAX_BODY_BYTES = 64 * 1024 * 1024
HANDSHAKE_S = 10.0
BACKLOG = 256
REASONS = {200: "OK", 301: "Moved", 302: "Found", 307: "Moved", 308: "Moved", 400: "Bad Request", 401: "Unauthorized"}
TLS_ALERT = b"\x15"
PAGE = b"<!DOCTYPE html><html><body><h1>Welcome to the guest network</h1></body></html>"
# A sixth fragment of a message whose first five never came.
GARBAGE = FRAGMENT_HEAD.pack(1 << 41, 5, END, 4) + b"junk"


@dataclass
class RequestRecord:
    """One HTTP request as the server saw it. `status` 0: the connection was cut instead of answered.

    `number` counts all requests of the server from 1, `message` the SOAP messages that came through authentication.
    `bytes_up` and `bytes_down` are heads and bodies.
    """

    number: int
    method: str
    path: str
    tls: bool
    bytes_up: int
    message: int | None = None
    action: str | None = None
    auth: AuthStep = "none"
    sealed: bool = False
    status: int = 0
    bytes_down: int = 0


@dataclass(frozen=True)
class _Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    size: int


@dataclass(frozen=True)
class _Answer:
    """`then` is called once it is known whether the answer was written."""

    status: int
    body: bytes = b""
    content_type: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    take_back: Callable[[], None] | None = None


class _Cut(Exception):
    """End the connection. `reset` sends RST, which is what a crashed peer or a firewall does."""

    def __init__(self, reset: bool = True) -> None:
        super().__init__()
        self.reset = reset


class LabServer:
    """A simulated Windows host on the network, a context manager. It owns `engine` and closes it at the end.

    Ports of 0 become free ones. With `https` False there is no TLS endpoint; the http one is always there, and takes only
    sealed messages. `client_authority` (PEM) is trusted for log-on by client certificate. `basic` False is Windows' default:
    then Basic is not offered over TLS either.
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
        self._open: set[_Connection] = set()
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
        assert identity is not None  # noqa: S101  (told apart by the caller)
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
            connection = _Connection(self, client, tls)
            with self._lock:
                self.connections += 1
                self._open.add(connection)
            if self._stopping.is_set():
                connection.shutdown()
            connection.thread.start()

    # What a connection needs of its server:

    def new_auth(self, tls: bool, client_certificate: bool) -> ConnectionAuth:
        binding = self.identity.binding if tls and self.identity is not None else None
        return ConnectionAuth(self._account, binding, client_certificate=client_certificate, basic=self._basic)

    def new_record(self, request: _Request, tls: bool) -> RequestRecord:
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

    def forget(self, connection: _Connection, *, failed_handshake: bool) -> None:
        with self._lock:
            self._open.discard(connection)
            self.failed_handshakes += failed_handshake

    def pause(self, seconds: float) -> None:
        """Wait, but not beyond the server's end."""
        if seconds > 0 and self._stopping.wait(seconds):
            raise _Cut


class _Connection:
    """One TCP connection, served by one thread: security contexts and sequence numbers belong to it."""

    def __init__(self, server: LabServer, client: socket.socket, tls: ssl.SSLContext | None) -> None:
        self._server = server
        self._socket = client
        self._tls = tls
        self._auth: ConnectionAuth
        self.thread = threading.Thread(target=self._run, name="lab-connection", daemon=True)

    def shutdown(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def _run(self) -> None:
        handshake = self._tls is not None
        try:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                # Here and not while accepting: a client that says nothing must not keep others waiting.
                self._socket.settimeout(HANDSHAKE_S)
                self._socket = self._tls.wrap_socket(self._socket, server_side=True)
                self._socket.settimeout(None)
                handshake = False
            shown = bool(isinstance(self._socket, ssl.SSLSocket) and self._socket.getpeercert())
            self._auth = self._server.new_auth(self._tls is not None, shown)
            with self._socket.makefile("rb") as reader:
                while (request := _read_request(reader)) is not None:
                    self._serve(request)
        except _Cut as cut:
            if cut.reset:
                with contextlib.suppress(OSError):
                    self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:
            pass  # the client went away; ssl.SSLError is an OSError too
        finally:
            self._socket.close()
            self._server.forget(self, failed_handshake=handshake)

    def _alive(self) -> bool:
        """Whether the client is still there. It has nothing to say while it waits, so anything readable is its farewell."""
        try:
            if not select.select([self._socket], [], [], 0)[0]:
                return True
            # Past the TLS layer on purpose: an SSLSocket cannot peek.
            return socket.socket.recv(self._socket, 1, socket.MSG_PEEK) not in (b"", TLS_ALERT)
        except (OSError, ValueError):
            return False

    def _serve(self, request: _Request) -> None:
        faults = self._server.faults
        record = self._server.new_record(request, self._tls is not None)
        answer = self._early(request, record, faults)
        if answer is None:
            answer = self._authenticated(request, record, faults)
        self._server.pause(faults.latency_s)
        try:
            self._write(answer, record, faults)
        except (OSError, _Cut):
            if answer.take_back is not None:
                answer.take_back()
            raise
        if hits(faults.cut_after, record.number, record.message):
            raise _Cut(reset=False)

    def _early(self, request: _Request, record: RequestRecord, faults: Faults) -> _Answer | None:
        """Answers that do not look at who asks."""
        if record.number <= faults.unavailable:
            return _Answer(503, headers=(("Retry-After", str(faults.retry_after_s)),))
        if hits(faults.redirect, record.number, record.number):
            return _Answer(faults.redirect_status, headers=(("Location", faults.redirect_to),))
        if request.path != "/wsman":
            return _Answer(404)
        if request.method != "POST":
            return _Answer(405, headers=(("Allow", "POST"),))
        return None

    def _authenticated(self, request: _Request, record: RequestRecord, faults: Faults) -> _Answer:
        verdict = self._auth.check(request.headers.get("authorization"))
        record.auth = verdict.step
        used_up = faults.refuse_after is not None and self._server.message_count >= faults.refuse_after
        if verdict.granted and (faults.refuse_authentication or used_up):
            record.auth = "refused"
            return _Answer(401, headers=(("WWW-Authenticate", "Negotiate"),))
        if not verdict.granted:
            return _Answer(401, headers=tuple(("WWW-Authenticate", offer) for offer in verdict.offers))
        headers = (("WWW-Authenticate", verdict.token),) if verdict.token else ()
        if not request.body:
            return _Answer(200, headers=headers)
        try:
            clear, record.sealed = self._auth.unseal(request.headers, request.body)
        except SealError:
            return _Answer(400)
        if self._auth.sealing_required and not record.sealed:
            # What Windows answers where AllowUnencrypted is false: 500 with nothing in it.
            return _Answer(500)
        answer = self._message(clear, record, faults)
        return replace(answer, headers=(*headers, *answer.headers))

    def _message(self, clear: bytes, record: RequestRecord, faults: Faults) -> _Answer:
        message_id = ""
        reply: Reply | None = None
        try:
            message = wsman.parse(clear)
            message_id = message.message_id
            self._server.count_message(record, message.action.rsplit("/", 1)[-1])
            if hits(faults.cut_request, record.number, record.message):
                raise _Cut
            reply = self._server.shells.answer(message, self._alive)
            status, body = 200, wsman.answer(message, self._with_faults(reply, record, faults))
        except wsman.Fault as error:
            status, body = 500, wsman.fault(error, message_id, self._server.engine.computer)
        except _Cut:
            raise
        except Exception as error:
            # Whatever it is: else the client would only see that the connection ended, and call it a network problem.
            status, body = 500, wsman.fault(wsman.aborted(f"{type(error).__name__}: {error}"), message_id, self._server.engine.computer)
        return self._dressed(status, body, reply, message_id, record, faults)

    def _with_faults(self, reply: Reply, record: RequestRecord, faults: Faults) -> str:
        """The body of the reply, with a fault among the received packets where one is due."""
        received = reply.receive
        if received is None or received.command_id is None:
            return reply.body
        due = []
        if _from_there_on(faults.garbage, record) and self._server.first_time("garbage"):
            due.append(GARBAGE)
        if _from_there_on(faults.host_call, record) and self._server.first_time("host call"):
            due.append(host_call(received.shell_id, received.command_id))
        if not due:
            return reply.body
        return wsman.received(received.command_id, [*due, *received.packets], received.done)

    def _dressed(self, status: int, body: bytes, reply: Reply | None, message_id: str, record: RequestRecord, faults: Faults) -> _Answer:
        """The answer as it goes out: faults of the content, sealed, encoded."""

        def due(at: Any) -> bool:
            return hits(at, record.number, record.message)

        take_back = reply.take_back if reply is not None else None
        if due(faults.html):
            return _Answer(200, PAGE, "text/html", take_back=take_back)
        if due(faults.wrong_relates_to):
            body = body.replace(message_id.encode(), b"uuid:00000000-0000-0000-0000-000000000000")
        if due(faults.doctype):
            body = b'<!DOCTYPE s [<!ENTITY e "boom">]>' + body
        if due(faults.oversized):
            body = b"<a>" + b" " * faults.oversized_bytes + b"</a>"
        content_type = SOAP_TYPE
        if record.sealed and not due(faults.plaintext):
            body, content_type = self._auth.seal(body), SEALED_TYPE
        headers: tuple[tuple[str, str], ...] = ()
        if due(faults.gzip):
            body, headers = gzip.compress(body), (("Content-Encoding", "gzip"),)
        return _Answer(status, body, content_type, headers, take_back)

    def _write(self, answer: _Answer, record: RequestRecord, faults: Faults) -> None:
        if hits(faults.cut_answer, record.number, record.message):
            raise _Cut
        lines = [f"HTTP/1.1 {answer.status} {REASONS.get(answer.status, 'Error')}", "Server: Microsoft-HTTPAPI/2.0"]
        if answer.content_type:
            lines.append(f"Content-Type: {answer.content_type}")
        lines += [f"{name}: {value}" for name, value in answer.headers]
        lines.append(f"Content-Length: {len(answer.body)}")
        data = "\r\n".join((*lines, "", "")).encode("latin-1") + answer.body
        if hits(faults.stall, record.number, record.message):
            while self._alive():
                self._server.pause(0.05)
            raise _Cut
        record.status, record.bytes_down = answer.status, len(data)
        if hits(faults.drip, record.number, record.message):
            for at in range(len(data)):
                self._socket.sendall(data[at : at + 1])
                self._server.pause(faults.drip_interval_s)
        else:
            self._socket.sendall(data)  # one write: two would meet Nagle and the delayed acknowledgement


def _from_there_on(at: Any, record: RequestRecord) -> bool:
    return at is not None and record.message is not None and bool(record.message >= at.first)


def _read_request(reader: Any) -> _Request | None:
    """The next request of a connection; None at its end, or where it is not HTTP."""
    lines = list(_head(reader))
    if len(lines) < 2 or lines[-1] not in (b"\r\n", b"\n"):
        return None
    words = lines[0].decode("latin-1").split()
    if len(words) != 3:
        return None
    headers: dict[str, str] = {}
    for line in lines[1:-1]:
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit()) or int(length) > MAX_BODY_BYTES:
        return None
    # Read in full before any answer: a client that still writes would see a reset instead of its 401.
    body = reader.read(int(length))
    return _Request(words[0], words[1], headers, body, sum(map(len, lines)) + len(body))


def _head(reader: Any) -> Iterator[bytes]:
    size = 0
    while size < MAX_HEAD_BYTES:
        line = reader.readline(MAX_HEAD_BYTES)
        if not line:
            return
        size += len(line)
        yield line
        if line in (b"\r\n", b"\n"):
            return
