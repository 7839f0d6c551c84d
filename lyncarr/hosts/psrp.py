"""A remote PowerShell over PSRP: core.model.Shell by pypsrp, with one runspace pool for the shell and one pipeline for each request."""

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
from lyncarr.hosts.target import RUN_AGAIN, Target
from lyncarr.powershell.protocol import EventReader

COMMAND = "Invoke-LyncarrRequest"
PARAMETER = "Request"
STOP_POLL_S = 1
MAX_ERRORS = 10
ESCAPED = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\U00010000-\U0010ffff]")
"""Characters that pypsrp's serializer writes as _xHHHH_."""


class PsrpShell(RemoteShell):
    """One runspace pool on `target`. `secrets` are the input of the pipeline, as one JSON object."""

    _pool: _Pool | None = None
    _running: PowerShell | None = None

    def _open(self) -> str:
        with translated(self._target, opened=False):
            # WSMan makes a transport of its own, which is replaced: it gets no account and no password.
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
        # Not PowerShell.close, which would cost one more request for a shell that ends soon.
        pool.pipelines.pop(shell.id, None)

    def _begin(self, pool: _Pool, shell: PowerShell, secrets: Mapping[str, Secret]) -> None:
        values = {name: secret.reveal() for name, secret in secrets.items()}
        try:
            with translated(self._target, opened=True):
                shell.begin_invoke(_single(json.dumps(values)) if values else None)
        except LostConnectionError:
            if values or pool.fragmenter.made > 1:
                # More fragments were to follow. The host waits for them and has not started the request.
                raise
            # Possibly only the answer was lost. The request is never sent again, and a write is not interrupted: lyncarr requests the
            # output of the pipeline, and a host that never received it answers that it does not know the pipeline.
            # pypsrp sets these two attributes when the answer arrives; the id is the one that it sent.
            shell._command_id, shell.state = shell.id, PSInvocationState.RUNNING

    def _poll(self, shell: PowerShell, reader: EventReader, on_event: Callable[[Event], None]) -> None:
        """Wait for the next output and report its events."""
        with translated(self._target, opened=True):
            shell.poll_invoke()
        texts, shell.output = shell.output, []
        del shell.streams.error[MAX_ERRORS:]
        for text in texts:
            self._report(text, reader, on_event)

    def _end(self, shell: PowerShell, reader: EventReader) -> None:
        """Raise the error of a pipeline that did not complete."""
        if shell.streams.error or shell.state == PSInvocationState.FAILED:
            with translated(self._target, opened=True):
                record = shell.streams.error[0] if shell.streams.error else None
                text, identifier = safe(record or "no reason", 500), safe(getattr(record, "fq_error", ""))
            raise self._script_ended(text, identifier)
        if shell.state != PSInvocationState.COMPLETED:
            raise LostConnectionError(f"Another program stopped the script on {self._target.where}.", hint=RUN_AGAIN)
        reader.finish()

    def _stop(self, end: Deadline) -> None:
        shell, self._running = self._running, None
        if shell is None or shell.state != PSInvocationState.RUNNING:
            return
        with translated(self._target, opened=True):
            # Not PowerShell.stop, which sets the state to stopped before the pipeline has ended.
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
    """The runspace pool of pypsrp, safe against hostile answers and slow hosts."""

    def __init__(self, wsman: WSMan, target: Target) -> None:
        super().__init__(wsman, idle_timeout=IDLE_TIMEOUT_S)
        # Private members of pypsrp, like _receive; tests/unit/test_pypsrp.py fails when one of them changes.
        # CLIXML allows a plain line feed. pypsrp sends _x000A_, which makes the script a tenth larger.
        self._serializer._serial_str = ESCAPED
        self._fragmenter = self.fragmenter = GuardedFragmenter(target, wsman.max_payload_size, self._serializer)

    def _receive(self, id: str | None = None, timeout: int | None = None) -> list[tuple[int, Any]]:
        """As in pypsrp, but without an error when a slow host needs more than one operation timeout to open the pool."""
        while True:
            try:
                return list(super()._receive(id, timeout))
            except WSManFaultError as fault:
                if fault.code != TIMED_OUT or id is not None:
                    raise


def _single(text: str) -> Iterator[str]:
    """One input for pypsrp, which accepts text only from a generator."""
    yield text


def _version(pool: RunspacePool) -> str:
    """The PowerShell version that the host reported when the pool was opened; "" where it reported none, as PowerShell 2.0 does."""
    data = getattr(pool.application_private_data, "data", None)
    table = data.get("PSVersionTable") if isinstance(data, dict) else None
    version = table.get("PSVersion") if isinstance(table, dict) else None
    return version if isinstance(version, str) else ""
