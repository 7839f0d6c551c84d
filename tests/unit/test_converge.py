"""The run against a host made of plain data: what is sent, in which order, and what each outcome is called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from lyncarr.core.converge import Run
from lyncarr.core.errors import FaultError, LostConnectionError, UnreachableError
from lyncarr.core.interrupts import Interrupts, StopNow
from lyncarr.core.model import Deadline, Event, Request, Secret, Stage, State, Step
from lyncarr.core.outcome import HostResult, Note
from lyncarr.core.plan import Plan, select
from lyncarr.core.session import failure

HELLO = {
    "protocol": 1,
    "computer": "RP01",
    "os": "Windows Server 2012 R2",
    "build": 9600,
    "powershell": "4.0",
    "bits": 64,
    "elevated": True,
    "booted": "2026-01-01T00:00:00Z",
    "pending_reboot": False,
    "shared_configuration": False,
}


class Plain(Step):
    title = reason = source = sets = never_touches = fails = snippet = noun = "x"

    def __init__(self, name: str, want: State, unit: str | None = None) -> None:
        self.name, self._want, self.unit = name, want, unit

    def desired(self, site: Any) -> State:
        return self._want


class Disk:
    """What is on the simulated host, and all that was asked of it."""

    def __init__(self, states: Mapping[str, State]) -> None:
        self.states: dict[str, State] = dict(states)
        self.log: list[str] = []
        self.hello: dict[str, Any] = dict(HELLO)
        self.refuse: dict[str, tuple[str, str]] = {}
        self.lose_after: set[str] = set()
        self.lie: set[str] = set()
        self.reboot_after: set[str] = set()
        self.on_apply: Callable[[str], None] = lambda name: None
        self.busy_looks = 0
        self.backup_first: str | None = None
        self.notes: list[Note] = []
        self.many_notes = 0


class FakeShell:
    def __init__(self, disk: Disk) -> None:
        self.disk = disk
        self.first = True

    def __enter__(self) -> FakeShell:
        self.disk.log.append("open")
        return self

    def __exit__(self, *exc: object) -> None:
        self.disk.log.append("close")

    def interrupt(self) -> None:
        self.disk.log.append("interrupt")

    def request(
        self,
        request: Request,
        on_event: Callable[[Event], None],
        deadline: Deadline,
        secrets: Mapping[str, Secret] = {},
    ) -> None:
        disk, names = self.disk, [step.name for step in request.steps]
        disk.log.append(f"{request.operation}{'+lock' if request.lock else ''}:{','.join(names)}")
        if self.first:
            on_event(Event("hello", {**disk.hello, "run": request.run}))
            self.first = False
        if request.lock and disk.busy_looks:
            disk.busy_looks -= 1
            on_event(Event("failed", {"step": None, "kind": "busy", "text": "held by x since y", "hint": ""}))
            return
        if request.operation == "observe":
            for note in disk.notes:
                on_event(Event("note", {"step": note.step, "kind": note.kind, "text": note.text, "item": note.item}))
            for number in range(disk.many_notes):
                on_event(Event("note", {"step": None, "kind": "version", "text": f"note {number}", "item": None}))
            on_event(Event("observed", {"steps": {name: disk.states.get(name, {}) for name in names}}))
            return
        for step in request.steps:
            disk.on_apply(step.name)
            if disk.backup_first:
                text = disk.backup_first.replace("RUN", request.run)
                on_event(Event("note", {"step": step.name, "kind": "backup", "item": None, "text": text}))
            if step.name in disk.refuse:
                kind, text = disk.refuse[step.name]
                on_event(Event("failed", {"step": step.name, "kind": kind, "text": text, "hint": ""}))
                return
            if step.name not in disk.lie:
                disk.states[step.name] = {**disk.states.get(step.name, {}), **step.desired}
        if set(names) & disk.lose_after:
            raise LostConnectionError("lost")
        reboot = bool(set(names) & disk.reboot_after)
        on_event(
            Event(
                "applied",
                {"steps": {name: disk.states.get(name, {}) for name in names}, "backup": f"lyncarr-{request.run}", "reboot": reboot},
            )
        )


class Heard:
    def __init__(self) -> None:
        self.names: list[str] = []
        self.progress: list[tuple[str, int | None]] = []

    def event(self, host: str, name: str, data: Mapping[str, Any]) -> None:
        self.names.append(name)
        if name == "progress":
            self.progress.append((data["text"], data["percent"]))


A = Plain("a", {"i": {"x": 1}})
B = Plain("b", {"i": {"x": 2}})
C = Plain("c", {"i": {"x": 3}}, unit="u")
D = Plain("d", {"i": {"x": 4}}, unit="u")
STAGES = (Stage("one", (A, B), may_reboot=True, fresh_shell_after=True), Stage("two", (C, D), transaction=True))
DONE: dict[str, State] = {s.name: s.desired(None) for s in (A, B, C, D)}


def run(disk: Disk, *, write: bool = True, stages: tuple[Stage, ...] = STAGES, **more: Any) -> HostResult:
    def opened() -> FakeShell:
        return FakeShell(disk)

    more.setdefault("listener", Heard())
    return Run(host="rp01", stages=stages, site=None, open_shell=opened, who="me", write=write, sleep=lambda s: None, **more).execute()


def words(result: HostResult) -> dict[str, str]:
    return {one.step.name: one.result for one in result.steps}


def test_a_plan_takes_no_lock_and_writes_nothing() -> None:
    disk = Disk({})
    result = run(disk, write=False)
    assert (result.result, result.exit_code) == ("pending", 2)
    assert disk.log == ["open", "observe:a,b,c,d", "close"]
    assert words(result) == dict.fromkeys("abcd", "pending")


def test_nothing_to_do_is_one_shell_and_one_request() -> None:
    disk = Disk(DONE)
    result = run(disk)
    assert (result.result, result.exit_code) == ("in-place", 0)
    assert disk.log == ["open", "observe+lock:a,b,c,d", "close"]


def test_a_whole_run_with_a_fresh_shell_after_the_install() -> None:
    disk = Disk({})
    result = run(disk)
    assert (result.result, result.exit_code) == ("applied", 0)
    assert disk.log == [
        "open",
        "observe+lock:a,b,c,d",
        "apply+lock:a",
        "apply+lock:b",
        "close",
        "open",
        "observe+lock:c,d",
        "apply+lock:c,d",
        "close",
    ]
    assert words(result) == dict.fromkeys("abcd", "applied")
    assert result.backup is not None


def test_only_what_drifted_is_sent_but_a_unit_goes_whole() -> None:
    disk = Disk({**DONE, "d": {"i": {"x": 0}}})
    result = run(disk)
    assert "apply+lock:c,d" in disk.log
    assert words(result) == {"a": "in-place", "b": "in-place", "c": "in-place", "d": "applied"}


def test_a_question_is_asked_with_no_shell_open_and_no_means_nothing_written() -> None:
    disk = Disk({})

    def ask(plan: Plan, notes: list[Note]) -> bool:
        disk.log.append("ask")
        return False

    result = run(disk, confirm=ask)
    assert (result.result, result.exit_code) == ("pending", 2)
    assert disk.log == ["open", "observe:a,b,c,d", "close", "ask"]


def test_a_yes_is_for_the_plan_that_was_shown() -> None:
    disk = Disk({})

    def ask(plan: Plan, notes: list[Note]) -> bool:
        disk.states["b"] = DONE["b"]
        return True

    result = run(disk, confirm=ask)
    assert (result.result, result.exit_code) == ("changed", 2)
    assert not [line for line in disk.log if line.startswith("apply")]
    assert words(result)["b"] == "in-place", "the new plan is shown"


def test_a_failing_step_stops_the_run_and_the_next_run_goes_on() -> None:
    disk = Disk({})
    disk.refuse["b"] = ("installer", "no")
    result = run(disk)
    assert (result.result, result.exit_code) == ("failed", 1)
    assert words(result) == {"a": "applied", "b": "failed", "c": "skipped", "d": "skipped"}
    assert result.steps[1].error is not None
    disk.refuse.clear()
    disk.log.clear()
    assert run(disk).result == "applied"
    assert "apply+lock:a" not in disk.log


def test_a_restart_that_failed_does_not_say_that_nothing_was_written() -> None:
    disk = Disk(DONE | {"c": {}, "d": {}})
    disk.refuse["d"] = ("restart", "the configuration is written, but iisreset failed")
    result = run(disk)
    assert (result.result, result.exit_code) == ("failed", 1)
    assert words(result)["c"] == "unknown"
    assert words(result)["d"] == "failed"


def test_a_step_for_which_the_host_is_not_fit_has_failed_and_is_refused() -> None:
    disk = Disk({})
    disk.refuse["a"] = ("unfit", "no roles here")
    result = run(disk)
    assert (result.result, result.exit_code) == ("refused", 77)
    assert words(result) == {"a": "failed", "b": "skipped", "c": "skipped", "d": "skipped"}


def test_a_lost_answer_that_asked_for_a_restart_is_found_out() -> None:
    disk = Disk({})
    disk.lose_after.add("a")
    disk.on_apply = lambda name: disk.hello.update(pending_reboot=True)
    result = run(disk)
    assert (result.result, result.exit_code) == ("reboot-needed", 3)
    assert words(result)["b"] == "skipped"


def test_a_backup_is_known_even_where_the_write_fails() -> None:
    disk = Disk({})
    disk.refuse["a"] = ("binding", "no")
    disk.backup_first = "lyncarr-RUN"
    result = run(disk)
    assert (result.exit_code, result.backup is not None, result.notes) == (1, True, [])
    disk.backup_first = "another"
    assert run(disk).exit_code == 76


def test_a_step_without_changes_stays_in_place_when_its_unit_fails() -> None:
    disk = Disk({**DONE, "d": {}})
    disk.refuse["d"] = ("error", "no")
    assert words(run(disk)) == {"a": "in-place", "b": "in-place", "c": "in-place", "d": "failed"}


def test_a_step_that_is_not_in_place_when_looked_at_again_has_failed() -> None:
    disk = Disk(DONE | {"c": {}, "d": {}})
    disk.lie.add("d")
    result = run(disk)
    assert (result.result, result.exit_code) == ("failed", 1)
    assert words(result)["c"] == "applied"
    assert words(result)["d"] == "failed"
    assert result.error is not None
    assert result.error.hint.endswith("run lyncarr plan with --step d.")


def test_a_needed_reboot_ends_the_run() -> None:
    disk = Disk({})
    disk.reboot_after.add("a")
    result = run(disk)
    assert (result.result, result.exit_code) == ("reboot-needed", 3)
    assert words(result) == {"a": "reboot-needed", "b": "skipped", "c": "skipped", "d": "skipped"}


@pytest.mark.parametrize("pending", [True, False])
def test_an_install_on_a_host_that_waits_for_a_restart_is_refused(pending: bool) -> None:
    disk = Disk({} if pending else {**DONE, "c": {}})
    disk.hello["pending_reboot"] = True
    result = run(disk)
    assert result.exit_code == (77 if pending else 0)
    assert any(note.kind == "pending-reboot" for note in result.notes)


def test_a_refused_install_tells_what_the_restart_is_for() -> None:
    disk = Disk({})
    disk.hello["pending_reboot"] = True
    disk.notes = [Note("pending-reboot", "Windows Update waits for a restart"), Note("pending-reboot", "files wait", "a")]
    (error,) = [run(disk).error]
    assert str(error).startswith(
        "RP01 has a pending restart (Windows Update waits for a restart), and step a must not install before that."
    )


@pytest.mark.parametrize(
    ("member", "value"), [("bits", 32), ("build", 9200), ("powershell", "3.0"), ("elevated", False), ("shared_configuration", True)]
)
def test_a_host_that_is_not_fit_is_refused_with_its_own_sentence(member: str, value: object) -> None:
    disk = Disk({})
    disk.hello[member] = value
    result = run(disk)
    assert (result.result, result.exit_code) == ("refused", 77)
    assert not [line for line in disk.log if line.startswith("apply")]


def test_a_busy_host() -> None:
    disk = Disk({})
    disk.busy_looks = 1
    result = run(disk)
    assert (result.result, result.exit_code) == ("busy", 75)
    assert "held by x since y" in str(result.error)


def test_an_unreachable_host() -> None:
    def opened() -> FakeShell:
        raise UnreachableError("nobody there")

    result = Run(host="rp01", stages=STAGES, site=None, open_shell=opened, listener=Heard(), who="me", write=True).execute()
    assert (result.result, result.exit_code) == ("unreachable", 69)


def test_a_lost_answer_is_looked_for_and_the_write_is_not_sent_again() -> None:
    disk = Disk(DONE | {"c": {}, "d": {}})
    disk.lose_after.add("c")
    disk.busy_looks = 0
    result = run(disk)
    assert (result.result, result.exit_code) == ("applied", 0)
    assert disk.log.count("apply+lock:c,d") == 1
    assert disk.log[-2:] == ["observe+lock:c,d", "close"]


def test_after_a_loss_the_lock_is_waited_for() -> None:
    disk = Disk(DONE | {"c": {}, "d": {}})
    disk.lose_after.add("c")
    disk.on_apply = lambda name: setattr(disk, "busy_looks", 2)
    assert run(disk).exit_code == 0
    assert disk.log.count("observe+lock:c,d") == 3


def test_a_write_that_was_lost_and_not_done_is_the_fault_of_the_connection() -> None:
    disk = Disk(DONE | {"c": {}, "d": {}})
    disk.lose_after.add("c")
    disk.lie |= {"c", "d"}
    result = run(disk)
    assert (result.result, result.exit_code) == ("unreachable", 69)
    assert words(result)["c"] == "failed"
    assert "lost while step c was being applied" in str(result.error)
    assert disk.log.count("apply+lock:c,d") == 1


def test_the_lock_of_the_shell_before_is_waited_for_after_an_install() -> None:
    disk = Disk({})
    disk.on_apply = lambda name: setattr(disk, "busy_looks", 2 if name == "b" else 0)
    result = run(disk)
    assert (result.result, result.exit_code) == ("applied", 0)
    assert disk.log.count("observe+lock:c,d") == 3


def test_a_plan_that_still_holds_after_the_question_is_not_shown_again() -> None:
    heard = Heard()
    result = run(Disk({}), confirm=lambda plan, notes: True, listener=heard)
    assert result.result == "applied"
    assert heard.names.count("plan") == 1


def test_a_press_while_the_outcome_of_a_unit_is_judged_does_not_make_it_unknown() -> None:
    interrupts, disk = Interrupts(), Disk({})

    class Pressing(Heard):
        def event(self, host: str, name: str, data: Mapping[str, Any]) -> None:
            if name == "step" and not interrupts.requested:
                assert interrupts.pressed(), "a step is judged while its unit counts as being written"

    result = run(disk, stages=(Stage("one", (A, B)),), interrupts=interrupts, listener=Pressing())
    assert result.exit_code == 130
    assert words(result) == {"a": "applied", "b": "skipped"}


def test_each_step_computes_its_desired_state_once_a_run() -> None:
    calls: list[str] = []

    class Counting(Plain):
        def desired(self, site: Any) -> State:
            calls.append(self.name)
            return super().desired(site)

    result = run(
        Disk({}), stages=(Stage("one", (Counting("a", {"i": {"x": 1}}), Counting("b", {"i": {"x": 2}}))),), confirm=lambda *_: True
    )
    assert result.result == "applied"
    assert calls == ["a", "b"]
    assert result.plan is not None
    assert [(entry.observed, entry.desired) for entry in result.plan.steps] == [({}, {"i": {"x": 1}}), ({}, {"i": {"x": 2}})]


def test_more_notes_than_anybody_reads_end_the_run() -> None:
    disk = Disk({})
    disk.many_notes = 1_001
    result = run(disk, write=False)
    assert (result.result, result.exit_code) == ("untrusted", 76)


def test_ctrl_c_once_finishes_the_unit_and_sends_no_other() -> None:
    disk, interrupts = Disk({}), Interrupts()
    disk.on_apply = lambda name: interrupts.pressed()
    result = run(disk, interrupts=interrupts)
    assert (result.result, result.exit_code) == ("interrupted", 130)
    assert words(result) == {"a": "applied", "b": "skipped", "c": "skipped", "d": "skipped"}
    assert "interrupt" not in disk.log


def test_ctrl_c_twice_stops_the_pipeline_and_calls_the_unit_unknown() -> None:
    disk, interrupts = Disk({}), Interrupts()

    def twice(name: str) -> None:
        interrupts.pressed()
        interrupts.pressed()

    disk.on_apply = twice
    result = run(disk, interrupts=interrupts)
    assert (result.result, result.exit_code) == ("interrupted", 130)
    assert words(result)["a"] == "unknown"
    assert disk.log[-2:] == ["interrupt", "close"]


@pytest.mark.parametrize("answer", [True, False, StopNow()])
def test_the_time_of_the_question_is_not_part_of_the_duration(answer: bool | StopNow, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("lyncarr.core.converge.time", SimpleNamespace(monotonic=lambda: clock[0]))

    def confirm(plan: Plan, notes: list[Note]) -> bool:
        clock[0] += 600
        if isinstance(answer, StopNow):
            raise answer
        return answer

    disk = Disk({})
    disk.on_apply = lambda name: clock.__setitem__(0, clock[0] + 1)
    result = run(disk, confirm=confirm)
    assert (result.result, result.elapsed_s) == (("applied", 4) if answer is True else ("interrupted" if answer else "pending", 0))


def test_another_computer_in_the_same_run_is_not_trusted() -> None:
    disk = Disk({})
    disk.on_apply = lambda name: disk.hello.update(computer="OTHER")
    result = run(disk)
    assert (result.result, result.exit_code) == ("untrusted", 76)


def test_drift_that_cannot_be_mended_fails_before_anything_is_written() -> None:
    blocked = Plain("c", {"rules": {"taken_by": ()}})
    blocked.unfixable = frozenset({("rules", "taken_by")})
    disk = Disk({"c": {"rules": {"taken_by": ("Old rule",)}}})
    disk.notes = [
        Note("foreign-rule", "the global rule 'Health' may take requests", "c", "Health"),
        Note("foreign-rule", "the global rule 'Old rule' precedes ours", "c", "Old rule"),
    ]
    for write in (False, True):
        result = run(disk, write=write, stages=(Stage("two", (blocked,)),))
        assert (result.result, result.exit_code) == ("failed", 1)
        assert "Old rule" in str(result.error)
    assert not [line for line in disk.log if line.startswith("apply")]


def test_selecting_one_step_of_a_unit_selects_the_unit_and_nothing_else() -> None:
    assert [s.name for stage in select(STAGES, ["d"]) for s in stage.steps] == ["c", "d"]
    assert [s.name for stage in select(STAGES, ["b"]) for s in stage.steps] == ["b"]


@dataclass
class Package:
    name: str
    size: int


class WithPackage(Plain):
    def files(self, site: Any, items: frozenset[str]) -> Mapping[str, Any]:
        return {"package": Package("arr.msi", 1000)}


def test_a_package_on_its_way_is_told_by_the_tenth() -> None:
    heard, stage = Heard(), Stage("one", (WithPackage("a", {"i": {"x": 1}}),), may_reboot=True)
    disk = Disk({})
    result = run(disk, stages=(stage,), listener=heard, read_file=lambda file: ((offset, "") for offset in range(0, file.size, 45)))
    assert result.result == "applied"
    assert disk.log.count("upload+lock:") == 23
    assert heard.progress == [("sending arr.msi", percent) for percent in (0, 13, 27, 40, 54, 67, 81, 94)]


def test_the_largest_package_is_sent_and_a_host_that_sends_as_many_events_is_not_believed() -> None:
    pieces, stage = 2 * 1024**3 // 225_000 + 1, Stage("one", (WithPackage("a", {"i": {"x": 1}}),), may_reboot=True)
    assert run(Disk({}), stages=(stage,), read_file=lambda file: ((0, "") for _ in range(pieces))).result == "applied"
    flood = Disk({})
    flood.notes = [Note("version", "URL Rewrite 2.1")] * 20_001
    result = run(flood, write=False)
    assert (result.result, result.exit_code) == ("untrusted", 76)
    assert "20000 events" in str(result.error)


@pytest.mark.parametrize(
    ("kind", "text"), [("denied", "access is denied"), ("unfit", "no such role"), ("needs", "step iis must come first")]
)
def test_the_message_of_a_failure_ends_with_one_full_stop(kind: str, text: str) -> None:
    for written in (text, f"{text}."):
        message = failure({"kind": kind, "text": written, "step": None, "hint": ""}, "rp01").message
        assert message.endswith(f"{text}.")


@pytest.mark.parametrize(("operation", "step_words"), [("observe", ["skipped", "skipped"]), ("apply", ["applied", "unknown"])])
def test_a_fault_of_ours_is_a_result_too(operation: str, step_words: list[str]) -> None:
    def broken(name: str) -> None:
        if name == "b":
            raise KeyError(name)

    disk = Disk({})
    disk.on_apply = broken
    if operation == "observe":
        no_state: Any = None
        disk.states = {"a": no_state}
    result = run(disk, stages=(Stage("one", (A, B)),))
    assert (result.result, result.exit_code) == ("fault", 70)
    assert list(words(result).values()) == step_words
    assert (result.backup is not None) == (operation == "apply")
    assert isinstance(result.error, FaultError)
    assert str(result.error).startswith("lyncarr failed with an internal error (")
    assert disk.log[-1] == "close"
