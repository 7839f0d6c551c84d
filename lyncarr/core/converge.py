"""Observe, plan, apply, look again: one run on one host. No I/O of its own; hosts come from a factory, people from a Listener."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from lyncarr.core import fitness
from lyncarr.core.diff import diff
from lyncarr.core.errors import (
    IN_PLACE,
    INTERRUPTED,
    PENDING,
    REBOOT,
    BusyError,
    FaultError,
    LostConnectionError,
    LyncarrError,
    ProtocolError,
    RefusedError,
    StepFailedError,
    UnfitError,
    UnreachableError,
)
from lyncarr.core.interrupts import Interrupts, StopNow
from lyncarr.core.model import Deadline, Event, Host, Request, Secret, Stage, State, Step, StepRequest
from lyncarr.core.plan import HostResult, HostWord, Note, Plan, StepResult, Unit, make_plan, steps_of, units

MAX_EVENTS_A_RUN = 20_000
PLAN_DEADLINE_S = 45.0
INSTALL_DEADLINE_S = 45 * 60.0
WRITE_DEADLINE_S = 5 * 60.0
LOCK_WAIT_S = 90.0
LOCK_POLL_S = 2.0
PERCENT_APART = 10
MAX_NOTES = 1_000
MAX_NOTE_CHARS = 4_000
"""A host may send many notes, and long ones; they are kept until the end of the run."""


class Listener(Protocol):
    """Hears what happens as it happens. `name` is an event of the contract, or connecting, plan, reconnecting."""

    def event(self, host: str, name: str, data: Mapping[str, Any]) -> None: ...


Reader: TypeAlias = Callable[[Any], Iterable[tuple[int, str]]]
"""Reads a value of Step.files: (offset in bytes, data in base64) of each piece, in order; see powershell/upload.py."""


@dataclass
class Run:
    """One run on one host.

    `open_host` makes a new shell each time it is called. `site` is what the steps read. `confirm` is asked with the plan before the
    first write, None means that the answer is yes already. `write` False makes it a plan: nothing is locked, nothing is written.
    `warnings` are what was found before any contact; they stand in the result's notes.
    """

    host: str
    stages: tuple[Stage, ...]
    site: Any
    open_host: Callable[[], Host]
    listener: Listener
    who: str
    write: bool
    confirm: Callable[[Plan, list[Note]], bool] | None = None
    interrupts: Interrupts = field(default_factory=Interrupts)
    plan_deadline_s: float = PLAN_DEADLINE_S
    read_file: Reader | None = None
    warnings: tuple[str, ...] = ()
    sleep: Callable[[float], None] = time.sleep

    def __post_init__(self) -> None:
        self._id = str(uuid.uuid4())
        self._events = 0
        self._computer: str | None = None
        self._notes: dict[Note, None] = {}
        self._backup: str | None = None
        self._hello: Mapping[str, Any] = {}
        self._results = {step.name: StepResult(step, "skipped") for step in steps_of(self.stages)}
        self._wrote = False

    def execute(self) -> HostResult:
        """Carry the run out. No error escapes: each becomes part of the result, an unforeseen one as FaultError."""
        error: LyncarrError | None = None
        try:
            try:
                word, code = self._execute()
            except LyncarrError as foreseen:
                error = foreseen
                word, code = _word_of(foreseen), foreseen.exit_code
            except Exception as unforeseen:
                # What was written before it, and the backup's name, must be told all the same.
                error = FaultError(unforeseen)
                word, code = _word_of(error), error.exit_code
            self.interrupts.end()
        except StopNow:
            self.interrupts.end()
            return self._result("interrupted", INTERRUPTED)
        return self._result(word, code, error)

    def _result(self, word: HostWord, code: int, error: LyncarrError | None = None) -> HostResult:
        if self._wrote:
            for result in self._results.values():
                if result.result == "pending":
                    result.result = "skipped"
        return HostResult(self.host, word, code, list(self._results.values()), self._all_notes(), self._backup, error, self._computer)

    def _execute(self) -> tuple[HostWord, int]:
        confirm = self.confirm
        if self.write and confirm is None:
            return self._converge(None)
        with _Shell(self) as shell:
            shown = shell.observe(lock=False, deadline=Deadline(self.plan_deadline_s))
        plan = self._planned(shown)
        self.listener.event(self.host, "plan", {"plan": plan, "notes": list(self._notes)})
        if not plan.pending:
            return "in-place", IN_PLACE
        if plan.blocked:
            raise self._blocked(plan)
        if confirm is None:
            return "pending", PENDING
        self._refuse_install_before_reboot(plan)
        if not confirm(plan, list(self._notes)):
            return "pending", PENDING
        return self._converge(shown)

    def _converge(self, shown: Mapping[str, State] | None) -> tuple[HostWord, int]:
        """Write what differs, under the lock. `shown` is what a person said yes to, None where nobody was asked."""
        remaining = self.stages
        with ExitStack() as stack:
            shell = stack.enter_context(_Shell(self))
            self._notes.clear()
            observed = shell.observe(lock=True, deadline=Deadline(self.plan_deadline_s))
            plan = self._planned(observed)
            changed = shown is not None and dict(observed) != dict(shown)
            if shown is None or changed:
                self.listener.event(self.host, "plan", {"plan": plan, "notes": list(self._notes)})
            if changed:
                return ("changed", PENDING) if plan.pending else ("in-place", IN_PLACE)
            if not plan.pending:
                return "in-place", IN_PLACE
            if plan.blocked:
                raise self._blocked(plan)
            self._refuse_install_before_reboot(plan)
            while remaining:
                stage, remaining = remaining[0], remaining[1:]
                due = units(stage, plan)
                for unit in due:
                    reboot = self._apply(shell, unit)
                    if reboot:
                        return self._stopped_for_reboot(unit)
                    if self.interrupts.requested:
                        return "interrupted", INTERRUPTED
                if due and stage.fresh_shell_after and remaining:
                    shell.close()
                    plan = self._planned(self._look_again(shell, remaining, (BusyError,)), remaining)
                    if plan.blocked:
                        raise self._blocked(plan)
        return "applied", IN_PLACE

    def _planned(self, observed: Mapping[str, State], stages: tuple[Stage, ...] | None = None) -> Plan:
        plan = make_plan(stages or self.stages, self.site, observed)
        for one in plan.steps:
            result = self._results[one.step.name]
            result.changes = one.changes
            result.result = "pending" if one.changes else "in-place"
        if plan.restarts_iis:
            self._note(Note("restart", "iisreset /noforce will run once after the change: it drops the connections that IIS serves"))
        return plan

    def _blocked(self, plan: Plan) -> StepFailedError:
        for one in plan.steps:
            if one.blocked:
                change = one.blocked[0]
                names = change.before if isinstance(change.before, tuple) else ()
                # Rules that only may take requests have notes too.
                text = next(
                    (note.text for name in names for note in self._notes if note.step == one.step.name and f"'{name}'" in note.text),
                    f"{change.item}: {change.attribute} cannot be mended by this tool",
                )
                message = f"Step {one.step.name}: {text}."
                self._results[one.step.name].result = "failed"
                self._results[one.step.name].error = ("foreign", message)
                return StepFailedError(message)
        raise AssertionError("asked for the blocked step of a plan without one")

    def _refuse_install_before_reboot(self, plan: Plan) -> None:
        installs = [step.name for stage in self.stages if stage.may_reboot for step in stage.steps if plan.of(step).changes]
        if self._hello.get("pending_reboot") and installs:
            told = [note.text for note in self._notes if note.kind == "pending-reboot" and note.step is None and note != self._restart_due]
            why = f" ({'; '.join(told)})" if told else ""
            raise RefusedError(
                f"{self._computer} waits for a restart{why}, and {installs[0]} would install on top of that. "
                "Restart it, then run this again."
            )

    @property
    def _restart_due(self) -> Note:
        return Note("pending-reboot", f"{self._computer} waits for a restart; nothing is installed on it before that")

    def _stopped_for_reboot(self, unit: Unit) -> tuple[HostWord, int]:
        self._results[unit.steps[-1].name].result = "reboot-needed"
        return "reboot-needed", REBOOT

    def _apply(self, shell: _Shell, unit: Unit) -> bool:
        """Write one unit and judge what was seen again; True where the host must restart first."""
        with self.interrupts.writing():
            self._wrote = True
            for step in unit.steps:
                self._results[step.name].result = "unknown"
            try:
                applied = shell.apply(unit)
            except LostConnectionError as lost:
                self._judge(unit, self._look_after_loss(shell, unit, lost), lost=lost)
                # The lost answer may have asked for a restart. Nothing waited for one before: such a host is refused an install.
                return unit.stage.may_reboot and bool(self._hello["pending_reboot"])
            except (StepFailedError, UnfitError) as error:
                self._blame(unit, error)
                raise
            if not applied["reboot"]:
                self._judge(unit, applied["steps"])
            else:
                for step in unit.steps:
                    self._results[step.name].result = "applied"
            return bool(applied["reboot"])

    def _judge(self, unit: Unit, seen: Mapping[str, State], lost: LostConnectionError | None = None) -> None:
        """Set the unit's results by what was seen after the write; raises for what is not in place.

        `lost` is the reason why nobody heard the answer: then a write that did not happen is its fault, not the step's.
        """
        failure: LyncarrError | None = None
        for step in unit.steps:
            result = self._results[step.name]
            left = diff(seen[step.name], step.desired(self.site))
            if left:
                wrong = StepFailedError(_not_in_place(step, left), step=step.name) if lost is None else _not_done(step, lost)
                result.result, result.error = "failed", (wrong.code, str(wrong))
                failure = failure or wrong
            else:
                result.result = "applied" if result.changes else "in-place"
        if failure:
            raise failure

    def _blame(self, unit: Unit, error: StepFailedError | UnfitError) -> None:
        """Mark the guilty step of a unit that the host gave up; nothing of the others was committed, unless only the restart failed."""
        written = isinstance(error, StepFailedError) and error.kind == "restart"
        for step in unit.steps:
            result = self._results[step.name]
            if step.name == error.step or (error.step is None and step is unit.steps[0]):
                result.result, result.error = "failed", (error.code, str(error))
            else:
                result.result = "in-place" if not result.changes else "unknown" if written else "skipped"

    def _look_after_loss(self, shell: _Shell, unit: Unit, lost: LostConnectionError) -> Mapping[str, State]:
        """The write is not sent again: wait until the old shell has let go of the lock, then see what it left."""
        self.listener.event(self.host, "reconnecting", {"cause": str(lost)})
        shell.close()
        try:
            return self._look_again(shell, (Stage(unit.stage.name, unit.steps),), (BusyError, UnreachableError))
        except (BusyError, UnreachableError) as error:
            raise lost from error

    def _look_again(self, shell: _Shell, stages: tuple[Stage, ...], waited: tuple[type[LyncarrError], ...]) -> Mapping[str, State]:
        """Open `shell` anew and observe under the lock, which the shell before it may hold for a while after its end.

        Errors of the kinds `waited` are tried again until LOCK_WAIT_S is over.
        """
        end = Deadline(LOCK_WAIT_S)
        while True:
            try:
                shell.open()
                return shell.observe(lock=True, deadline=Deadline(self.plan_deadline_s), stages=stages)
            except waited:
                shell.close()
                if end.passed:
                    raise
                self.sleep(LOCK_POLL_S)

    def _all_notes(self) -> list[Note]:
        return [*(Note("warning", text) for text in self.warnings), *self._notes]

    def _note(self, note: Note) -> None:
        if note not in self._notes and len(self._notes) >= MAX_NOTES:
            raise ProtocolError(f"{self.host} sent more than {MAX_NOTES} notes in one run; nothing more is sent to it.")
        self._notes[note] = None

    # What a shell reports back:

    def heard(self, event: Event) -> None:
        """Take one event of any request of this run; raises what it means."""
        self._events += 1
        if self._events > MAX_EVENTS_A_RUN:
            raise ProtocolError(f"The host sent more than {MAX_EVENTS_A_RUN} events in one run; nothing more is sent to it.")
        if event.name == "hello":
            self._greet(event.data)
        elif event.name == "note" and event.data["kind"] == "backup":
            # Told as soon as it is made: a unit that fails afterwards has an answer without it.
            self._backed_up(event.data["text"])
        elif event.name == "note":
            self._note(Note(event.data["kind"], event.data["text"][:MAX_NOTE_CHARS], event.data["step"]))
        elif event.name == "applied" and event.data["backup"] is not None:
            self._backed_up(event.data["backup"])
        self.listener.event(self.host, event.name, event.data)

    def _backed_up(self, name: str) -> None:
        if name != f"lyncarr-{self._id}":
            raise ProtocolError("The host named a configuration backup that is not of this run; nothing more is sent to it.")
        self._backup = name

    def _greet(self, hello: Mapping[str, Any]) -> None:
        if self._computer not in (None, hello["computer"]):
            raise ProtocolError(
                f"{self.host} was {self._computer} and is now {hello['computer']}; nothing more is sent to it. Check the address."
            )
        self._computer = hello["computer"]
        self._hello = hello
        fitness.check(hello)
        if hello["pending_reboot"]:
            self._note(self._restart_due)

    @property
    def run_id(self) -> str:
        return self._id

    @property
    def build(self) -> int:
        """Windows' build number as the host told it."""
        number: int = self._hello["build"]
        return number

    def drifted(self, step: Step) -> frozenset[str]:
        return frozenset(change.item for change in self._results[step.name].changes)


class _Shell:
    """One remote shell of a run, and the numbers of its requests."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._host: Host | None = None
        self._number = 0

    def __enter__(self) -> _Shell:
        self.open()
        return self

    def open(self) -> None:
        self._run.listener.event(self._run.host, "connecting", {})
        host = self._run.open_host()
        host.__enter__()
        self._host, self._number = host, 0

    def close(self) -> None:
        host, self._host = self._host, None
        if host is not None:
            host.__exit__(None, None, None)

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is StopNow and self._host is not None:
            self._host.interrupt()
        self.close()

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
        if self._host is None:
            raise LostConnectionError("The remote shell is closed; run this again.")
        self._number += 1
        answers: dict[str, Mapping[str, Any]] = {}

        def take(event: Event) -> None:
            self._run.heard(event)
            answers[event.name] = event.data

        request = Request(self._run.run_id, self._number, operation, steps, lock, {"who": self._run.who, **(extra or {})})
        self._host.request(request, take, deadline, secrets or {})
        if "failed" in answers:
            raise _failure(answers["failed"], self._run.host)
        return answers

    def observe(self, *, lock: bool, deadline: Deadline, stages: tuple[Stage, ...] | None = None) -> Mapping[str, State]:
        steps = self._requests(steps_of(stages or self._run.stages))
        states: Mapping[str, State] = self._send("observe", steps, deadline, lock=lock)["observed"]["steps"]
        return states

    def apply(self, unit: Unit) -> Mapping[str, Any]:
        deadline = Deadline(INSTALL_DEADLINE_S if unit.stage.may_reboot else WRITE_DEADLINE_S)
        secrets: dict[str, Secret] = {}
        for step in unit.steps:
            secrets.update(step.secrets(self._run.site, self._run.build))
            for name, file in step.files(self._run.site, self._run.drifted(step)).items():
                self._upload(step, name, file, deadline)
        return self._send("apply", self._requests(unit.steps), deadline, lock=True, secrets=secrets)["applied"]

    def _upload(self, step: Step, name: str, file: Any, deadline: Deadline) -> None:
        if self._run.read_file is None:
            raise AssertionError("asked to send a file by a run that cannot read one")
        told = -PERCENT_APART
        try:
            for offset, data in self._run.read_file(file):
                percent = 100 * offset // file.size
                if percent >= told + PERCENT_APART:
                    told = percent
                    progress = {"step": step.name, "text": f"sending {file.name}", "percent": percent}
                    self._run.listener.event(self._run.host, "progress", progress)
                self._send("upload", (), deadline, lock=True, extra={"file": name, "offset": offset, "data": data})
        except StepFailedError as error:
            raise StepFailedError(f"Step {step.name}: {error}", step=step.name, kind=error.kind) from error

    def _requests(self, steps: tuple[Step, ...]) -> tuple[StepRequest, ...]:
        site = self._run.site
        return tuple(StepRequest(step.name, step.desired(site), step.parameters(site)) for step in steps)


def _failure(data: Mapping[str, Any], host: str) -> LyncarrError:
    """The exception for a `failed` event."""
    text, step = data["text"], data["step"]
    if data["kind"] == "busy":
        return BusyError(f"{host} is {text}. Wait for that run to end, or find out whose it is.")
    if data["kind"] == "unfit":
        return UnfitError(text, step=step)
    if data["kind"] == "denied" and step is None:
        return RefusedError(f"{host} refused access: {text}")
    where = f"Step {step}: " if step else ""
    end = "" if text.endswith(".") else "."
    return StepFailedError(f"{where}{text}{end}", step=step, kind=data["kind"])


def _not_done(step: Step, lost: LostConnectionError) -> LostConnectionError:
    return LostConnectionError(
        f"The connection was lost while step {step.name} was written, and what was seen afterwards is not in place; run this again.",
        detail=f"{lost} {lost.detail or ''}".strip(),
    )


def _not_in_place(step: Step, left: tuple[Any, ...]) -> str:
    change = left[0]
    what = "still missing" if change.attribute is None else f"{change.attribute} is still {change.before!r}, not {change.after!r},"
    return (
        f"Step {step.name}: {change.item}: {what} after apply. Does something else on the host write the same setting? "
        f"Try lyncarr plan --step {step.name}."
    )


def _word_of(error: LyncarrError) -> HostWord:
    if isinstance(error, RefusedError):
        return "refused"
    if isinstance(error, ProtocolError):
        return "untrusted"
    if isinstance(error, BusyError):
        return "busy"
    if isinstance(error, UnreachableError):
        return "unreachable"
    if isinstance(error, FaultError):
        return "fault"
    return "failed"
