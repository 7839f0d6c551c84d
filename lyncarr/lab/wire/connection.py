"""One connection to the simulated host: who is asking, what is sealed, and the faults on the way."""

from __future__ import annotations

import contextlib
import gzip
import select
import socket
import ssl
import struct
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from lyncarr.lab.wire import wsman
from lyncarr.lab.wire.auth import SEALED_TYPE, AuthStep, ConnectionAuth, SealError
from lyncarr.lab.wire.engine import Engine
from lyncarr.lab.wire.faults import At, Faults, hits
from lyncarr.lab.wire.fragments import END, FRAGMENT_HEAD, host_call
from lyncarr.lab.wire.http import Answer, Request, read_request
from lyncarr.lab.wire.shells import Reply, Shells
from lyncarr.lab.wire.wsman import Message

SOAP_TYPE = "application/soap+xml;charset=UTF-8"
HANDSHAKE_S = 10.0
TLS_ALERT = b"\x15"
MAX_ENVELOPE_BYTES = 512_000  # winrm/config MaxEnvelopeSizekb of Server 2012 and newer
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


class Cut(Exception):
    """End the connection. `reset` sends RST, which is what a crashed peer or a firewall does."""

    def __init__(self, reset: bool = True) -> None:
        super().__init__()
        self.reset = reset


class ConnectionServer(Protocol):
    """What a connection needs of the server that accepted it; LabServer has it."""

    faults: Faults
    engine: Engine
    on_message: Callable[[RequestRecord, Message], None]

    @property
    def shells(self) -> Shells: ...

    @property
    def message_count(self) -> int:
        """The number of messages that came through authentication so far, over all connections."""

    def new_auth(self, tls: bool, client_certificate: bool) -> ConnectionAuth: ...

    def new_record(self, request: Request, tls: bool) -> RequestRecord: ...

    def count_message(self, record: RequestRecord, action: str) -> None:
        """Give `record` the next message number and its action."""

    def first_time(self, fault: str) -> bool:
        """Whether a fault that happens once happens now."""

    def forget(self, connection: Connection, *, failed_handshake: bool) -> None:
        """The connection has ended."""

    def pause(self, seconds: float) -> None:
        """Wait; raises Cut at the server's end."""


class Connection:
    """One TCP connection, served by one thread: security contexts and sequence numbers belong to it."""

    def __init__(self, server: ConnectionServer, client: socket.socket, tls: ssl.SSLContext | None) -> None:
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
            while self._server.faults.silent:
                self._server.pause(0.05)
            if self._tls is not None:
                # Here and not while accepting: a client that sends nothing must not delay others.
                self._socket.settimeout(HANDSHAKE_S)
                # In two steps: shutdown() must find the socket while the handshake hangs.
                secured = self._tls.wrap_socket(self._socket, server_side=True, do_handshake_on_connect=False)
                self._socket = secured
                secured.do_handshake()
                secured.settimeout(None)
                handshake = False
            shown = False
            if isinstance(self._socket, ssl.SSLSocket):
                try:
                    shown = bool(self._socket.getpeercert())
                except AttributeError:
                    return  # closed by shutdown() a moment ago: ssl has no better name for it
            self._auth = self._server.new_auth(self._tls is not None, shown)
            with self._socket.makefile("rb") as reader:
                while (request := read_request(reader)) is not None:
                    self._serve(request)
        except Cut as cut:
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

    def _serve(self, request: Request) -> None:
        faults = self._server.faults
        record = self._server.new_record(request, self._tls is not None)
        answer = self._early(request, record, faults)
        if answer is None:
            answer = self._authenticated(request, record, faults)
        self._server.pause(faults.latency_s)
        last = hits(faults.cut_after, record.number, record.message)
        if last:
            self._hold_back()
        try:
            self._write(answer, record, faults)
        except (OSError, Cut):
            if answer.take_back is not None:
                answer.take_back()
            raise
        if last:
            self._socket.shutdown(socket.SHUT_WR)
            raise Cut(reset=False)

    def _hold_back(self) -> None:
        """Let the end of what is written next leave together with the end of the connection.

        Else the client could have sent its next request before it learns of the end, and would take it for a lost answer.
        """
        if sys.platform == "linux":
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)

    def _early(self, request: Request, record: RequestRecord, faults: Faults) -> Answer | None:
        """Answers that do not look at who asks."""
        if faults.web_server:
            return Answer(200, PAGE, "text/html")
        if record.number <= faults.unavailable:
            return Answer(503, headers=(("Retry-After", str(faults.retry_after_s)),))
        if hits(faults.redirect, record.number, record.number):
            return Answer(faults.redirect_status, headers=(("Location", faults.redirect_to),))
        if request.path != "/wsman":
            return Answer(404)
        if request.method != "POST":
            return Answer(405, headers=(("Allow", "POST"),))
        return None

    def _authenticated(self, request: Request, record: RequestRecord, faults: Faults) -> Answer:
        verdict = self._auth.check(request.headers.get("authorization"))
        record.auth = verdict.step
        used_up = faults.refuse_after is not None and self._server.message_count >= faults.refuse_after
        if verdict.granted and (faults.refuse_authentication or used_up):
            record.auth = "refused"
            return Answer(401, headers=(("WWW-Authenticate", "Negotiate"),))
        if not verdict.granted:
            return Answer(401, headers=tuple(("WWW-Authenticate", offer) for offer in verdict.offers))
        headers = (("WWW-Authenticate", verdict.token),) if verdict.token else ()
        if not request.body:
            return Answer(200, headers=headers)
        try:
            clear, record.sealed = self._auth.unseal(request.headers, request.body)
        except SealError:
            return Answer(400)
        if self._auth.sealing_required and not record.sealed:
            # What Windows answers where AllowUnencrypted is false: 500 with nothing in it.
            return Answer(500)
        if len(clear) > MAX_ENVELOPE_BYTES:
            return Answer(413)
        answer = self._message(clear, record, faults)
        return replace(answer, headers=(*headers, *answer.headers))

    def _message(self, clear: bytes, record: RequestRecord, faults: Faults) -> Answer:
        message_id = ""
        reply: Reply | None = None
        try:
            message = wsman.parse(clear)
            message_id = message.message_id
            self._server.count_message(record, message.action.rsplit("/", 1)[-1])
            self._server.on_message(record, message)
            if hits(faults.cut_request, record.number, record.message):
                raise Cut
            if faults.refuse_shell is not None and message.action == wsman.CREATE:
                raise wsman.refused(faults.refuse_shell)
            if hits(faults.unavailable_at, record.number, record.message):
                return Answer(503, headers=(("Retry-After", str(faults.retry_after_s)),))
            reply = self._server.shells.answer(message, self._alive)
            status, body = 200, wsman.answer(message, self._with_faults(reply, record, faults))
        except wsman.Fault as error:
            status, body = 500, wsman.fault(error, message_id, self._server.engine.computer)
        except Cut:
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
            due.append(("stdout", GARBAGE))
        if _from_there_on(faults.host_call, record) and reply.psrp and self._server.first_time("host call"):
            due.append(("stdout", host_call(received.shell_id, received.command_id)))
        if not due:
            return reply.body
        return wsman.received(received.command_id, [*due, *received.packets], received.exit_code)

    def _dressed(self, status: int, body: bytes, reply: Reply | None, message_id: str, record: RequestRecord, faults: Faults) -> Answer:
        """The answer as it goes out: faults of the content, sealed, encoded."""

        def due(at: At | None) -> bool:
            return hits(at, record.number, record.message)

        take_back = reply.take_back if reply is not None else None
        if due(faults.html):
            return Answer(200, PAGE, "text/html", take_back=take_back)
        if due(faults.wrong_relates_to) and message_id:
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
        return Answer(status, body, content_type, headers, take_back)

    def _write(self, answer: Answer, record: RequestRecord, faults: Faults) -> None:
        if hits(faults.cut_answer, record.number, record.message):
            raise Cut
        data = answer.head(faults.clock_s) + answer.body
        if hits(faults.torn, record.number, record.message):
            self._socket.sendall(data[: len(data) // 2])
            raise Cut
        if hits(faults.stall, record.number, record.message):
            while self._alive():
                self._server.pause(0.05)
            raise Cut
        record.status, record.bytes_down = answer.status, len(data)
        if hits(faults.drip, record.number, record.message):
            for at in range(len(data)):
                self._socket.sendall(data[at : at + 1])
                self._server.pause(faults.drip_interval_s)
        else:
            self._socket.sendall(data)  # one write: two would meet Nagle and the delayed acknowledgement


def _from_there_on(at: At | None, record: RequestRecord) -> bool:
    return at is not None and record.message is not None and bool(record.message >= at.first)
