"""Messages of WS-Management to one host and back: connecting, logon, encryption, and which messages may be sent again.

Replaces the HTTP transport of pypsrp, of which WSMan uses `endpoint`, `send` and `close` only (a test fails when that changes). The
password never reaches an object of pypsrp.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import requests
from pypsrp.encryption import WinRMEncryption
from pypsrp.exceptions import WinRMTransportError
from pypsrp.wsman import NAMESPACES
from requests.auth import HTTPBasicAuth

from lyncarr.core.errors import LostConnectionError, ProtocolError, RefusedError
from lyncarr.core.kinds import AuthMethod
from lyncarr.core.model import Deadline
from lyncarr.hosts.http.answers import judge
from lyncarr.hosts.http.guard import SOAP, GuardedSession, out_of_time
from lyncarr.hosts.http.logon import log_on
from lyncarr.hosts.http.retry import TransientError, UnavailableError, connecting
from lyncarr.hosts.http.shape import check_shape
from lyncarr.hosts.http.sockets import Clock
from lyncarr.hosts.target import CHECK_ADDRESS, CHECK_NETWORK, RUN_AGAIN, Target

GRACE_S = 10.0
"""Seconds beyond the operation timeout. Until then a working host answers at least that it has no output yet."""
PYPSRP_GRACE_S = 2
"""Seconds that pypsrp adds to the operation timeout before it passes it as `timeout`."""
MAX_LOSSES = 3
"""After so many lost connections in a row for the same read, the read fails."""
CERTIFICATE_LOGON = "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual"
SOAP_HEADERS = {"Content-Type": f"{SOAP};charset=UTF-8"}
BOUNDARY = "Encrypted Boundary"
_MESSAGE_ID = re.compile(rb"MessageID>([^<]*)<")


class Transport:
    """The messages of one host, over as many connections as necessary. For one thread; other threads may call `cancel` only.

    `limit` sets a deadline for all answers of one request. `distrusted` becomes True with the first refusal, or the first answer that
    cannot be trusted; after that nothing is sent. `requests`, `connections` and the bytes of `clock` count the traffic. `known` is
    whether the host has answered in this run before.
    """

    def __init__(self, target: Target, *, operation_timeout_s: int, connect_timeout_s: float, known: bool = False) -> None:
        self.target = target
        self.endpoint = target.endpoint
        self.distrusted = False
        self.clock = Clock()
        self.requests = 0
        self.connections = 0
        self.certificate: bytes | None = None
        self.answered = False
        """Whether the host accepted the logon and answered a message."""
        self._operation_timeout_s = operation_timeout_s
        self._connect_timeout_s = connect_timeout_s
        self._known = known
        self._encrypted = target.tls.mode == "off"
        self._session: GuardedSession | None = None
        self._logged_on = False
        self._encryption: WinRMEncryption | None = None
        self._in_flight = False

    def send(self, message: bytes, *, retries_on_read_timeout: int = 0, timeout: float | None = None) -> bytes:
        """The answer to one SOAP message, decrypted.

        With `retries_on_read_timeout` above 0 pypsrp marks a read: the same message may be sent again, and the host repeats its
        answer. No other message is sent again when its result is unknown. Raises the errors of core/errors.py, and
        WinRMTransportError with the text of a fault, which WSMan reads.
        """
        if self.distrusted:
            raise ProtocolError(
                f"lyncarr sends no further message to {self.target.where}, because an earlier answer could not be trusted.", hint=RUN_AGAIN
            )
        read = retries_on_read_timeout > 0
        answer_s = (timeout - PYPSRP_GRACE_S if timeout else self._operation_timeout_s) + GRACE_S
        for attempt in range(1, MAX_LOSSES + 1):
            try:
                return self._decrypted(self._answer(message, read, answer_s), message)
            except LostConnectionError:
                self.reset()
                if not read or attempt == MAX_LOSSES or self.over:
                    raise
            except (ProtocolError, RefusedError):
                self.distrusted = True
                self.reset()
                raise
        raise AssertionError("the last attempt returns or raises")

    def close(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Close the connection and drop its security context. The next message makes new ones."""
        session, self._session = self._session, None
        self._logged_on, self._encryption, self._in_flight = False, None, False
        if session is not None:
            session.close()

    def limit(self, deadline: Deadline) -> None:
        """Set the deadline for all further answers. Ends the effect of `cancel`, and closes a connection with an incomplete answer."""
        if self._in_flight or self.clock.cancelled:
            self.reset()
        self.clock.cancelled = False
        self.clock.until = deadline

    def cancel(self) -> None:
        """End, from another thread, a wait of this transport. After `limit` it can be used again."""
        self.clock.cancelled = True
        session = self._session
        if session is not None:
            session.cancel()

    @property
    def over(self) -> bool:
        """Whether the deadline has passed or the transport was cancelled. Then nothing is sent again."""
        return self.clock.cancelled or (self.clock.until is not None and self.clock.until.passed)

    def _answer(self, message: bytes, read: bool, answer_s: float) -> requests.Response:
        """The answer over the kept connection, or over a new one, with attempts until the time for connecting has passed."""
        if self.clock.until is not None and self.clock.until.passed:
            raise out_of_time(self.target, self.clock.until)
        seconds = self._connect_timeout_s if self.clock.until is None else min(self._connect_timeout_s, self.clock.until.left())
        connect_by = Deadline(seconds)
        try:
            return connecting(connect_by, known=self._known or self.answered)(self._once, message, read, answer_s, connect_by)
        except TransientError as error:
            if not self.answered:
                raise
            raise LostConnectionError(
                f"The connection was lost and could not be restored: {error.message}", hint=error.hint, detail=error.detail
            ) from None

    def _once(self, message: bytes, read: bool, answer_s: float, connect_by: Deadline) -> requests.Response:
        session = self._session or self._new_session()
        before = (session.requests, session.connections)
        self._in_flight = True
        try:
            response = self._exchange(session, message, answer_s, connect_by)
            judge(response, self.target)
        except TransientError as error:
            self.reset()
            if isinstance(error, UnavailableError) and self.answered and not read:
                raise LostConnectionError(error.message, hint=error.hint, detail=error.detail) from None
            raise
        finally:
            self.requests += session.requests - before[0]
            self.connections += session.connections - before[1]
            self.certificate = session.certificate or self.certificate
        self._in_flight = False
        self.answered = True
        return response

    def _exchange(self, session: GuardedSession, message: bytes, answer_s: float, connect_by: Deadline) -> requests.Response:
        if self.target.auth in (AuthMethod.basic, AuthMethod.certificate):
            return session.exchange(message, SOAP_HEADERS, answer_s=answer_s, connect_by=connect_by)
        if not self._logged_on:
            done = log_on(
                session, message=None if self._encrypted else message, headers=SOAP_HEADERS, answer_s=answer_s, connect_by=connect_by
            )
            self._logged_on = True
            self._encryption = WinRMEncryption(done.context, WinRMEncryption.SPNEGO) if self._encrypted else None
            if done.answer is not None:
                return done.answer
        if self._encryption is None:
            return session.exchange(message, SOAP_HEADERS, answer_s=answer_s, connect_by=None)
        kind, body = self._encryption.wrap_message(message)
        headers = {"Content-Type": f'{kind};protocol="{self._encryption.protocol}";boundary="{BOUNDARY}"'}
        return session.exchange(body, headers, answer_s=answer_s, connect_by=None)

    def _new_session(self) -> GuardedSession:
        session = GuardedSession(self.target, self.clock)
        if self.target.auth == AuthMethod.certificate:
            session.headers["Authorization"] = CERTIFICATE_LOGON
        elif self.target.auth == AuthMethod.basic and self.target.password is not None:
            # As bytes, because requests encodes text as Latin-1.
            session.auth = HTTPBasicAuth(self.target.user.encode("utf-8"), self.target.password.reveal().encode("utf-8"))
        self._session = session
        return session

    def _decrypted(self, response: requests.Response, message: bytes) -> bytes:
        """The body, decrypted and checked."""
        body = response.content
        if self._encryption is not None:
            try:
                # A constant boundary, not the one of the host's header: pypsrp uses it as a regular expression.
                body = self._encryption.unwrap_message(body, BOUNDARY)
            except Exception as error:
                raise ProtocolError(
                    f"{self.target.where} sent an answer that is not encrypted for this session; unencrypted responses are rejected.",
                    hint=CHECK_NETWORK,
                    detail=type(error).__name__,
                ) from None
        check_shape(body, self.target)
        try:
            text = body.decode("utf-8")
            envelope = ET.fromstring(body)  # noqa: S314  (no document type, no more than 8 MiB)
        except (ET.ParseError, ValueError, LookupError) as error:
            raise ProtocolError(
                f"{self.target.where} sent an answer that is not valid XML.", hint=CHECK_ADDRESS, detail=f"{type(error).__name__}: {error}"
            ) from None
        self._check_relation(envelope, message)
        if response.status_code == 500:
            raise WinRMTransportError("http", 500, text)
        return body

    def _check_relation(self, envelope: ET.Element, message: bytes) -> None:
        """Raise ProtocolError for an answer to another message, such as a replayed one. WSMan does not check that for faults."""
        answered = envelope.find("s:Header/wsa:RelatesTo", NAMESPACES)
        sent = _MESSAGE_ID.search(message)
        if answered is not None and (sent is None or (answered.text or "").encode("utf-8") != sent.group(1)):
            raise ProtocolError(
                f"{self.target.where} answered another message than the one that lyncarr sent; the answer was rejected.", hint=CHECK_NETWORK
            )
