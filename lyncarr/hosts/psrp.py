"""A remote PowerShell by PSRP: core.model.Host over pypsrp, one runspace pool for one shell, one pipeline for each request."""

from __future__ import annotations

import contextlib
import json
import logging
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pypsrp.complex_objects import PSInvocationState
from pypsrp.exceptions import WSManFaultError
from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.shell import SignalCode
from pypsrp.wsman import WSMan

from lyncarr.core.errors import LostConnectionError, LyncarrError, RefusedError, StepFailedError
from lyncarr.core.fitness import OLDEST_POWERSHELL, powershell_version
from lyncarr.core.model import Deadline, Event, Request, Secret
from lyncarr.hosts.faults import TIMED_OUT, translated
from lyncarr.hosts.messages import GuardedFragmenter
from lyncarr.hosts.target import Target
from lyncarr.hosts.text import harmless
from lyncarr.hosts.transport import Transport
from lyncarr.powershell.bundle import Script
from lyncarr.powershell.protocol import EventReader, encode_request

COMMAND = "Invoke-LyncarrRequest"
PARAMETER = "Request"
LOOKING = "observe"
OPERATION_TIMEOUT_S = 20
IDLE_TIMEOUT_S = 60
"""The least that Windows takes. A shell asked for output is not idle; one without a controller ends after this, and frees its lock."""
CLOSE_S = 5.0
STOP_S = 8.0
STOP_POLL_S = 1
MAX_ERRORS = 10
ESCAPED = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\U00010000-\U0010ffff]")
"""What pypsrp's serializer writes as _xHHHH_."""
LOGGERS = ("pypsrp", "spnego", "urllib3", "requests")


@dataclass(frozen=True)
class Identity:
    """What a host is known by once its shell is open, before the script is sent: its PowerShell, and under TLS its certificate (DER)."""

    powershell: str
    certificate: bytes | None


@dataclass(frozen=True)
class Traffic:
    """What went over the wire: HTTP requests, TCP connections, bytes of HTTP inside TLS."""

    requests: int
    connections: int
    bytes_up: int
    bytes_down: int


class PsrpHost:
    """One remote shell on `target`, opened by its first request. See core.model.Host.

    `script.look` goes with the first request, `script.write` with the first that writes. `on_identity` is called when the shell is open.
    """

    def __init__(
        self,
        target: Target,
        *,
        script: Script,
        connect_timeout_s: float = 20.0,
        operation_timeout_s: int = OPERATION_TIMEOUT_S,
        on_identity: Callable[[Identity], None] | None = None,
    ) -> None:
        self._target = target
        self._script = script
        self._on_identity = on_identity
        self._transport = Transport(target, operation_timeout_s=operation_timeout_s, connect_timeout_s=connect_timeout_s)
        self._operation_timeout_s = operation_timeout_s
        self._pool: _Pool | None = None
        self._may_write = False
        self._running: PowerShell | None = None
        self._spent = False
        # Held by whoever uses the connection. Of the same thread it lets on_event interrupt.
        self._lock = threading.RLock()
        self._interrupted = False

    def __enter__(self) -> PsrpHost:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @property
    def traffic(self) -> Traffic:
        transport = self._transport
        return Traffic(transport.requests, transport.connections, transport.clock.bytes_up, transport.clock.bytes_down)

    @property
    def logged_on(self) -> bool:
        """Whether a message came through the host's authentication."""
        return self._transport.answered

    def request(
        self,
        request: Request,
        on_event: Callable[[Event], None],
        deadline: Deadline,
        secrets: Mapping[str, Secret] | None = None,
    ) -> None:
        """Send one request and hand on its events; returns when its `done` was seen and the pipeline has ended.

        `secrets` travel as the pipeline's input, in one JSON object; the first request, which is the script itself, takes none.
        After an error the shell is only good for closing. Raises errors of core/errors.py only, and what `on_event` raises.
        """
        if self._spent:
            raise LostConnectionError(f"The remote shell on {self._target.where} is closed; run this again.")
        first = self._pool is None
        if first and secrets:
            raise ValueError("the first request carries the script and no secrets")
        reader = EventReader(request.run, request.number, tuple(step.name for step in request.steps), first, request.operation)
        self._spent = True
        with self._lock:
            self._transport.limit(deadline)
            # After it: an interrupt of a moment ago may have cancelled, which `limit` takes back.
            self._go_on()
            pool = self._pool or self._open()
            shell = PowerShell(pool)
            if first:
                shell.add_script(self._script.look)
            elif request.operation != LOOKING and not self._may_write:
                shell.add_script(self._script.write)
                self._may_write = True
            else:
                shell.add_cmdlet(COMMAND)
            shell.add_parameter(PARAMETER, encode_request(request))
            self._running = shell
            self._begin(pool, shell, secrets or {})
            while shell.state in (PSInvocationState.RUNNING, PSInvocationState.STOPPING):
                self._poll(shell, reader, on_event)
            self._end(shell, reader)
            self._running = None
            # Not PowerShell.close: that is a request more, and the shell does not live long.
            pool.pipelines.pop(shell.id, None)
        self._spent = self._interrupted

    def interrupt(self) -> None:
        """Stop what runs, wait a few seconds for its end, and delete the shell; from any thread. Raises nothing."""
        self._interrupted = self._spent = True
        if not self._lock.acquire(blocking=False):
            self._transport.cancel()
            if not self._lock.acquire(timeout=STOP_S):
                return
        try:
            self._stop()
            self._delete()
        finally:
            self._lock.release()

    def close(self) -> None:
        """Delete the shell, as well as that goes within a few seconds, and close the connection. Raises nothing."""
        self._spent = True
        with self._lock:
            if self._interrupted:
                # The thread that interrupts may come to the lock after this one.
                self._stop()
            self._delete()
            self._transport.close()

    def _open(self) -> _Pool:
        quiet_libraries()
        with translated(self._target, opened=False):
            # WSMan builds a transport of its own, which only keeps what it is given: no account, no password.
            wsman = WSMan(self._target.address, operation_timeout=self._operation_timeout_s)
            wsman.transport = self._transport  # type: ignore[assignment]  # (see hosts/transport.py)
            self._pool = _Pool(wsman, self._target)
            self._pool.open()
            version = _version(self._pool)
        if powershell_version(version) < OLDEST_POWERSHELL:
            raise RefusedError(
                f"{self._target.where} has PowerShell {harmless(version) or '2.0 or older'}; lyncarr needs 4.0 or newer. "
                "Install Windows Management Framework 5.1."
            )
        if self._on_identity is not None:
            self._on_identity(Identity(version, self._transport.certificate))
        return self._pool

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
            for event in reader.feed(text):
                on_event(event)
                self._go_on()

    def _go_on(self) -> None:
        if self._interrupted:
            raise LostConnectionError(f"The run on {self._target.where} was interrupted.")

    def _end(self, shell: PowerShell, reader: EventReader) -> None:
        """Judge how the pipeline ended. The script catches its own errors, so that one out here came from PowerShell around it."""
        if shell.streams.error or shell.state == PSInvocationState.FAILED:
            with translated(self._target, opened=True):
                record = shell.streams.error[0] if shell.streams.error else None
                text, identifier = harmless(record or "no reason given", 500), harmless(getattr(record, "fq_error", ""))
            raise StepFailedError(
                f"PowerShell on {self._target.where} ended lyncarr's script: {text} Does a policy or an antivirus there stop scripts?",
                kind="error",
                detail=identifier,
            )
        if shell.state != PSInvocationState.COMPLETED:
            raise LostConnectionError(f"What ran on {self._target.where} was stopped by somebody else.")
        reader.finish()

    def _stop(self) -> None:
        shell, self._running = self._running, None
        if shell is None or shell.state != PSInvocationState.RUNNING or self._transport.distrusted:
            return
        end = Deadline(STOP_S)
        self._transport.limit(end)
        with contextlib.suppress(LyncarrError), translated(self._target, opened=True):
            # Not PowerShell.stop: that calls the pipeline stopped before it has ended.
            shell.runspace_pool.shell.signal(SignalCode.PS_CTRL_C, shell.id)
            while shell.state == PSInvocationState.RUNNING and not end.passed:
                shell.poll_invoke(timeout=STOP_POLL_S)

    def _delete(self) -> None:
        """Without this a shell, and the lock that it holds, would stay until its idle time-out."""
        pool, self._pool = self._pool, None
        if pool is None or self._transport.distrusted or not pool.shell.opened:
            return
        self._transport.limit(Deadline(CLOSE_S))
        for _ in range(2):
            try:
                with translated(self._target, opened=True):
                    pool.shell.close()
                return
            except LostConnectionError:
                # Lost on its way, or its answer was: deleting twice does no harm, and not at all leaves the lock held.
                continue
            except LyncarrError:
                return


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


def quiet_libraries() -> None:
    """Messages and scripts in the libraries' logs hold what nobody may read, whatever level the embedding program has chosen."""
    for name in LOGGERS:
        logger = logging.getLogger(name)
        logger.setLevel(max(logger.level, logging.WARNING))
        logger.propagate = False
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())


def _one(text: str) -> Iterator[str]:
    """pypsrp knows several inputs only as a generator, and one of another kind only as bytes."""
    yield text


def _version(pool: RunspacePool) -> str:
    """PowerShell's version as the host told it when the pool was opened; empty where it told none, as 2.0 does."""
    data = getattr(pool.application_private_data, "data", None)
    table = data.get("PSVersionTable") if isinstance(data, dict) else None
    version = table.get("PSVersion") if isinstance(table, dict) else None
    return "" if version is None else str(version)
