"""What the libraries raise, as errors of core/errors.py: faults of WS-Management by their code, never by their text, which is localised."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pypsrp.exceptions import InvalidPSRPOperation, WinRMTransportError, WSManFaultError

from lyncarr.core.errors import LostConnectionError, LyncarrError, ProtocolError, RefusedError, UnreachableError
from lyncarr.core.kinds import TransportKind
from lyncarr.core.text import safe
from lyncarr.hosts.target import Target

# Numbers of Windows' wsmerror.h; 5 and 995 are Win32's.
ACCESS_DENIED = 5
OPERATION_ABORTED = 995
TIMED_OUT = 0x80338029
UNKNOWN_SHELL = 0x8033805B
NO_POWERSHELL = (
    "opens no remote PowerShell (WinRM fault {code}). Is PowerShell remoting on there (Enable-PSRemoting)? "
    "Where it has to stay off, --transport winrs does without."
)
QUOTAS = frozenset({0x8033803F, *range(0x803381A5, 0x803381AC), *range(0x803381E4, 0x803381EA)})


@contextmanager
def translated(target: Target, *, opened: bool) -> Iterator[None]:
    """Around calls of a library. `opened` tells whether the remote shell existed when the call began."""
    try:
        yield
    except LyncarrError:
        raise
    except WSManFaultError as fault:
        raise of_fault(fault.code, fault.reason or fault.provider_fault, target, opened=opened) from None
    except InvalidPSRPOperation as error:
        raise LostConnectionError(f"PowerShell on {target.where} broke down; look into its event log.", detail=safe(error, 400)) from None
    except Exception as error:
        # Whatever else comes out of a parser that was fed by the host.
        if isinstance(error, WinRMTransportError):
            error = ValueError(f"a fault that is none: {error.response_text}")
        raise ProtocolError(
            f"{target.where} sent something that is not PowerShell remoting; nothing more is read from it. Check the address.",
            detail=safe(f"{type(error).__name__}: {error}", 400),
        ) from None


def of_fault(code: int | None, reason: object, target: Target, *, opened: bool, refused: str = NO_POWERSHELL) -> LyncarrError:
    """What a fault means. `refused` is what is said where a host opens no shell for a reason that is not known here."""
    where = target.where
    detail = safe(f"WSMan fault {code}: {reason}", 400)
    if code == ACCESS_DENIED:
        # PowerShell's endpoint has an access list of its own, and Disable-PSRemoting shuts the network out by it.
        closed = "; or PowerShell's endpoint is closed there (Enable-PSRemoting opens it, --transport winrs does without)"
        if target.transport == TransportKind.winrs:
            closed = ""
        return RefusedError(
            f"{where} denies {target.user or 'this client'} a remote shell; it must be an administrator there, and a local one other than "
            f"the built-in Administrator keeps its rights over the network only where LocalAccountTokenFilterPolicy is 1{closed}.",
            detail=detail,
        )
    if code in QUOTAS:
        return UnreachableError(
            f"{where} allows no further remote shell for {target.user or 'this client'} (a quota of WinRM); "
            "close others, or wait until they end by themselves.",
            detail=detail,
        )
    if code in (UNKNOWN_SHELL, OPERATION_ABORTED):
        return LostConnectionError(f"{where} no longer knows the remote shell. Was WinRM or the machine restarted?", detail=detail)
    if code == TIMED_OUT:
        return LostConnectionError(f"{where} did not do in time what was asked. Is it very busy?", detail=detail)
    if opened:
        return LostConnectionError(f"{where} reports a fault of WinRM ({safe(code)}); look into its event log.", detail=detail)
    return RefusedError(f"{where} {refused.format(code=safe(code))}", detail=detail)
