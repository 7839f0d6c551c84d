"""One remote shell in use: connect, observe, upload, apply. Turns a `failed` event into an exception."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from lyncarr.core.errors import BusyError, LostConnectionError, LyncarrError, RefusedError, StepFailedError, UnfitError
from lyncarr.core.interrupts import StopNow
from lyncarr.core.model import Deadline, Event, Request, Secret, Shell, State, StepRequest
from lyncarr.core.text import safe

PERCENT_STEP = 10
"""A progress event of an upload is at least this many percent after the one before."""

OWN_EVENTS = frozenset({"connecting", "request", "response"})
"""The events that come from the session itself, and never from the host."""

FileReader: TypeAlias = Callable[[Any], Iterable[tuple[int, str]]]
"""Reads a value of Step.files: (offset in bytes, data in base64) of each piece, in order; see materials/upload.py."""


@dataclass(frozen=True)
class Applied:
    """The answer to `apply`: the states by step name as observed after the write, and whether Windows must restart first."""

    states: Mapping[str, State]
    reboot: bool


class Session:
    """A context manager around one remote shell at a time; `open` after `close` opens another.

    `open_shell` makes a new shell each time. `host` is its name in messages, `run` the run's id, `who` identifies the user and the
    controller for the lock on the host. `on_event` gets `connecting`, `request` and `response` around each request (`operation`,
    `steps`, `bytes_up`, `bytes_down`, `seconds`), each event of the host, and `progress` of an upload.
    """

    def __init__(self, open_shell: Callable[[], Shell], *, host: str, run: str, who: str, on_event: Callable[[Event], None]) -> None:
        self._open_shell = open_shell
        self._host = host
        self._run = run
        self._who = who
        self._on_event = on_event
        self._shell: Shell | None = None

    def __enter__(self) -> Session:
        self.open()
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is StopNow and self._shell is not None:
            self._shell.interrupt()
        self.close()

    def open(self) -> None:
        self._on_event(Event("connecting", {}))
        shell = self._open_shell()
        shell.__enter__()
        self._shell = shell

    def close(self) -> None:
        shell, self._shell = self._shell, None
        if shell is not None:
            shell.__exit__(None, None, None)

    def observe(self, steps: tuple[StepRequest, ...], *, lock: bool, deadline: Deadline) -> Mapping[str, State]:
        """The observed state of each of `steps`, by name. With `lock` the host's lock is taken first."""
        states: Mapping[str, State] = self._send("observe", steps, deadline, lock=lock)["observed"]["steps"]
        return states

    def apply(self, steps: tuple[StepRequest, ...], *, deadline: Deadline, secrets: Mapping[str, Secret]) -> Applied:
        """Apply `steps` in one transaction and observe them again. Needs the lock."""
        answer = self._send("apply", steps, deadline, lock=True, secrets=secrets)["applied"]
        return Applied(answer["steps"], answer["reboot"])

    def upload(self, step: str, name: str, file: Any, read: FileReader, *, deadline: Deadline) -> None:
        """Send one file piece by piece. `name` is its name on the host, `file` has the members `name` and `size` (bytes)."""
        reported = -PERCENT_STEP
        try:
            for offset, data in read(file):
                percent = 100 * offset // file.size
                if percent >= reported + PERCENT_STEP:
                    reported = percent
                    self._on_event(Event("progress", {"step": step, "text": f"sending {file.name}", "percent": percent}))
                self._send("upload", (), deadline, lock=True, extra={"file": name, "offset": offset, "data": data})
        except StepFailedError as error:
            raise StepFailedError(
                f"Step {step}: {error.message}", hint=error.hint, step=step, kind=error.kind, detail=error.detail
            ) from error

    def _send(
        self,
        operation: str,
        steps: tuple[StepRequest, ...],
        deadline: Deadline,
        *,
        lock: bool = False,
        extra: Mapping[str, Any] | None = None,
        secrets: Mapping[str, Secret] | None = None,
    ) -> dict[str, Mapping[str, Any]]:
        if self._shell is None:
            raise LostConnectionError("The remote shell is closed.", hint="Run the command again.")
        answers: dict[str, Mapping[str, Any]] = {}

        def take(event: Event) -> None:
            self._on_event(event)
            answers[event.name] = event.data

        request = Request(self._run, operation, steps, lock, {"who": self._who, **(extra or {})})
        self._on_event(Event("request", {"operation": operation, "steps": [step.name for step in steps], "lock": lock}))
        before, begin = traffic_of(self._shell), time.monotonic()
        try:
            self._shell.request(request, take, deadline, secrets or {})
        finally:
            up, down = (now - then for now, then in zip(traffic_of(self._shell), before, strict=True))
            seconds = round(time.monotonic() - begin, 3)
            self._on_event(Event("response", {"operation": operation, "bytes_up": up, "bytes_down": down, "seconds": seconds}))
        if "failed" in answers:
            raise failure(answers["failed"], self._host)
        return answers


def traffic_of(shell: Shell) -> tuple[int, int]:
    """The bytes that a shell has sent and received so far; zeros for a shell that does not count them."""
    traffic = getattr(shell, "traffic", None)
    return (traffic.bytes_up, traffic.bytes_down) if traffic is not None else (0, 0)


def failure(data: Mapping[str, Any], host: str) -> LyncarrError:
    """The exception for the members of a `failed` event."""
    text, step, hint = data["text"], data["step"], safe(data["hint"])
    sentence = text if text.endswith(".") else f"{text}."
    if data["kind"] == "busy":
        return BusyError(f"{host} is {text}.", hint=hint or "Wait until that run ends, or find out who started it.")
    if data["kind"] == "unfit":
        return UnfitError(sentence, step=step, hint=hint)
    if data["kind"] == "denied" and step is None:
        return RefusedError(f"{host} refused access: {sentence}", hint=hint)
    where = f"Step {step}: " if step else ""
    return StepFailedError(f"{where}{sentence}", step=step, kind=data["kind"], hint=hint)
