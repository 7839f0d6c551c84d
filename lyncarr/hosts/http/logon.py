"""Logon by NTLM or Kerberos: one attempt, bound to one connection and, with TLS, to the certificate of that connection."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests
import spnego
from spnego.channel_bindings import GssChannelBindings

from lyncarr.core.errors import LostConnectionError, ProtocolError, RefusedError
from lyncarr.core.kinds import AuthMethod
from lyncarr.core.model import Deadline
from lyncarr.hosts.http.answers import judge, offered_methods, refused, require_method
from lyncarr.hosts.http.guard import GuardedSession
from lyncarr.hosts.http.retry import StaleConnectionError, TransientError
from lyncarr.hosts.target import CHECK_ADDRESS, Target

NTLM1_RESPONSE_BYTES = 24
_OWN_NTLM = ("ntlm", spnego.NegotiateOptions.use_ntlm)
_PROVIDERS = {
    AuthMethod.negotiate: _OWN_NTLM,
    AuthMethod.ntlm: _OWN_NTLM,
    AuthMethod.kerberos: ("kerberos", spnego.NegotiateOptions.none),
    AuthMethod.sspi: ("negotiate", spnego.NegotiateOptions.use_sspi),
}
"""Method -> protocol and options of spnego. With a password it is pyspnego's own NTLM on every system, so that what the tests run is what
runs on Windows too, where pyspnego would choose SSPI."""
_WITHOUT = {
    AuthMethod.negotiate: "Use another method with --auth.",
    AuthMethod.ntlm: "Use another method with --auth.",
    AuthMethod.kerberos: 'On Linux and macOS, run pipx inject lyncarr "pyspnego[kerberos]" (or pip install "pyspnego[kerberos]"), or use '
    "--auth negotiate with a password.",
    AuthMethod.sspi: "Use --auth negotiate with an account and a password.",
}
NO_TICKET = (
    "Check the ticket with klist, and the account; the address must be a DNS name of the host. Or use --auth negotiate with a password."
)
_ONE_CONNECTION = (
    "A logon by NTLM or Kerberos needs one connection. A proxy or load balancer in between may close it after each answer: connect to the "
    "host itself, with --address and --port."
)
MAX_LEGS = 4
"""NTLM needs two messages, Kerberos one or two. A host that requests more does not complete a logon."""
_TOKEN = re.compile(r"\b(?:Negotiate|NTLM|Kerberos)\s+([A-Za-z0-9+/=]+)", re.IGNORECASE)


@dataclass(frozen=True)
class LoggedOn:
    """`context` is spnego's security context, valid for the current connection of the session only.

    `answer` is the answer to the message that was sent together with the logon, None without one.
    """

    context: Any
    answer: requests.Response | None


def log_on(
    session: GuardedSession, *, message: bytes | None, headers: Mapping[str, str], answer_s: float, connect_by: Deadline
) -> LoggedOn:
    """Make a connection and log on to it.

    `message` is sent together with the later logon messages, which saves a request; None, for encrypted sessions, sends empty requests.
    Raises RefusedError after the only attempt, and TransientError where only empty requests were lost.
    """
    target = session.target
    empty_s = min(answer_s, max(connect_by.left(), 0.001))
    opening = _empty(session, {}, empty_s, connect_by)
    if opening.status_code != 401:
        judge(opening, target)
        raise ProtocolError(f"{target.where} does not request a logon, which WinRM always does.", hint=CHECK_ADDRESS)
    offered = offered_methods(opening)
    require_method(opening, target)
    scheme = next(name for name in ("Negotiate", "NTLM", "Kerberos") if name in offered)
    context = _context(target, session.certificate, encrypted=message is None)
    token = _step(context, None, target)
    for leg in range(1, MAX_LEGS + 1):
        legs_headers = {"Authorization": f"{scheme} {base64.b64encode(token or b'').decode('ascii')}"}
        try:
            if message is None or leg == 1:
                answer, carried = _empty(session, legs_headers, empty_s, None), False
            else:
                answer, carried = session.exchange(message, {**headers, **legs_headers}, answer_s=answer_s, connect_by=None), True
        except TransientError as error:
            # Only an empty request was lost, or nothing was sent. It may have been chance, so the logon starts again.
            stale = isinstance(error, StaleConnectionError)
            text = f"{target.where} closed the connection between two messages of the logon." if stale else error.message
            raise TransientError(text, hint=_ONE_CONNECTION, detail=error.detail, pause_s=error.pause_s) from None
        reply = _token_of(answer, target)
        if answer.status_code == 401 and (reply is None or context.complete):
            raise refused(answer, target)
        if answer.status_code != 401:
            judge(answer, target)
        if reply is not None and not context.complete:
            try:
                token = _step(context, reply, target)
            except ProtocolError:
                if answer.status_code == 401 and leg > 1:
                    raise refused(answer, target) from None
                raise
        if answer.status_code != 401:
            if not context.complete:
                raise ProtocolError(
                    f"{target.where} ended the logon before it was complete, so the host did not prove its identity.", hint=CHECK_ADDRESS
                )
            return LoggedOn(context, answer if carried else None)
    raise RefusedError(
        f"{target.where} requested more than {MAX_LEGS} logon messages.",
        hint=f"{CHECK_ADDRESS} Only one attempt was made, to avoid locking the account.",
    )


def channel_binding(certificate: bytes) -> bytes:
    """The channel binding tls-server-end-point of RFC 5929, section 4.1, for a certificate in DER."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes

    try:
        algorithm = x509.load_der_x509_certificate(certificate).signature_hash_algorithm
    except (ValueError, UnsupportedAlgorithm):
        algorithm = None
    if algorithm is None or algorithm.name in ("md5", "sha1"):
        algorithm = hashes.SHA256()
    digest = hashes.Hash(algorithm)
    digest.update(certificate)
    return b"tls-server-end-point:" + digest.finalize()


def _context(target: Target, certificate: bytes | None, *, encrypted: bool) -> Any:
    protocol, options = _PROVIDERS[target.auth]
    binding = None if certificate is None else GssChannelBindings(application_data=channel_binding(certificate))
    try:
        return spnego.client(
            target.user or None,
            target.password.reveal() if target.password is not None else None,
            hostname=target.address,
            service="host",
            channel_bindings=binding,
            protocol=protocol,
            options=options | (spnego.NegotiateOptions.wrapping_winrm if encrypted else spnego.NegotiateOptions.none),
        )
    except Exception as error:
        # The providers of spnego raise the exceptions of their system libraries.
        no_ticket = target.auth == AuthMethod.kerberos and not isinstance(error, ImportError)
        raise RefusedError(
            f"The logon method {target.auth} cannot be used on this controller.",
            hint=NO_TICKET if no_ticket else _WITHOUT[target.auth],
            detail=type(error).__name__,
        ) from None


def _step(context: Any, token: bytes | None, target: Target) -> bytes | None:
    try:
        step: bytes | None = context.step(token)
    except Exception as error:
        raise _not_a_logon(target, type(error).__name__) from None
    if step is not None and is_old_ntlm(step):
        raise RefusedError(
            "The logon was not sent: NTLM version 1 can be broken, and something on this controller selected it.",
            hint="Remove LM_COMPAT_LEVEL from the environment.",
        )
    return step


def is_old_ntlm(token: bytes) -> bool:
    """Whether a token is NTLM's AUTHENTICATE message with a response of LM or of NTLM version 1.

    MS-NLMP 2.2.1.3: signature, message type 3, then length, space and offset of the LM response (12) and of the NT response (20). A
    response of version 1 has 24 bytes; one of version 2 has at least 44. An LM response is a session key's challenge or zeros where
    version 2 is used.
    """
    if not token.startswith(b"NTLMSSP\0\x03\0\0\0") or len(token) < 28:
        return False
    return int.from_bytes(token[20:22], "little") <= NTLM1_RESPONSE_BYTES


def _empty(session: GuardedSession, headers: Mapping[str, str], answer_s: float, connect_by: Deadline | None) -> requests.Response:
    """A request without a message. When it is lost, nothing was done, and the logon may start again."""
    try:
        return session.exchange(b"", headers, answer_s=answer_s, connect_by=connect_by)
    except LostConnectionError as error:
        if session.clock.cancelled:
            raise
        raise TransientError(error.message, hint=error.hint, detail=error.detail) from None


def _token_of(answer: requests.Response, target: Target) -> bytes | None:
    found = _TOKEN.search(answer.headers.get("WWW-Authenticate", ""))
    if found is None:
        return None
    try:
        return base64.b64decode(found.group(1), validate=True)
    except binascii.Error:
        raise _not_a_logon(target) from None


def _not_a_logon(target: Target, detail: str | None = None) -> ProtocolError:
    return ProtocolError(f"{target.where} sent data that is not part of a logon.", hint=CHECK_ADDRESS, detail=detail)
