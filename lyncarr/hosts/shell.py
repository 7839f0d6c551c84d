"""The common part of both remote shells: unusable after an error, interrupted from any thread, deleted at the end."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

from lyncarr.core import waits
from lyncarr.core.errors import LostConnectionError, LyncarrError, RefusedError, StepFailedError
from lyncarr.core.fitness import OLDEST_POWERSHELL, powershell_version
from lyncarr.core.model import Deadline, Event, Request, Secret
from lyncarr.core.text import safe
from lyncarr.hosts.http.transport import Transport
from lyncarr.hosts.target import RUN_AGAIN, Target
from lyncarr.powershell.bundle import BUNDLES, Script, bundle_of
from lyncarr.powershell.protocol import EventReader, encode_request

OPERATION_TIMEOUT_S = 20
IDLE_TIMEOUT_S = 60
"""The smallest value that Windows accepts. A shell without a controller ends after this time and releases its lock.

A shell with a pending Receive is not idle.
"""
CLOSE_S = 5.0
STOP_S = 8.0


@dataclass(frozen=True)
class Identity:
    """What is known of a host when its shell is open, before the script is sent.

    `powershell` is its version, `certificate` the certificate of the host (DER), None without TLS.
    """

    powershell: str
    certificate: bytes | None


@dataclass(frozen=True)
class Traffic:
    """The traffic of a shell: HTTP requests, TCP connections, bytes of HTTP before TLS."""

    requests: int
    connections: int
    bytes_up: int
    bytes_down: int


class RemoteShell(ABC):
    """One remote shell on `target`, opened by its first request. See core.model.Shell.

    Each bundle of `script` is sent with the first request that needs it. `on_identity` is called when the shell is open. `known` is
    whether the host has answered in this run before; then lyncarr waits longer for a connection.
    """

    def __init__(
        self,
        target: Target,
        *,
        script: Script,
        connect_timeout_s: float = 20.0,
        operation_timeout_s: int = OPERATION_TIMEOUT_S,
        on_identity: Callable[[Identity], None] | None = None,
        known: bool = False,
    ) -> None:
        self._target = target
        self._script = script
        self._on_identity = on_identity
        self._transport = Transport(target, operation_timeout_s=operation_timeout_s, connect_timeout_s=connect_timeout_s, known=known)
        self._operation_timeout_s = operation_timeout_s
        self._opened = False
        self._bundles: set[str] = set()
        self._spent = False
        # The thread that uses the connection holds this lock. It is reentrant, so on_event may call interrupt.
        self._lock = threading.RLock()
        self._interrupted = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @property
    def traffic(self) -> Traffic:
        transport = self._transport
        return Traffic(transport.requests, transport.connections, transport.clock.bytes_up, transport.clock.bytes_down)

    @property
    def logged_on(self) -> bool:
        """Whether the host accepted the logon and answered a message."""
        return self._transport.answered

    def request(
        self,
        request: Request,
        on_event: Callable[[Event], None],
        deadline: Deadline,
        secrets: Mapping[str, Secret] | None = None,
    ) -> None:
        """Send one request and report its events. Returns after its `done` event, when the host has sent everything.

        The first request carries the script and no `secrets`. After an error the shell can only be closed. Raises errors of
        core/errors.py, and the exceptions of `on_event`.
        """
        if self._spent:
            raise LostConnectionError(f"The remote shell on {self._target.where} is closed.", hint=RUN_AGAIN)
        first = not self._opened
        bundle = bundle_of(request.operation, lock=request.lock)
        if first and (secrets or not BUNDLES[bundle].first):
            raise ValueError("the first request of a shell carries no secrets, and must not write")
        reader = EventReader(request.run, tuple(step.name for step in request.steps), first, request.operation)
        self._spent = True
        with waits.holding(self._lock):
            self._transport.limit(deadline)
            # After `limit`, which ends the effect of a cancel: an interrupt may have just called it.
            self._check_interrupted()
            if first:
                self._connect()
            script = None if bundle in self._bundles else self._script.bundles[bundle]
            self._bundles.update((bundle, *BUNDLES[bundle].parts))
            self._converse(script, encode_request(request), secrets or {}, reader, on_event)
        self._spent = self._interrupted

    def interrupt(self) -> None:
        """Stop the running request, wait a few seconds for its end, and delete the shell. Any thread may call it. Raises nothing."""
        self._interrupted = self._spent = True
        if not self._lock.acquire(blocking=False):
            self._transport.cancel()
            if not waits.acquire(self._lock, Deadline(STOP_S).left):
                return
        try:
            self._stop_running()
            self._delete()
        finally:
            self._lock.release()

    def close(self) -> None:
        """Delete the shell within a few seconds, if possible, and close the connection. Raises nothing."""
        self._spent = True
        with waits.holding(self._lock):
            if self._interrupted:
                # This thread may get the lock before the thread that interrupts.
                self._stop_running()
            self._delete()
            self._transport.close()

    @abstractmethod
    def _open(self) -> str:
        """Open the shell and return its PowerShell version, "" where it reports none, as PowerShell 2.0 does over PSRP."""

    @abstractmethod
    def _converse(
        self,
        script: str | None,
        request: str,
        secrets: Mapping[str, Secret],
        reader: EventReader,
        on_event: Callable[[Event], None],
    ) -> None:
        """Send `request`, with `script` where the shell needs it, and report events until its end."""

    @abstractmethod
    def _stop(self, end: Deadline) -> None:
        """Stop the running request, and wait until it has ended or `end` has passed. May raise LyncarrError."""

    @abstractmethod
    def _take_deletion(self) -> Callable[[], None] | None:
        """Forget the shell, and return the call that deletes it; None where there is no shell. That call may raise LyncarrError."""

    def _connect(self) -> None:
        self._opened = True
        version = self._open()
        if powershell_version(version) < OLDEST_POWERSHELL:
            raise RefusedError(
                f"{self._target.where} has PowerShell {safe(version) or '2.0 or older'}; lyncarr requires 4.0 or newer.",
                hint="Install Windows Management Framework 5.1.",
            )
        if self._on_identity is not None:
            self._on_identity(Identity(version, self._transport.certificate))

    def _report(self, text: object, reader: EventReader, on_event: Callable[[Event], None]) -> None:
        for event in reader.feed(text):
            on_event(event)
            self._check_interrupted()

    def _script_ended(self, text: str, detail: str) -> StepFailedError:
        """The error for a script that ended early. The script catches its own errors, so the reason is PowerShell itself."""
        return StepFailedError(
            f"PowerShell on {self._target.where} ended the script of lyncarr: {text}{'' if text.endswith('.') else '.'}",
            hint="Check whether a policy or antivirus software on the host blocks scripts.",
            kind="error",
            detail=detail,
        )

    def _check_interrupted(self) -> None:
        if self._interrupted:
            raise LostConnectionError(f"The run on {self._target.where} was interrupted.", hint=RUN_AGAIN)

    def _stop_running(self) -> None:
        if self._transport.distrusted:
            return
        end = Deadline(STOP_S)
        self._transport.limit(end)
        try:
            self._stop(end)
        except LyncarrError:
            # The shell is deleted next in every case.
            return

    def _delete(self) -> None:
        """Delete the shell. Otherwise the shell and its lock would exist until its idle timeout."""
        delete = self._take_deletion()
        if delete is None or self._transport.distrusted:
            return
        self._transport.limit(Deadline(CLOSE_S))
        for _ in range(2):
            try:
                delete()
                return
            except LostConnectionError:
                # The message or its answer was lost. A second Delete does no harm, and without one the lock stays held.
                continue
            except LyncarrError:
                return
