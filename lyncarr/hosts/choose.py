"""Which class carries requests to a host. Each brings a library of its own, which is imported when it is known that it is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lyncarr.core.kinds import TransportKind

if TYPE_CHECKING:
    from lyncarr.hosts.shell import RemoteShell
    from lyncarr.hosts.target import Target


def shell_class_for(target: Target) -> type[RemoteShell]:
    """By the target's `transport`."""
    if target.transport == TransportKind.winrs:
        from lyncarr.hosts.winrs import WinrsShell

        return WinrsShell
    from lyncarr.hosts.psrp import PsrpShell

    return PsrpShell
