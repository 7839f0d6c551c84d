"""One run on one host: observe, plan, ask, apply, observe again.

No I/O of its own: shells come from a factory, reports go to a Listener.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Protocol

from lyncarr.core import fitness, waits
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
from lyncarr.core.limits import PLAN_DEADLINE_S
from lyncarr.core.model import Deadline, Event, Secret, Shell, Stage, State, Step, StepRequest
from lyncarr.core.outcome import Failure, HostResult, HostWord, Note, StepResult, StepWord, not_done, not_in_place, word_of
from lyncarr.core.plan import Plan, Unit, make_plan, steps_of, units
from lyncarr.core.session import OWN_EVENTS, Applied, FileReader, Session

RESTART_NOTE = "IIS restarts once after the change (iisreset /noforce), which drops the connections that it serves"
MAX_EVENTS_A_RUN = 20_000
"""The most events that a host may send in one run."""
INSTALL_DEADLINE_S = 45 * 60.0
WRITE_DEADLINE_S = 5 * 60.0
LOCK_WAIT_S = 90.0
LOCK_POLL_S = 2.0
MAX_NOTES = 1_000
MAX_NOTE_CHARS = 4_000
"""A host may send many notes, and long ones; the run keeps them until its end."""


class Listener(Protocol):
    """Receives events as they happen.

    `name` is an event of the contract, or one of: connecting, request and response (see Session), plan (`plan`, `notes`), step
    (`result`: a StepResult that is final for now), reconnecting (`cause`).
    """

    def event(self, host: str, name: str, data: Mapping[str, Any]) -> None: ...


@dataclass
class Run:
    """One run on one host.

    `open_shell` makes a new shell each time it is called. `site` is what the steps read. `confirm` gets the plan before the first
    write; None means that the answer is already yes. With `write` False the run is a plan: it takes no lock and writes nothing.
    `warnings` were found before any contact; they are notes of the result. `read_file` reads what Step.files names.
    """

    host: str
    stages: tuple[Stage, ...]
    site: Any
    open_shell: Callable[[], Shell]
    listener: Listener
    who: str
    write: bool
    confirm: Callable[[Plan, list[Note]], bool] | None = None
    interrupts: Interrupts = field(default_factory=Interrupts)
    plan_deadline_s: float = PLAN_DEADLINE_S
    read_file: FileReader | None = None
    warnings: tuple[str, ...] = ()
    sleep: Callable[[float], None] = waits.sleep

    def __post_init__(self) -> None:
        self._id = str(uuid.uuid4())
        self._events = 0
        self._computer: str | None = None
        self._notes: dict[Note, None] = {}
        self._backup: str | None = None
        self._hello: Mapping[str, Any] = {}
        self._plan: Plan | None = None
        self._results = {step.name: StepResult(step, "skipped") for step in steps_of(self.stages)}
        self._requests: Mapping[str, StepRequest] = {}
        self._wrote = False
        self._waited_s = 0.0
        """How long `confirm` took; it is not part of the run's duration."""

    def execute(self) -> HostResult:
        """Carry out the run. No error escapes: each becomes part of the result, an unforeseen one as FaultError."""
        begin = time.monotonic()
        error: LyncarrError | None = None
        word: HostWord
        try:
            try:
                word, code = self._execute()
            except LyncarrError as foreseen:
                error = foreseen
                word, code = word_of(foreseen), foreseen.exit_code
            except Exception as unforeseen:
                # The result must still report what was written before, and the name of the backup.
                error = FaultError(unforeseen)
                word, code = word_of(error), error.exit_code
            self.interrupts.end()
        except StopNow:
            self.interrupts.end()
            word, code, error = "interrupted", INTERRUPTED, None
        return HostResult(
            self.host,
            word,
            code,
            self._step_results(),
            [*(Note("warning", text) for text in self.warnings), *self._notes],
            self._backup,
            error,
            self._computer,
            self._plan,
            time.monotonic() - begin - self._waited_s,
        )

    def _step_results(self) -> list[StepResult]:
        results = list(self._results.values())
        if self._wrote:
            for result in results:
                if result.result == "pending":
                    result.result = "skipped"
        return results

    def _execute(self) -> tuple[HostWord, int]:
        confirm = self.confirm
        # Each step computes its desired state once per run.
        self._requests = {
            step.name: StepRequest(step.name, step.desired(self.site), step.parameters(self.site)) for step in steps_of(self.stages)
        }
        if self.write and confirm is None:
            return self._converge(None)
        with self._session() as session:
            shown = self._observe(session, self.stages, lock=False)
        plan = self._planned(shown)
        self.listener.event(self.host, "plan", {"plan": plan, "notes": list(self._notes)})
        if not plan.pending:
            return "in-place", IN_PLACE
        if plan.blocked:
            raise self._blocked(plan)
        if confirm is None:
            return "pending", PENDING
        self._refuse_install_before_reboot(plan)
        asked = time.monotonic()
        try:
            confirmed = confirm(plan, list(self._notes))
        finally:
            self._waited_s = time.monotonic() - asked
        if not confirmed:
            return "pending", PENDING
        return self._converge(shown)

    def _converge(self, shown: Mapping[str, State] | None) -> tuple[HostWord, int]:
        """Write what differs, under the lock. `shown` are the states behind the plan that was confirmed, None without a question."""
        remaining = self.stages
        with ExitStack() as stack:
            session = stack.enter_context(self._session())
            self._notes.clear()
            observed = self._observe(session, self.stages, lock=True)
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
                    reboot = self._apply(session, unit)
                    if reboot:
                        return self._stopped_for_reboot(unit)
                    if self.interrupts.requested:
                        return "interrupted", INTERRUPTED
                if due and stage.fresh_shell_after and remaining:
                    session.close()
                    plan = self._planned(self._observe_anew(session, remaining, (BusyError,)), remaining)
                    if plan.blocked:
                        raise self._blocked(plan)
        return "applied", IN_PLACE

    def _planned(self, observed: Mapping[str, State], stages: tuple[Stage, ...] | None = None) -> Plan:
        desired = {name: request.desired for name, request in self._requests.items()}
        plan = make_plan(steps_of(stages or self.stages), desired, observed)
        for entry in plan.steps:
            result = self._results[entry.step.name]
            result.changes = entry.changes
            result.result = "pending" if entry.changes else "in-place"
        if plan.restarts_iis:
            self._note(Note("restart", RESTART_NOTE))
        if stages is None:
            self._plan = plan
        return plan

    def _blocked(self, plan: Plan) -> StepFailedError:
        entry = next(entry for entry in plan.steps if entry.blocked)
        step, change = entry.step, entry.blocked[0]
        items = change.before if isinstance(change.before, tuple) else ()
        # A note may also name a rule that only takes some requests: only the items of the blocked change count.
        note = next((note for note in self._notes if note.step == step.name and note.item in items), None)
        text = note.text if note else f"lyncarr cannot fix {change.attribute} of {change.item}"
        error = StepFailedError(
            f"Step {step.name}: {text}.",
            hint=f"Disable that rule, narrow it, or move it below the rules of lyncarr on {self.host}. Then run the command again.",
            step=step.name,
            kind="foreign",
        )
        result = self._results[step.name]
        result.result, result.error = "failed", Failure("foreign", error.message, error.hint)
        return error

    def _refuse_install_before_reboot(self, plan: Plan) -> None:
        installs = [step.name for stage in self.stages if stage.may_reboot for step in stage.steps if plan.of(step).changes]
        if self._hello.get("pending_reboot") and installs:
            reasons = [
                note.text for note in self._notes if note.kind == "pending-reboot" and note.step is None and note != self._restart_due
            ]
            because = f" ({'; '.join(reasons)})" if reasons else ""
            raise RefusedError(
                f"{self._computer} has a pending restart{because}, and step {installs[0]} must not install before that.",
                hint=f"Restart {self.host}, then run the command again.",
            )

    @property
    def _restart_due(self) -> Note:
        return Note("pending-reboot", f"{self._computer} has a pending restart; lyncarr installs nothing before that")

    def _stopped_for_reboot(self, unit: Unit) -> tuple[HostWord, int]:
        self._results[unit.steps[-1].name].result = "reboot-needed"
        return "reboot-needed", REBOOT

    def _apply(self, session: Session, unit: Unit) -> bool:
        """Write one unit and record what is observed after it; True where the host must restart first."""
        with self.interrupts.writing():
            self._wrote = True
            for step in unit.steps:
                self._results[step.name].result = "unknown"
            try:
                applied = self._send(session, unit)
            except LostConnectionError as lost:
                self._record_results(unit, self._observe_after_loss(session, unit, lost), lost=lost)
                # The lost answer may have asked for a restart. No restart was pending before: such a host is refused an install.
                return unit.stage.may_reboot and bool(self._hello["pending_reboot"])
            except (StepFailedError, UnfitError) as error:
                self._record_failure(unit, error)
                raise
            if not applied.reboot:
                self._record_results(unit, applied.states)
            else:
                for step in unit.steps:
                    self._finish_step(step, "applied")
            return applied.reboot

    def _send(self, session: Session, unit: Unit) -> Applied:
        """Upload the files of one unit, then apply it."""
        deadline = Deadline(INSTALL_DEADLINE_S if unit.stage.may_reboot else WRITE_DEADLINE_S)
        secrets: dict[str, Secret] = {}
        for step in unit.steps:
            secrets.update(step.secrets(self.site, self._hello["build"]))
            drifted = frozenset(change.item for change in self._results[step.name].changes)
            for name, file in step.files(self.site, drifted).items():
                if self.read_file is None:
                    raise AssertionError("a step has a file, but this run has no reader for files")
                session.upload(step.name, name, file, self.read_file, deadline=deadline)
        requests = tuple(self._requests[step.name] for step in unit.steps)
        return session.apply(requests, deadline=deadline, secrets=secrets)

    def _record_results(self, unit: Unit, observed: Mapping[str, State], lost: LostConnectionError | None = None) -> None:
        """Set the results of the unit by what was observed after the write; raise the first error.

        `lost` is why the answer did not arrive: then it, and not the step, is the cause of a write that did not happen.
        """
        failure: LyncarrError | None = None
        for step in unit.steps:
            result = self._results[step.name]
            left = diff(observed[step.name], self._requests[step.name].desired)
            if left:
                error = not_in_place(step, left[0]) if lost is None else not_done(step, lost)
                self._finish_step(step, "failed", Failure.of(error))
                failure = failure or error
            else:
                self._finish_step(step, "applied" if result.changes else "in-place")
        if failure:
            raise failure

    def _record_failure(self, unit: Unit, error: StepFailedError | UnfitError) -> None:
        """Set the results of a unit that the host gave up; nothing of it was committed, unless only the restart failed."""
        written = isinstance(error, StepFailedError) and error.kind == "restart"
        for step in unit.steps:
            if step.name == error.step or (error.step is None and step is unit.steps[0]):
                self._finish_step(step, "failed", Failure.of(error))
            else:
                changes = self._results[step.name].changes
                self._finish_step(step, "in-place" if not changes else "unknown" if written else "skipped")

    def _finish_step(self, step: Step, word: StepWord, error: Failure | None = None) -> None:
        result = self._results[step.name]
        result.result, result.error = word, error
        self.listener.event(self.host, "step", {"result": result})

    def _observe_after_loss(self, session: Session, unit: Unit, lost: LostConnectionError) -> Mapping[str, State]:
        """The write is not sent again: wait until the old shell has released the lock, then observe the result."""
        self.listener.event(self.host, "reconnecting", {"cause": str(lost)})
        session.close()
        try:
            return self._observe_anew(session, (Stage(unit.stage.name, unit.steps),), (BusyError, UnreachableError))
        except (BusyError, UnreachableError) as error:
            raise lost from error

    def _observe_anew(self, session: Session, stages: tuple[Stage, ...], waited: tuple[type[LyncarrError], ...]) -> Mapping[str, State]:
        """Open a new shell and observe under the lock, which the shell before it may hold for a while after its end.

        Errors of the kinds `waited` are tried again until LOCK_WAIT_S is over.
        """
        end = Deadline(LOCK_WAIT_S)
        while True:
            try:
                session.open()
                return self._observe(session, stages, lock=True)
            except waited:
                session.close()
                if end.passed:
                    raise
                self.sleep(LOCK_POLL_S)

    def _session(self) -> Session:
        return Session(self.open_shell, host=self.host, run=self._id, who=self.who, on_event=self._on_event)

    def _observe(self, session: Session, stages: tuple[Stage, ...], *, lock: bool) -> Mapping[str, State]:
        requests = tuple(self._requests[step.name] for step in steps_of(stages))
        return session.observe(requests, lock=lock, deadline=Deadline(self.plan_deadline_s))

    def _note(self, note: Note) -> None:
        if note not in self._notes and len(self._notes) >= MAX_NOTES:
            raise ProtocolError(f"{self.host} sent more than {MAX_NOTES} notes in one run; the run ends here.")
        self._notes[note] = None

    def _on_event(self, event: Event) -> None:
        """Take one event of any shell of this run; raises what it means."""
        # The session's own events do not count: a package of 2 GB is sent in more than 9,000 requests.
        self._events += event.name not in OWN_EVENTS
        if self._events > MAX_EVENTS_A_RUN:
            raise ProtocolError(f"{self.host} sent more than {MAX_EVENTS_A_RUN} events in one run; the run ends here.")
        if event.name == "hello":
            self._greet(event.data)
        elif event.name == "note" and event.data["kind"] == "backup":
            # Kept as soon as the host reports it: a unit that fails afterwards answers without it.
            self._keep_backup(event.data["text"])
        elif event.name == "note":
            data = event.data
            self._note(Note(data["kind"], data["text"][:MAX_NOTE_CHARS], data["step"], data["item"]))
        elif event.name == "applied" and event.data["backup"] is not None:
            self._keep_backup(event.data["backup"])
        self.listener.event(self.host, event.name, event.data)

    def _keep_backup(self, name: str) -> None:
        if name != f"lyncarr-{self._id}":
            raise ProtocolError(f"{self.host} named a configuration backup that does not belong to this run; the run ends here.")
        self._backup = name

    def _greet(self, hello: Mapping[str, Any]) -> None:
        if self._computer not in (None, hello["computer"]):
            raise ProtocolError(
                f"{self.host} was the computer {self._computer} and is now {hello['computer']}; the run ends here.",
                hint="Check the address of the host.",
            )
        self._computer = hello["computer"]
        self._hello = hello
        fitness.check(hello)
        if hello["pending_reboot"]:
            self._note(self._restart_due)
