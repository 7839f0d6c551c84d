"""A remote PowerShell by PSRP: core.model.Shell over pypsrp, one runspace pool for one shell, one pipeline for each request."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pypsrp.complex_objects import PSInvocationState
from pypsrp.exceptions import WSManFaultError
from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.shell import SignalCode
from pypsrp.wsman import WSMan

from lyncarr.core.errors import LostConnectionError
from lyncarr.core.model import Deadline, Event, Secret
from lyncarr.core.text import safe
from lyncarr.hosts.faults import TIMED_OUT, translated
from lyncarr.hosts.messages import GuardedFragmenter
from lyncarr.hosts.shell import IDLE_TIMEOUT_S, RemoteShell
from lyncarr.hosts.target import Target
from lyncarr.powershell.protocol import EventReader

COMMAND = "Invoke-LyncarrRequest"
PARAMETER = "Request"
STOP_POLL_S = 1
MAX_ERRORS = 10
ESCAPED = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\U00010000-\U0010ffff]")
"""What pypsrp's serializer writes as _xHHHH_."""


class PsrpShell(RemoteShell):
    """One runspace pool on `target`. `secrets` travel as the pipeline's input, in one JSON object."""

    _pool: _Pool | None = None
    _running: PowerShell | None = None

    def _open(self) -> str:
        with translated(self._target, opened=False):
            # WSMan builds a transport of its own, which only keeps what it is given: no account, no password.
            wsman = WSMan(self._target.address, operation_timeout=self._operation_timeout_s)
            wsman.transport = self._transport  # type: ignore[assignment]  # (see hosts/http/transport.py)
            self._pool = _Pool(wsman, self._target)
            self._pool.open()
            return _version(self._pool)

    def _converse(
        self,
        script: str | None,
        request: str,
        secrets: Mapping[str, Secret],
        reader: EventReader,
        on_event: Callable[[Event], None],
    ) -> None:
        pool = self._pool
        assert pool is not None  # noqa: S101  (opened by now)
        shell = PowerShell(pool)
        if script is None:
            shell.add_cmdlet(COMMAND)
        else:
            shell.add_script(script)
        shell.add_parameter(PARAMETER, request)
        self._running = shell
        self._begin(pool, shell, secrets)
        while shell.state in (PSInvocationState.RUNNING, PSInvocationState.STOPPING):
            self._poll(shell, reader, on_event)
        self._end(shell, reader)
        self._running = None
        # Not PowerShell.close: that is a request more, and the shell does not live long.
        pool.pipelines.pop(shell.id, None)

    def _begin(self, pool: _Pool, shell: PowerShell, secrets: Mapping[str, Secret]) -> None:
        values = {name: secret.reveal() for name, secret in secrets.items()}
        try:
            with translated(self._target, opened=True):
                shell.begin_invoke(_one(json.dumps(values)) if values else None)
        except LostConnectionError:
            if values or pool.fragmenter.made > 1:
                # More of it was to come: the host waits for that, and has begun nothing.
                raise
            # Perhaps only the answer was lost. Never sent again, and not ended in the middle of a write either: the shell is asked for
            # the pipeline's output, and a host where it never arrived says that it knows no such pipeline.
            # (Both are what pypsrp sets when the answer comes; the id is the one that it sent.)
            shell._command_id, shell.state = shell.id, PSInvocationState.RUNNING

    def _poll(self, shell: PowerShell, reader: EventReader, on_event: Callable[[Event], None]) -> None:
        """Wait for the next piece of output and hand on what is in it."""
        with translated(self._target, opened=True):
            shell.poll_invoke()
        texts, shell.output = shell.output, []
        del shell.streams.error[MAX_ERRORS:]
        for text in texts:
            self._hand_on(text, reader, on_event)

    def _end(self, shell: PowerShell, reader: EventReader) -> None:
        """Judge how the pipeline ended."""
        if shell.streams.error or shell.state == PSInvocationState.FAILED:
            with translated(self._target, opened=True):
                record = shell.streams.error[0] if shell.streams.error else None
                text, identifier = safe(record or "no reason given", 500), safe(getattr(record, "fq_error", ""))
            raise self._script_ended(text, identifier)
        if shell.state != PSInvocationState.COMPLETED:
            raise LostConnectionError(f"What ran on {self._target.where} was stopped by somebody else.")
        reader.finish()

    def _stop(self, end: Deadline) -> None:
        shell, self._running = self._running, None
        if shell is None or shell.state != PSInvocationState.RUNNING:
            return
        with translated(self._target, opened=True):
            # Not PowerShell.stop: that calls the pipeline stopped before it has ended.
            shell.runspace_pool.shell.signal(SignalCode.PS_CTRL_C, shell.id)
            while shell.state == PSInvocationState.RUNNING and not end.passed:
                shell.poll_invoke(timeout=STOP_POLL_S)

    def _take_deletion(self) -> Callable[[], None] | None:
        pool, self._pool = self._pool, None
        if pool is None or not pool.shell.opened:
            return None

        def delete() -> None:
            with translated(self._target, opened=True):
                pool.shell.close()

        return delete


class _Pool(RunspacePool):
    """pypsrp's, with what a hostile or a slow host sends taken care of."""

    def __init__(self, wsman: WSMan, target: Target) -> None:
        super().__init__(wsman, idle_timeout=IDLE_TIMEOUT_S)
        # Private to pypsrp, as _receive is; tests/unit/test_pypsrp.py fails when any of them changes.
        # A line feed may stand in CLIXML as it is; pypsrp sends _x000A_, which for the script is a tenth more.
        self._serializer._serial_str = ESCAPED
        self._fragmenter = self.fragmenter = GuardedFragmenter(target, wsman.max_payload_size, self._serializer)

    def _receive(self, id: str | None = None, timeout: int | None = None) -> list[tuple[int, Any]]:
        """pypsrp takes "nothing yet" for an error while a pool is opened; a slow host needs longer than one operation time-out."""
        while True:
            try:
                return list(super()._receive(id, timeout))
            except WSManFaultError as fault:
                if fault.code != TIMED_OUT or id is not None:
                    raise


def _one(text: str) -> Iterator[str]:
    """pypsrp knows several inputs only as a generator, and one of another kind only as bytes."""
    yield text


def _version(pool: RunspacePool) -> str:
    """PowerShell's version as the host told it when the pool was opened; empty where it told none, as 2.0 does."""
    data = getattr(pool.application_private_data, "data", None)
    table = data.get("PSVersionTable") if isinstance(data, dict) else None
    version = table.get("PSVersion") if isinstance(table, dict) else None
    return "" if version is None else str(version)
