"""Work on the host beside lyncarr: the functions of this folder's .ps1 files, run by pypsrp over lyncarr's own transport."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.wsman import WSMan

from lyncarr.cli.libraries import quiet_libraries
from lyncarr.core.errors import StepFailedError
from lyncarr.core.model import Deadline
from lyncarr.core.text import safe
from lyncarr.hosts.faults import translated
from lyncarr.hosts.http.transport import Transport
from lyncarr.hosts.shell import OPERATION_TIMEOUT_S
from lyncarr.hosts.target import Target
from lyncarr.powershell.bundle import SHARED, read_snippet

LONGEST_S = 300.0
CONNECT_S = 20.0


def script_of(file: str) -> str:
    """The text of `file` in this folder, behind the shared snippets whose functions it calls."""
    own = Path(__file__).with_name(file).read_text(encoding="ascii")
    return "\n".join([*(read_snippet(name) for name in SHARED), own])


def call(target: Target, file: str, function: str, **parameters: str) -> list[dict[str, Any]]:
    """What a function of `file` emits, JSON lines, from a remote shell of its own. Raises errors of core/errors.py."""
    quiet_libraries()
    transport = Transport(target, operation_timeout_s=OPERATION_TIMEOUT_S, connect_timeout_s=CONNECT_S)
    transport.limit(Deadline(LONGEST_S))
    try:
        with translated(target, opened=False):
            wsman = WSMan(target.address, operation_timeout=OPERATION_TIMEOUT_S)
            wsman.transport = transport  # type: ignore[assignment]  # as lyncarr.hosts.psrp does
            with RunspacePool(wsman) as pool:
                PowerShell(pool).add_script(script_of(file)).invoke()
                called = PowerShell(pool).add_cmdlet(function).add_parameters(parameters)
                lines = called.invoke()
        if called.had_errors:
            raise StepFailedError(f"{file} failed on {target.where}: {safe(str(called.streams.error[0]), 500)}")
        return [json.loads(line) for line in lines]
    finally:
        transport.close()
