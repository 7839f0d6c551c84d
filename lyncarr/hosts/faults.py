"""Translates exceptions of the libraries into errors of core/errors.py.

Faults of WS-Management are recognized by their code, never by their text, which Windows translates.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pypsrp.exceptions import InvalidPSRPOperation, WinRMTransportError, WSManFaultError

from lyncarr.core.errors import LostConnectionError, LyncarrError, ProtocolError, RefusedError, UnreachableError
from lyncarr.core.kinds import TransportKind
from lyncarr.core.text import safe
from lyncarr.hosts.target import CHECK_ADDRESS, Target

# Codes of wsmerror.h; 5 and 995 are Win32 error codes.
ACCESS_DENIED = 5
OPERATION_ABORTED = 995
TIMED_OUT = 0x80338029
UNKNOWN_SHELL = 0x8033805B
NO_POWERSHELL = (
    "does not open a remote PowerShell",
    "Enable PowerShell remoting on the host (Enable-PSRemoting), or use --transport winrs.",
)
"""The message and the hint where a host opens no shell for a reason that is not known here."""
QUOTAS = frozenset({0x8033803F, *range(0x803381A5, 0x803381AC), *range(0x803381E4, 0x803381EA)})


@contextmanager
def translated(target: Target, *, opened: bool) -> Iterator[None]:
    """Translates the exceptions of library calls. `opened` is whether the remote shell existed when the call began."""
    try:
        yield
    except LyncarrError:
        raise
    except WSManFaultError as fault:
        raise of_fault(fault.code, fault.reason or fault.provider_fault, target, opened=opened) from None
    except InvalidPSRPOperation as error:
        raise LostConnectionError(
            f"PowerShell on {target.where} failed.", hint="Check the event log of PowerShell on the host.", detail=safe(error, 400)
        ) from None
    except Exception as error:
        # Any other exception comes from a parser that read the host's answer.
        if isinstance(error, WinRMTransportError):
            error = ValueError(f"a fault without the form of a fault: {error.response_text}")
        raise ProtocolError(
            f"{target.where} sent data that is not PowerShell remoting; lyncarr stopped reading.",
            hint=CHECK_ADDRESS,
            detail=safe(f"{type(error).__name__}: {error}", 400),
        ) from None


def of_fault(code: int | None, reason: object, target: Target, *, opened: bool, refused: tuple[str, str] = NO_POWERSHELL) -> LyncarrError:
    """The error for a fault. `refused` has the message and the hint for a shell that was not opened for an unknown reason."""
    where = target.where
    detail = safe(f"WSMan fault {code}: {reason}", 400)
    if code == ACCESS_DENIED:
        hint = (
            "The account must be an administrator of the host. Local administrators other than the built-in Administrator also need "
            "LocalAccountTokenFilterPolicy set to 1."
        )
        if target.transport != TransportKind.winrs:
            # The endpoint of PowerShell has an access list of its own, by which Disable-PSRemoting denies access over the network.
            hint += " If PowerShell remoting is disabled, run Enable-PSRemoting on the host, or use --transport winrs."
        return RefusedError(f"{where} denies {target.account} a remote shell.", hint=hint, detail=detail)
    if code in QUOTAS:
        return UnreachableError(
            f"{where} allows no further remote shell for {target.account}: a quota of WinRM is reached.",
            hint="Close other remote shells of the account, or wait until they end.",
            detail=detail,
        )
    if code in (UNKNOWN_SHELL, OPERATION_ABORTED):
        return LostConnectionError(
            f"{where} no longer knows the remote shell.",
            hint="Check whether WinRM or the host was restarted, then run the command again.",
            detail=detail,
        )
    if code == TIMED_OUT:
        return LostConnectionError(
            f"{where} did not carry out a request in time.", hint="Check the load of the host, then run the command again.", detail=detail
        )
    if opened:
        return LostConnectionError(
            f"{where} reports the WinRM fault {safe(code)}.",
            hint="Check the event log of Windows Remote Management on the host.",
            detail=detail,
        )
    message, hint = refused
    return RefusedError(f"{where} {message} (WinRM fault {safe(code)}).", hint=hint, detail=detail)
