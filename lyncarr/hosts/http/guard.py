"""The one requests.Session that talks to hosts. It closes what the WinRM client libraries leave open, for all of them alike.

Followed redirects, endless answers, unsealed answers in sealed sessions, bodies of any size or encoding, proxies and CA bundles
of the environment: all end here, in the adapter, through which every request passes whoever makes it.
"""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Iterator, Mapping
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection

from lyncarr.core.errors import LostConnectionError, LyncarrError, ProtocolError
from lyncarr.core.model import Deadline
from lyncarr.core.text import safe
from lyncarr.hosts.http.retry import StaleConnectionError
from lyncarr.hosts.http.sockets import Clock, TimedSocket, TimedTlsSocket, dial, shut_down
from lyncarr.hosts.http.tls import refused_certificate, secure
from lyncarr.hosts.target import Target

MAX_BODY_BYTES = 8 * 1024 * 1024
CHUNK_BYTES = 64 * 1024
SOAP = "application/soap+xml"
SEALED = "multipart/encrypted"


class GuardedSession(requests.Session):
    """HTTP with one host over one connection. All errors are those of core/errors.py.

    `connections` counts the connections made, `requests` the HTTP requests; `clock` counts bytes, and ends answers in time.
    """

    def __init__(self, target: Target, clock: Clock | None = None) -> None:
        super().__init__()
        self.target = target
        self.clock = clock or Clock()
        self.connections = 0
        self.requests = 0
        self.certificate: bytes | None = None
        """DER of what the host showed in the last handshake."""
        self.connect_by: Deadline | None = None
        self._socket: TimedSocket | None = None
        # No proxies, CA bundles or .netrc of the environment; nothing that a host says is kept and sent back to it.
        self.trust_env = False
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.headers.update({"User-Agent": "lyncarr", "Accept-Encoding": "identity"})
        self._adapter = _Adapter(self)
        self.adapters.clear()
        self.mount(target.endpoint, self._adapter)

    def exchange(self, body: bytes, headers: Mapping[str, str], *, answer_s: float, connect_by: Deadline | None) -> requests.Response:
        """One POST and its whole answer, within `answer_s` seconds of wall clock.

        A new connection is made where one is needed, until `connect_by`; with None the kept one must do, and
        StaleConnectionError tells that it is gone before anything was sent.
        """
        self.clock.limit_s = answer_s
        self.connect_by = connect_by
        return self.post(self.target.endpoint, data=body, headers=dict(headers), allow_redirects=False)

    def cancel(self) -> None:
        """End what another thread does here, at once. The session is then only good for closing."""
        self.clock.cancelled = True
        if self._socket is not None:
            shut_down(self._socket)

    def open_socket(self) -> TimedSocket:
        """A fresh connection, trusted; called by the pool when it has none."""
        if self.connect_by is None:
            raise StaleConnectionError
        if self.clock.cancelled:
            raise _stopped(self.target)
        target, deadline = self.target, self.connect_by

        def line() -> TimedSocket:
            return dial(target.address, target.port, target.where, deadline)

        sock = line()
        if target.tls.mode != "off":
            sock = secure(sock, target, deadline, line)
            self.certificate = sock.getpeercert(binary_form=True) if isinstance(sock, TimedTlsSocket) else None
        sock.clock = self.clock
        self._socket = sock
        self.connections += 1
        self.clock.restart()
        return sock


class _Connection(HTTPConnection):
    """urllib3's connection, with our socket instead of its own."""

    def __init__(self, *args: Any, guard: GuardedSession, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._guard = guard

    def connect(self) -> None:
        self.sock = self._guard.open_socket()


class _Pool(urllib3.HTTPConnectionPool):
    """One host, one connection; https too, because TLS is a matter of the socket here."""

    ConnectionCls = _Connection

    def __init__(self, guard: GuardedSession) -> None:
        super().__init__(guard.target.address, guard.target.port, maxsize=1)
        self.conn_kw["guard"] = guard


class _Adapter(HTTPAdapter):
    """Takes the place of requests' choice of pools, proxies and trust, and reads and judges each answer."""

    def __init__(self, guard: GuardedSession) -> None:
        super().__init__()
        self._guard = guard
        self._pool = _Pool(guard)

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> urllib3.HTTPConnectionPool:
        return self._pool

    def cert_verify(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: hosts/http/tls.py did it when the connection was made."""

    def close(self) -> None:
        super().close()
        self._pool.close()

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Any = None,
    ) -> requests.Response:
        guard = self._guard
        _same_place(request, guard.target)
        guard.clock.restart()
        before = guard.clock.bytes_up
        try:
            response = super().send(request, stream=True)
            try:
                _refuse_strange(request, response, guard.target)
                body = _body(response, guard.target)
            except BaseException:
                response.close()
                raise
            # What Response.content would do by itself, without its lack of limits.
            response._content = body
            response._content_consumed = True  # type: ignore[attr-defined]  # (absent from the stubs)
            _refuse_wrong_type(request, response, guard.target)
        except LyncarrError:
            raise
        except (requests.RequestException, urllib3.exceptions.HTTPError, http.client.HTTPException, OSError, ValueError) as error:
            raise _translated(error, guard) from None
        finally:
            # Without a connection there was no request.
            guard.requests += guard.clock.bytes_up > before
        return response


def _same_place(request: requests.PreparedRequest, target: Target) -> None:
    if (request.url or "").lower() != target.endpoint.lower():
        raise ProtocolError(f"A request for another place than {target.where} was refused here; check the host's address.")


def _refuse_strange(request: requests.PreparedRequest, response: requests.Response, target: Target) -> None:
    """What is wrong whatever the body says."""
    if 300 <= response.status_code < 400:
        to = safe(response.headers.get("Location", "nowhere"))
        raise ProtocolError(
            f"{target.where} answers with a redirect to {to}, which WinRM never does; it was not followed. Check the address."
        )
    if response.headers.get("Content-Encoding"):
        encoding = safe(response.headers["Content-Encoding"])
        raise ProtocolError(f"{target.where} sends content encoded as {encoding}, which was not asked for. Does a proxy stand between?")


def _body(response: requests.Response, target: Target) -> bytes:
    """The whole body, undecoded; ProtocolError as soon as it is longer than any answer of WinRM."""
    parts: list[bytes] = []
    size = 0
    for part in response.raw.stream(CHUNK_BYTES, decode_content=False):
        size += len(part)
        if size > MAX_BODY_BYTES:
            raise ProtocolError(f"{target.where} sent more than {MAX_BODY_BYTES} bytes in one answer; nothing more is read from it.")
        parts.append(part)
    response.raw.release_conn()
    return b"".join(parts)


def _refuse_wrong_type(request: requests.PreparedRequest, response: requests.Response, target: Target) -> None:
    """200 and 500 carry what is believed later; all others are judged by their status alone."""
    if response.status_code not in (200, 500) or not response.content:
        return
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if str(request.headers.get("Content-Type", "")).startswith(SEALED):
        if kind != SEALED:
            raise ProtocolError(
                f"{target.where} answers a sealed message with an unsealed one, and nothing of it was believed; "
                "somebody may be between you and the host."
            )
    elif kind != SOAP:
        shown = safe(kind) or "none"
        raise ProtocolError(f"{target.where} is not a WinRM endpoint (content type {shown}); check the address and the port.")


def refuse_document_type(data: bytes, target: Target) -> None:
    """Raise ProtocolError for XML that could make its reader work: a document type, with its entities, has no place in SOAP or CLIXML.

    Bytes of 0 too: they would be UTF-16, in which the mark could not be seen. All other encodings that expat reads share ASCII.
    """
    if b"<!DOCTYPE" in data or b"\0" in data:
        raise ProtocolError(f"{target.where} sent XML with a document type or in a strange encoding; nothing of it was read.")


def _stopped(target: Target) -> LostConnectionError:
    return LostConnectionError(f"The connection to {target.where} was closed because the run was stopped.")


def _translated(error: Exception, guard: GuardedSession) -> LyncarrError:
    """Ours for what requests, urllib3, http.client and ssl raised while a request was under way."""
    target, chain = guard.target, list(_chain(error))
    detail = safe(f"{type(chain[-1]).__name__}: {chain[-1]}", 400)
    if guard.clock.cancelled:
        return _stopped(target)
    if guard.clock.until is not None and guard.clock.until.passed:
        return LostConnectionError(
            f"{target.where} did not finish within {guard.clock.until.seconds:.0f} s; the run was ended.", detail=detail
        )
    if any(isinstance(one, TimeoutError | urllib3.exceptions.ReadTimeoutError) for one in chain):
        return LostConnectionError(
            f"{target.where} did not answer within {guard.clock.limit_s:.0f} s, or not in whole. Is it very busy, or is the network down?",
            detail=detail,
        )
    for one in chain:
        if isinstance(one, ssl.SSLError) and target.certificate is not None and "ALERT" in (one.reason or ""):
            return refused_certificate(target, detail)
        if _is_no_http(one):
            return ProtocolError(f"{target.where} does not answer in HTTP; check the address and the port.", detail=detail)
    return LostConnectionError(f"The connection to {target.where} was lost before its answer came.", detail=detail)


def _is_no_http(error: BaseException) -> bool:
    if isinstance(error, http.client.RemoteDisconnected | http.client.IncompleteRead):
        return False
    return isinstance(error, http.client.HTTPException | urllib3.exceptions.InvalidHeader | urllib3.exceptions.BodyNotHttplibCompatible)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and those inside it: urllib3 and requests hand causes on as arguments as well as by chaining."""
    seen: list[BaseException] = []
    waiting: list[BaseException] = [error]
    while waiting:
        one = waiting.pop(0)
        if one in seen:
            continue
        seen.append(one)
        yield one
        inner = [*one.args, one.__cause__, one.__context__, getattr(one, "reason", None)]
        waiting.extend(other for other in inner if isinstance(other, BaseException))
