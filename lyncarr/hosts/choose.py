"""The class of a remote shell. Each class needs a library of its own, which is imported only where it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lyncarr.core.kinds import TransportKind

if TYPE_CHECKING:
    from lyncarr.hosts.shell import RemoteShell
    from lyncarr.hosts.target import Target


def shell_class_for(target: Target) -> type[RemoteShell]:
    """The class for the transport of `target`."""
    if target.transport == TransportKind.winrs:
        from lyncarr.hosts.winrs import WinrsShell

        return WinrsShell
    from lyncarr.hosts.psrp import PsrpShell

    return PsrpShell
