"""What the status of an HTTP answer means for a run. Other modules read the bodies of 200 and 500."""

from __future__ import annotations

import re

import requests

from lyncarr.core.errors import LostConnectionError, LyncarrError, ProtocolError, RefusedError
from lyncarr.core.kinds import AuthMethod
from lyncarr.core.text import safe
from lyncarr.hosts.http.guard import ENCRYPTED
from lyncarr.hosts.http.retry import UnavailableError
from lyncarr.hosts.target import CHECK_ADDRESS, RUN_AGAIN, Target

_USABLE: dict[AuthMethod, tuple[str, ...]] = {
    AuthMethod.negotiate: ("Negotiate", "NTLM"),
    AuthMethod.ntlm: ("Negotiate", "NTLM"),
    AuthMethod.kerberos: ("Negotiate", "Kerberos"),
    AuthMethod.sspi: ("Negotiate",),
    AuthMethod.basic: ("Basic",),
    AuthMethod.certificate: (),
}
"""Method -> the names under which hosts offer it. A client certificate is part of TLS."""
_METHODS = ("Negotiate", "Kerberos", "NTLM", "Basic", "CredSSP", "Digest")


def offered_methods(response: requests.Response) -> list[str]:
    """The logon methods in WWW-Authenticate, by their known names. The rest of that header is the host's own text."""
    header = response.headers.get("WWW-Authenticate", "")
    return [name for name in _METHODS if re.search(rf"\b{name}\b", header, re.IGNORECASE)]


def judge(response: requests.Response, target: Target) -> None:
    """Return for 200, and for 500 with a body, which is a fault. Raise the error that any other status means.

    503 raises UnavailableError; the caller decides whether to send again. After a RefusedError nothing may be sent.
    """
    status = response.status_code
    if status == 200 or (status == 500 and response.content):
        return
    if status == 401:
        raise refused(response, target)
    raise _by_status(status, response, target)


def require_method(response: requests.Response, target: Target) -> None:
    """Raise RefusedError where a 401 does not offer the configured logon method."""
    offered = offered_methods(response)
    usable = _USABLE[target.auth]
    if usable and not any(name in offered for name in usable):
        others = f"only {', '.join(offered)}" if offered else "and no other one: its answer 401 names none"
        raise RefusedError(f"{target.where} does not offer the logon method {target.auth}, {others}.", hint=_other_method(offered, target))


def _other_method(offered: list[str], target: Target) -> str:
    """What can be done where a host offers only `offered`."""
    enable = "enable Negotiate on the host (winrm/config/service/auth)"
    usable = [
        method
        for method, names in _USABLE.items()
        if method not in (AuthMethod.ntlm, AuthMethod.sspi)
        and any(name in offered for name in names)
        and not (method == AuthMethod.basic and target.tls.mode == "off")
    ]
    if not usable:
        between = "" if offered else " A proxy between here and the host can also remove the header WWW-Authenticate."
        return f"{enable[:1].upper()}{enable[1:]}.{between}"
    return f"Use --auth {' or --auth '.join(usable)}, or {enable}."


def refused(response: requests.Response, target: Target) -> RefusedError:
    """The error for a 401 after the only attempt. Raises RefusedError itself for a method that the host does not offer."""
    offered = offered_methods(response)
    if offered:
        require_method(response, target)
    methods = f"method {target.auth}; the host offers {', '.join(offered) or 'no method'}"
    if target.auth == AuthMethod.certificate:
        return RefusedError(
            f"{target.where} refused the client certificate {target.certificate} ({methods}).",
            hint="Map the certificate to an account on the host (winrm/config/service/certmapping).",
        )
    return RefusedError(
        f"{target.where} refused the logon of {target.account} ({methods}).",
        hint="Check the account and its password. A local account may need the computer name in front of it (RP01\\name). "
        "Only one attempt was made, to avoid locking the account.",
    )


def _by_status(status: int, response: requests.Response, target: Target) -> LyncarrError:
    where, detail = target.where, f"HTTP {status} {safe(response.reason)}"
    encrypted = str(response.request.headers.get("Content-Type", "")).startswith(ENCRYPTED)
    if status == 503:
        return UnavailableError(
            f"{where} reports that WinRM is not available (HTTP 503).",
            hint="Check that the service WinRM is running on the host.",
            detail=detail,
            pause_s=_retry_after(response),
        )
    if status == 400 and encrypted:
        # A host gives this answer to a message that was encrypted for a connection that it no longer knows.
        return LostConnectionError(f"{where} no longer knows the encrypted session.", hint=RUN_AGAIN, detail=detail)
    if status == 403:
        return RefusedError(
            f"{where} does not allow {target.account} to use WinRM (HTTP 403).",
            hint="Add the account to the group Administrators on the host.",
            detail=detail,
        )
    if status == 404:
        return ProtocolError(f"{where} is a web server without WinRM at /wsman (HTTP 404).", hint=CHECK_ADDRESS, detail=detail)
    if status == 413:
        return ProtocolError(
            f"{where} rejects messages of this size (HTTP 413).",
            hint="Set MaxEnvelopeSizekb in winrm/config on the host to 500.",
            detail=detail,
        )
    if status == 500:
        return ProtocolError(
            f"{where} failed without a reason (HTTP 500, no content).",
            hint="Check the event log of Windows Remote Management on the host.",
            detail=detail,
        )
    return ProtocolError(f"{where} sent an answer that WinRM does not send (HTTP {status}).", hint=CHECK_ADDRESS, detail=detail)


def _retry_after(response: requests.Response) -> float | None:
    """Seconds of Retry-After. None where it is absent, or a date, which would depend on two clocks."""
    text = response.headers.get("Retry-After", "").strip()
    return float(text) if re.fullmatch(r"[0-9]{1,5}", text) else None
