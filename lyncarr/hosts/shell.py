"""What a remote shell is, whichever protocol carries it: spent after an error, interrupted from any thread, deleted at last."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

from lyncarr.core.errors import LostConnectionError, LyncarrError, RefusedError, StepFailedError
from lyncarr.core.fitness import OLDEST_POWERSHELL, powershell_version
from lyncarr.core.model import Deadline, Event, Request, Secret
from lyncarr.core.text import safe
from lyncarr.hosts.http.transport import Transport
from lyncarr.hosts.target import Target
from lyncarr.powershell.bundle import LOOK, Script, bundle_of
from lyncarr.powershell.protocol import EventReader, encode_request

OPERATION_TIMEOUT_S = 20
IDLE_TIMEOUT_S = 60
"""The least that Windows takes. A shell asked for output is not idle; one without a controller ends after this, and frees its lock."""
CLOSE_S = 5.0
STOP_S = 8.0


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


class RemoteShell(ABC):
    """One remote shell on `target`, opened by its first request. See core.model.Shell.

    A bundle of `script` goes with the first request that needs it. `on_identity` is called when the shell is open.
    `known` tells that the host answered in this run before: then it is worth waiting for.
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
        # Held by whoever uses the connection. Of the same thread it lets on_event interrupt.
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
        """Whether a message came through the host's authentication."""
        return self._transport.answered

    def request(
        self,
        request: Request,
        on_event: Callable[[Event], None],
        deadline: Deadline,
        secrets: Mapping[str, Secret] | None = None,
    ) -> None:
        """Send one request and hand on its events; returns when its `done` was seen and the host has nothing more to say to it.

        The first request, which is the script itself, takes no `secrets`. After an error the shell is only good for closing.
        Raises errors of core/errors.py only, and what `on_event` raises.
        """
        if self._spent:
            raise LostConnectionError(f"The remote shell on {self._target.where} is closed; run this again.")
        first = not self._opened
        bundle = bundle_of(request.operation)
        if first and (secrets or bundle != LOOK):
            raise ValueError("the first request of a shell carries no secrets, and the bundle look must be enough for it")
        reader = EventReader(request.run, tuple(step.name for step in request.steps), first, request.operation)
        self._spent = True
        with self._lock:
            self._transport.limit(deadline)
            # After it: an interrupt of a moment ago may have cancelled, which `limit` takes back.
            self._go_on()
            if first:
                self._connect()
            script = None if bundle in self._bundles else self._script.bundles[bundle]
            self._bundles.add(bundle)
            self._converse(script, encode_request(request), secrets or {}, reader, on_event)
        self._spent = self._interrupted

    def interrupt(self) -> None:
        """Stop what runs, wait a few seconds for its end, and delete the shell; from any thread. Raises nothing."""
        self._interrupted = self._spent = True
        if not self._lock.acquire(blocking=False):
            self._transport.cancel()
            if not self._lock.acquire(timeout=STOP_S):
                return
        try:
            self._stop_running()
            self._delete()
        finally:
            self._lock.release()

    def close(self) -> None:
        """Delete the shell, as well as that goes within a few seconds, and close the connection. Raises nothing."""
        self._spent = True
        with self._lock:
            if self._interrupted:
                # The thread that interrupts may come to the lock after this one.
                self._stop_running()
            self._delete()
            self._transport.close()

    @abstractmethod
    def _open(self) -> str:
        """Open the shell; gives its PowerShell's version, empty where it tells none, as 2.0 does over PSRP."""

    @abstractmethod
    def _converse(
        self,
        script: str | None,
        request: str,
        secrets: Mapping[str, Secret],
        reader: EventReader,
        on_event: Callable[[Event], None],
    ) -> None:
        """Send `request`, with the script that answers it where the shell does not have that yet, and hand on events until its end."""

    @abstractmethod
    def _stop(self, end: Deadline) -> None:
        """Stop what runs, and wait until it has ended or `end` is there. May raise LyncarrError."""

    @abstractmethod
    def _take_deletion(self) -> Callable[[], None] | None:
        """What deletes the shell, or None where there is none; from then on there is none. The call may raise LyncarrError."""

    def _connect(self) -> None:
        self._opened = True
        version = self._open()
        if powershell_version(version) < OLDEST_POWERSHELL:
            raise RefusedError(
                f"{self._target.where} has PowerShell {safe(version) or '2.0 or older'}; lyncarr needs 4.0 or newer. "
                "Install Windows Management Framework 5.1."
            )
        if self._on_identity is not None:
            self._on_identity(Identity(version, self._transport.certificate))

    def _hand_on(self, text: object, reader: EventReader, on_event: Callable[[Event], None]) -> None:
        for event in reader.feed(text):
            on_event(event)
            self._go_on()

    def _script_ended(self, text: str, detail: str) -> StepFailedError:
        """The script catches its own errors, so that one out here came from PowerShell around it."""
        return StepFailedError(
            f"PowerShell on {self._target.where} ended lyncarr's script: {text} Does a policy or an antivirus there stop scripts?",
            kind="error",
            detail=detail,
        )

    def _go_on(self) -> None:
        if self._interrupted:
            raise LostConnectionError(f"The run on {self._target.where} was interrupted.")

    def _stop_running(self) -> None:
        if self._transport.distrusted:
            return
        end = Deadline(STOP_S)
        self._transport.limit(end)
        try:
            self._stop(end)
        except LyncarrError:
            # It is deleted next, whatever became of it.
            return

    def _delete(self) -> None:
        """Without this a shell, and the lock that it holds, would stay until its idle time-out."""
        delete = self._take_deletion()
        if delete is None or self._transport.distrusted:
            return
        self._transport.limit(Deadline(CLOSE_S))
        for _ in range(2):
            try:
                delete()
                return
            except LostConnectionError:
                # Lost on its way, or its answer was: deleting twice does no harm, and not at all leaves the lock held.
                continue
            except LyncarrError:
                return
