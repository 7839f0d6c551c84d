"""Messages of WS-Management to one host and back: logging on, sealing, and what each kind of refusal means.

Stands where pypsrp has its own HTTP transport. Of that one pypsrp's WSMan uses `endpoint`, `send` and `close` only, and the tests
fail when that changes; the password never reaches pypsrp's objects.
"""

from __future__ import annotations

import base64
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any

import requests
from pypsrp.encryption import WinRMEncryption
from pypsrp.exceptions import WinRMTransportError
from pypsrp.wsman import NAMESPACES

from lyncarr.core.errors import LostConnectionError, LyncarrError, ProtocolError, RefusedError
from lyncarr.core.model import Deadline
from lyncarr.hosts.guard import SEALED, SOAP, GuardedSession, harmless, refuse_document_type
from lyncarr.hosts.logon import LogOn, offered_methods
from lyncarr.hosts.retry import StaleConnectionError, TransientError, connecting
from lyncarr.hosts.sockets import Clock
from lyncarr.hosts.target import Target
from lyncarr.hosts.tls import context_for

GRACE_S = 10.0
"""Wall clock beyond the operation time-out, within which a healthy host says that it has nothing to say."""
PYPSRP_GRACE_S = 2
"""What pypsrp has added to the operation time-out before it hands it over as `timeout`."""
MAX_LOSSES = 3
"""Connections lost for one and the same read before it is given up."""
CERTIFICATE_LOGON = "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual"
SOAP_UTF8 = f"{SOAP};charset=UTF-8"
BOUNDARY = "Encrypted Boundary"


class Transport:
    """One host's messages, over as many connections as it takes. Not for several threads, but for `cancel`.

    `run_deadline` ends everything; set it for each request. `distrusted` turns true with the first answer that refuses or cannot
    be believed: from then on nothing is sent. `requests`, `connections`, and `clock`'s bytes count what went over the wire.
    """

    def __init__(self, target: Target, *, operation_timeout_s: int, connect_timeout_s: float) -> None:
        self.target = target
        self.endpoint = target.endpoint
        self.run_deadline: Deadline | None = None
        self.distrusted = False
        self.clock = Clock()
        self.requests = 0
        self.connections = 0
        self.certificate: bytes | None = None
        self._operation_timeout_s = operation_timeout_s
        self._connect_timeout_s = connect_timeout_s
        self._sealed = target.tls.mode == "off"
        self._session: GuardedSession | None = None
        self._logon: LogOn | None = None
        self._seal: WinRMEncryption | None = None
        self._answered = False
        self._in_flight = False

    # What pypsrp's WSMan calls:

    def send(self, message: bytes, *, retries_on_read_timeout: int = 0, timeout: float | None = None) -> bytes:
        """The answer to one SOAP message, unsealed. `retries_on_read_timeout` above 0 marks a read, which may be sent again:
        the same message, so that the host gives again what it gave before.

        Raises the errors of core/errors.py, and WinRMTransportError with the body of a fault, which WSMan reads.
        """
        repeatable = retries_on_read_timeout > 0
        answer_s = (timeout - PYPSRP_GRACE_S if timeout else self._operation_timeout_s) + GRACE_S
        losses = 0
        while True:
            try:
                return self._send_once(message, answer_s, repeatable)
            except LostConnectionError as error:
                losses += 1
                self.reset()
                if not repeatable or losses >= MAX_LOSSES or self.clock.cancelled or self._is_over():
                    raise
                lost = error
            except TransientError as error:
                if not self._answered:
                    raise
                raise LostConnectionError(f"The connection was lost, and could not be made again: {error}", detail=error.detail) from None
            except (ProtocolError, RefusedError):
                self.distrusted = True
                self.reset()
                raise
            del lost

    def close(self) -> None:
        self.reset()

    # For the owner:

    def cancel(self) -> None:
        """End what another thread waits for here; only `revive` makes the transport usable again."""
        self.clock.cancelled = True
        session = self._session
        if session is not None:
            session.cancel()

    def revive(self, deadline: Deadline) -> None:
        """Make ready for a few last messages until `deadline`, after a cancel, an interrupt or a run deadline that passed."""
        if self.clock.cancelled or self._in_flight:
            self.reset()
        self.clock.cancelled = False
        self._in_flight = False
        self.run_deadline = deadline

    def reset(self) -> None:
        """Drop the connection and the security context bound to it; the next message makes new ones."""
        session, self._session = self._session, None
        self._logon = self._seal = None
        if session is not None:
            session.close()
