"""Messages of WS-Management to one host and back: connecting, logging on, sealing, and what may be sent again.

Stands where pypsrp has its own HTTP transport. Of that one pypsrp's WSMan uses `endpoint`, `send` and `close` only (a test
fails when that changes), and the password never reaches an object of pypsrp's.
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
from lyncarr.hosts.http.guard import SOAP, GuardedSession, refuse_document_type
from lyncarr.hosts.http.logon import log_on
from lyncarr.hosts.http.retry import TransientError, UnavailableError, connecting
from lyncarr.hosts.http.sockets import Clock
from lyncarr.hosts.target import Target

GRACE_S = 10.0
"""Wall clock beyond the operation time-out, within which a healthy host says at least that it has nothing to say."""
PYPSRP_GRACE_S = 2
"""What pypsrp has added to the operation time-out before it hands it over as `timeout`."""
MAX_LOSSES = 3
"""Connections lost, one after the other, for the same read before it is given up."""
CERTIFICATE_LOGON = "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual"
SOAP_HEADERS = {"Content-Type": f"{SOAP};charset=UTF-8"}
BOUNDARY = "Encrypted Boundary"
_MESSAGE_ID = re.compile(rb"MessageID>([^<]*)<")


class Transport:
    """One host's messages, over as many connections as it takes. For one thread; only `cancel` is for others.

    `run_deadline` ends every answer; it is set for each request. `distrusted` turns true with the first refusal, or the first answer
    that cannot be believed: nothing is sent after that. `requests`, `connections` and the bytes of `clock` count what was on the wire.
    `known` is whether the host answered in this run before.
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
        """Whether a message came through the host's authentication."""
        self._operation_timeout_s = operation_timeout_s
        self._connect_timeout_s = connect_timeout_s
        self._known = known
        self._sealed = target.tls.mode == "off"
        self._session: GuardedSession | None = None
        self._logged_on = False
        self._seal: WinRMEncryption | None = None
        self._in_flight = False

    def send(self, message: bytes, *, retries_on_read_timeout: int = 0, timeout: float | None = None) -> bytes:
        """The answer to one SOAP message, unsealed.

        `retries_on_read_timeout` above 0 is pypsrp's mark of a read: it may be sent again, as the same message, and the host
        gives again what it gave before. Nothing else is ever sent twice where its fate is not known. Raises the errors of
        core/errors.py, and WinRMTransportError with the text of a fault, which WSMan reads.
        """
        if self.distrusted:
            raise ProtocolError(f"Nothing more is sent to {self.target.where}.")
        read = retries_on_read_timeout > 0
        answer_s = (timeout - PYPSRP_GRACE_S if timeout else self._operation_timeout_s) + GRACE_S
        for attempt in range(1, MAX_LOSSES + 1):
            try:
                return self._opened(self._answer(message, read, answer_s), message)
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
        """Drop the connection and the security context that is bound to it; the next message makes new ones."""
        session, self._session = self._session, None
        self._logged_on, self._seal, self._in_flight = False, None, False
        if session is not None:
            session.close()

    def limit(self, deadline: Deadline) -> None:
        """From now on no answer is waited for after `deadline`. Ends the effect of `cancel`, and drops a connection left in mid-answer."""
        if self._in_flight or self.clock.cancelled:
            self.reset()
        self.clock.cancelled = False
        self.clock.until = deadline

    def cancel(self) -> None:
        """End, from another thread, what is waited for here; `limit` makes the transport usable again."""
        self.clock.cancelled = True
        session = self._session
        if session is not None:
            session.cancel()

    @property
    def over(self) -> bool:
        """Whether the time of the run is, or it was cancelled: then nothing is tried again."""
        return self.clock.cancelled or (self.clock.until is not None and self.clock.until.passed)

    def _answer(self, message: bytes, read: bool, answer_s: float) -> requests.Response:
        """The answer over the connection there is, or over a new one, tried for until the connecting time is over."""
        if self.clock.until is not None and self.clock.until.passed:
            raise LostConnectionError(f"{self.target.where} did not finish within {self.clock.until.seconds:.0f} s; the run was ended.")
        seconds = self._connect_timeout_s if self.clock.until is None else min(self._connect_timeout_s, self.clock.until.left())
        connect_by = Deadline(seconds)
        try:
            return connecting(connect_by, known=self._known or self.answered)(self._once, message, read, answer_s, connect_by)
        except TransientError as error:
            if not self.answered:
                raise
            raise LostConnectionError(f"The connection was lost, and could not be made again: {error}", detail=error.detail) from None

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
                raise LostConnectionError(str(error), detail=error.detail) from None
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
                session, message=None if self._sealed else message, headers=SOAP_HEADERS, answer_s=answer_s, connect_by=connect_by
            )
            self._logged_on = True
            self._seal = WinRMEncryption(done.context, WinRMEncryption.SPNEGO) if self._sealed else None
            if done.answer is not None:
                return done.answer
        if self._seal is None:
            return session.exchange(message, SOAP_HEADERS, answer_s=answer_s, connect_by=None)
        kind, body = self._seal.wrap_message(message)
        headers = {"Content-Type": f'{kind};protocol="{self._seal.protocol}";boundary="{BOUNDARY}"'}
        return session.exchange(body, headers, answer_s=answer_s, connect_by=None)

    def _new_session(self) -> GuardedSession:
        session = GuardedSession(self.target, self.clock)
        if self.target.auth == AuthMethod.certificate:
            session.headers["Authorization"] = CERTIFICATE_LOGON
        elif self.target.auth == AuthMethod.basic and self.target.password is not None:
            # As bytes: requests would make Latin-1 of text.
            session.auth = HTTPBasicAuth(self.target.user.encode("utf-8"), self.target.password.reveal().encode("utf-8"))
        self._session = session
        return session

    def _opened(self, response: requests.Response, message: bytes) -> bytes:
        """The body, unsealed and harmless to read."""
        body = response.content
        if self._seal is not None:
            try:
                # Our own boundary, whatever the host's header says: pypsrp makes a regular expression of it.
                body = self._seal.unwrap_message(body, BOUNDARY)
            except Exception as error:
                raise ProtocolError(
                    f"{self.target.where} sent an answer that was not sealed for this session; nothing of it was believed.",
                    detail=type(error).__name__,
                ) from None
        refuse_document_type(body, self.target)
        try:
            text = body.decode("utf-8")
            envelope = ET.fromstring(body)  # noqa: S314  (no document type, no more than 8 MiB)
        except (ET.ParseError, ValueError, LookupError) as error:
            raise ProtocolError(
                f"{self.target.where} sent no readable XML; check the address.", detail=f"{type(error).__name__}: {error}"
            ) from None
        self._check_relation(envelope, message)
        if response.status_code == 500:
            raise WinRMTransportError("http", 500, text)
        return body

    def _check_relation(self, envelope: ET.Element, message: bytes) -> None:
        """An answer to another message is a replay. WSMan checks that too, but not of faults."""
        answered = envelope.find("s:Header/wsa:RelatesTo", NAMESPACES)
        sent = _MESSAGE_ID.search(message)
        if answered is not None and (sent is None or (answered.text or "").encode("utf-8") != sent.group(1)):
            raise ProtocolError(f"{self.target.where} answered another message than the one sent; nothing of it was believed.")
