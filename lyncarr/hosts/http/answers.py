"""What the status of an HTTP answer means for a run. The body of 200 and 500 is somebody else's business."""

from __future__ import annotations

import re

import requests

from lyncarr.core.errors import LostConnectionError, LyncarrError, ProtocolError, RefusedError
from lyncarr.core.kinds import AuthMethod
from lyncarr.core.text import safe
from lyncarr.hosts.http.guard import SEALED
from lyncarr.hosts.http.retry import UnavailableError
from lyncarr.hosts.target import Target

_METHODS = ("Negotiate", "Kerberos", "NTLM", "Basic", "CredSSP", "Digest")


def offered_methods(response: requests.Response) -> list[str]:
    """The ways to log on in WWW-Authenticate, by their known names: the rest of that header is the host's own text."""
    header = response.headers.get("WWW-Authenticate", "")
    return [name for name in _METHODS if re.search(rf"\b{name}\b", header, re.IGNORECASE)]


def judge(response: requests.Response, target: Target) -> None:
    """Return for 200, and for 500 with a body, which is a fault; raise what everything else means.

    UnavailableError for 503 is the caller's to try again or not. Nothing may follow a RefusedError.
    """
    status = response.status_code
    if status == 200 or (status == 500 and response.content):
        return
    if status == 401:
        raise refused(response, target)
    raise _by_status(status, response, target)


def require_method(response: requests.Response, target: Target) -> None:
    """Raise RefusedError where a 401 offers ways to log on, and not the one that is wanted."""
    offered = offered_methods(response)
    usable = {AuthMethod.basic: ("Basic",), AuthMethod.certificate: ()}.get(target.auth, ("Negotiate", "NTLM"))
    if offered and usable and not any(name in offered for name in usable):
        raise RefusedError(
            f"{target.where} does not offer the method {target.auth}, only {', '.join(offered)}; "
            "choose another with --auth, or switch the method on there (winrm/config/service/auth)."
        )


def refused(response: requests.Response, target: Target) -> RefusedError:
    """For a 401 at the end of the one attempt that is made. Raises for a method that was never offered."""
    require_method(response, target)
    offered = offered_methods(response)
    methods = f"method {target.auth}; the host offers {', '.join(offered) or 'nothing'}"
    if target.auth == AuthMethod.certificate:
        return RefusedError(
            f"{target.where} refused the client certificate {target.certificate} ({methods}). Is it mapped to an account there?"
        )
    return RefusedError(
        f"{target.where} refused {target.user} ({methods}). Check the account and its password; a local account may need "
        "its machine's name in front (RP01\\name). Nothing was tried a second time, because that locks accounts."
    )


def _by_status(status: int, response: requests.Response, target: Target) -> LyncarrError:
    where, detail = target.where, f"HTTP {status} {safe(response.reason)}"
    sealed = str(response.request.headers.get("Content-Type", "")).startswith(SEALED)
    if status == 503:
        return UnavailableError(
            f"{where} answers that WinRM is not available now (503). Is the service WinRM starting or stopped there?",
            detail=detail,
            pause_s=_retry_after(response),
        )
    if status == 400 and sealed:
        # What a host says to a message sealed for a connection that it has forgotten.
        return LostConnectionError(f"{where} no longer knows the sealed session.", detail=detail)
    if status == 403:
        return RefusedError(
            f"{where} does not let {target.user or 'this client'} use WinRM (403); put the account into the group Administrators there.",
            detail=detail,
        )
    if status == 404:
        return ProtocolError(f"{where} is a web server without WinRM at /wsman (404); check the address and the port.", detail=detail)
    if status == 413:
        return ProtocolError(
            f"{where} takes no message of that size (413); raise winrm/config MaxEnvelopeSizekb to 500 there.", detail=detail
        )
    if status == 500:
        return ProtocolError(f"{where} failed without saying why (500, no content); look into its event log for WinRM.", detail=detail)
    return ProtocolError(f"{where} gave an answer that WinRM does not give (HTTP {status}); check the address and the port.", detail=detail)


def _retry_after(response: requests.Response) -> float | None:
    """Seconds of Retry-After; None where it is absent or a date, which depends on two clocks."""
    text = response.headers.get("Retry-After", "").strip()
    return float(text) if re.fullmatch(r"[0-9]{1,5}", text) else None
