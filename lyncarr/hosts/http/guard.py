"""The only requests.Session that talks to hosts. Its adapter handles every request, so no client library can avoid its checks.

It follows no redirect, limits the time and the size of each answer, rejects unencrypted responses in an encrypted session and content
encodings, and ignores the proxies and CA bundles of the environment.
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
from lyncarr.hosts.target import CHECK_ADDRESS, CHECK_NETWORK, RUN_AGAIN, Target

MAX_BODY_BYTES = 8 * 1024 * 1024
CHUNK_BYTES = 64 * 1024
SOAP = "application/soap+xml"
ENCRYPTED = "multipart/encrypted"


class GuardedSession(requests.Session):
    """HTTP with one host over one connection at a time. Raises errors of core/errors.py only.

    `connections` counts the connections made, `requests` the HTTP requests. `clock` counts bytes and limits the time of each answer.
    """

    def __init__(self, target: Target, clock: Clock | None = None) -> None:
        super().__init__()
        self.target = target
        self.clock = clock or Clock()
        self.connections = 0
        self.requests = 0
        self.certificate: bytes | None = None
        """The certificate (DER) that the host presented in the last handshake; None without TLS."""
        self.connect_by: Deadline | None = None
        self._socket: TimedSocket | None = None
        # No proxies, CA bundles or .netrc of the environment. No cookie of a host is kept and sent back.
        self.trust_env = False
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.headers.update({"User-Agent": "lyncarr", "Accept-Encoding": "identity"})
        self._adapter = _Adapter(self)
        self.adapters.clear()
        self.mount(target.endpoint, self._adapter)

    def exchange(self, body: bytes, headers: Mapping[str, str], *, answer_s: float, connect_by: Deadline | None) -> requests.Response:
        """One POST and its whole answer, within `answer_s` seconds.

        Makes a new connection where it is needed, until `connect_by`. With None only the kept connection may be used; raises
        StaleConnectionError where it is closed, before anything was sent.
        """
        self.clock.limit_s = answer_s
        self.connect_by = connect_by
        return self.post(self.target.endpoint, data=body, headers=dict(headers), allow_redirects=False)

    def cancel(self) -> None:
        """End at once what another thread does with this session. After that the session can only be closed."""
        self.clock.cancelled = True
        if self._socket is not None:
            shut_down(self._socket)

    def open_socket(self) -> TimedSocket:
        """A new connection to a host whose certificate is trusted. The pool calls this when it has no connection."""
        if self.connect_by is None:
            raise StaleConnectionError
        if self.clock.cancelled:
            raise _stopped(self.target)
        target, deadline = self.target, _UntilCancelled(self.connect_by, self.clock)

        def connect() -> TimedSocket:
            return dial(target.address, target.port, target.where, deadline)

        try:
            sock = connect()
            if target.tls.mode != "off":
                sock = secure(sock, target, deadline, connect)
                self.certificate = sock.getpeercert(binary_form=True) if isinstance(sock, TimedTlsSocket) else None
        except LyncarrError:
            if self.clock.cancelled:
                raise _stopped(target) from None
            raise
        sock.clock = self.clock
        self._socket = sock
        self.connections += 1
        self.clock.restart()
        return sock


class _UntilCancelled(Deadline):
    """A deadline that has also passed as soon as the session is cancelled."""

    __slots__ = ("_clock", "_whole")

    def __init__(self, whole: Deadline, clock: Clock) -> None:
        super().__init__(whole.seconds)
        self._whole = whole
        self._clock = clock

    def left(self) -> float:
        return 0.0 if self._clock.cancelled else self._whole.left()


class _Connection(HTTPConnection):
    """urllib3's connection with a socket of GuardedSession."""

    def __init__(self, *args: Any, guard: GuardedSession, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._guard = guard

    def connect(self) -> None:
        self.sock = self._guard.open_socket()


class _Pool(urllib3.HTTPConnectionPool):
    """One host, one connection. Also for https, because the socket handles TLS."""

    ConnectionCls = _Connection

    def __init__(self, guard: GuardedSession) -> None:
        super().__init__(guard.target.address, guard.target.port, maxsize=1)
        self.conn_kw["guard"] = guard


class _Adapter(HTTPAdapter):
    """Replaces the pools, proxies and trust of requests, and reads and checks each answer."""

    def __init__(self, guard: GuardedSession) -> None:
        super().__init__()
        self._guard = guard
        self._pool = _Pool(guard)

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> urllib3.HTTPConnectionPool:
        return self._pool

    def cert_verify(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: hosts/http/tls.py checked the certificate when the connection was made."""

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
        _require_endpoint(request, guard.target)
        guard.clock.restart()
        before = guard.clock.bytes_up
        try:
            response = super().send(request, stream=True)
            try:
                _refuse_wrong_headers(request, response, guard.target)
                body = _body(response, guard.target)
            except BaseException:
                response.close()
                raise
            # As Response.content does, which has no limits.
            response._content = body
            response._content_consumed = True  # type: ignore[attr-defined]  # (absent from the stubs)
            _refuse_wrong_type(request, response, guard.target)
        except LyncarrError:
            raise
        except (requests.RequestException, urllib3.exceptions.HTTPError, http.client.HTTPException, OSError, ValueError) as error:
            raise _translated(error, guard) from None
        finally:
            # Without a connection no request was sent.
            guard.requests += guard.clock.bytes_up > before
        return response


def _require_endpoint(request: requests.PreparedRequest, target: Target) -> None:
    if (request.url or "").lower() != target.endpoint.lower():
        raise ProtocolError(f"A request to another address than {target.where} was not sent.", hint=CHECK_ADDRESS)


def _refuse_wrong_headers(request: requests.PreparedRequest, response: requests.Response, target: Target) -> None:
    """Raise ProtocolError for a redirect and for encoded content, whatever the body is."""
    if 300 <= response.status_code < 400:
        to = safe(response.headers.get("Location", "nowhere"))
        raise ProtocolError(
            f"{target.where} answers with a redirect to {to}, which lyncarr does not follow: WinRM never redirects.", hint=CHECK_ADDRESS
        )
    if response.headers.get("Content-Encoding"):
        encoding = safe(response.headers["Content-Encoding"])
        raise ProtocolError(
            f"{target.where} sent content encoded as {encoding}, which lyncarr did not request.",
            hint="Check whether a proxy is between the controller and the host.",
        )


def _body(response: requests.Response, target: Target) -> bytes:
    """The whole body, not decoded. Raises ProtocolError as soon as it is longer than any answer of WinRM."""
    parts: list[bytes] = []
    size = 0
    for part in response.raw.stream(CHUNK_BYTES, decode_content=False):
        size += len(part)
        if size > MAX_BODY_BYTES:
            raise ProtocolError(f"{target.where} sent more than {MAX_BODY_BYTES} bytes in one answer.", hint=CHECK_ADDRESS)
        parts.append(part)
    response.raw.release_conn()
    return b"".join(parts)


def _refuse_wrong_type(request: requests.PreparedRequest, response: requests.Response, target: Target) -> None:
    """Raise ProtocolError for a body that is not of WinRM. Only 200 and 500 are checked: only their bodies are read later."""
    if response.status_code not in (200, 500) or not response.content:
        return
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if str(request.headers.get("Content-Type", "")).startswith(ENCRYPTED):
        if kind != ENCRYPTED:
            raise ProtocolError(
                f"{target.where} did not encrypt its answer to an encrypted message; unencrypted responses are rejected.",
                hint=CHECK_NETWORK,
            )
    elif kind != SOAP:
        shown = safe(kind) or "none"
        raise ProtocolError(f"{target.where} is not a WinRM endpoint (content type {shown}).", hint=CHECK_ADDRESS)


def _stopped(target: Target) -> LostConnectionError:
    return LostConnectionError(f"The connection to {target.where} was closed because the run was stopped.", hint=RUN_AGAIN)


def out_of_time(target: Target, deadline: Deadline, detail: str | None = None) -> LostConnectionError:
    """The error for a run whose deadline has passed."""
    return LostConnectionError(
        f"{target.where} did not finish within {deadline.seconds:.0f} s.",
        hint="Check the load of the host, then run the command again. --timeout gives a plan more time.",
        detail=detail,
    )


def _translated(error: Exception, guard: GuardedSession) -> LyncarrError:
    """The error of core/errors.py for an exception of requests, urllib3, http.client or ssl during a request."""
    target, chain = guard.target, list(_chain(error))
    detail = safe(f"{type(chain[-1]).__name__}: {chain[-1]}", 400)
    if guard.clock.cancelled:
        return _stopped(target)
    if guard.clock.until is not None and guard.clock.until.passed:
        return out_of_time(target, guard.clock.until, detail)
    if any(isinstance(link, TimeoutError | urllib3.exceptions.ReadTimeoutError) for link in chain):
        return LostConnectionError(
            f"{target.where} did not answer within {guard.clock.limit_s:.0f} s, or its answer is incomplete.",
            hint="Check the network and the load of the host, then run the command again.",
            detail=detail,
        )
    for link in chain:
        if isinstance(link, ssl.SSLError) and target.certificate is not None and "ALERT" in (link.reason or ""):
            return refused_certificate(target, detail)
        if _is_no_http(link):
            return ProtocolError(f"{target.where} does not answer in HTTP.", hint=CHECK_ADDRESS, detail=detail)
    return LostConnectionError(f"The connection to {target.where} was lost before the answer arrived.", hint=RUN_AGAIN, detail=detail)


def _is_no_http(error: BaseException) -> bool:
    if isinstance(error, http.client.RemoteDisconnected | http.client.IncompleteRead):
        return False
    return isinstance(error, http.client.HTTPException | urllib3.exceptions.InvalidHeader | urllib3.exceptions.BodyNotHttplibCompatible)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and its causes: urllib3 and requests pass a cause as an argument, or chain it."""
    seen: list[BaseException] = []
    waiting: list[BaseException] = [error]
    while waiting:
        link = waiting.pop(0)
        if link in seen:
            continue
        seen.append(link)
        yield link
        inner = [*link.args, link.__cause__, link.__context__, getattr(link, "reason", None)]
        waiting.extend(other for other in inner if isinstance(other, BaseException))
