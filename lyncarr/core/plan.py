"""Selection, plan and results as plain data. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from lyncarr.core.diff import diff
from lyncarr.core.errors import LyncarrError, UsageError
from lyncarr.core.model import Change, Stage, State, Step

StepWord: TypeAlias = Literal["in-place", "pending", "applied", "failed", "skipped", "unknown", "reboot-needed"]
HostWord: TypeAlias = Literal[
    "in-place",
    "pending",
    "applied",
    "failed",
    "changed",
    "reboot-needed",
    "busy",
    "refused",
    "unreachable",
    "untrusted",
    "interrupted",
    "fault",
]


@dataclass(frozen=True)
class Note:
    """Something a person should know that is no drift. `kind` is a word of the contract, `step` None for the host as a whole."""

    kind: str
    text: str
    step: str | None = None


@dataclass
class StepResult:
    """What became of one step. `error` is (code, sentence)."""

    step: Step
    result: StepWord
    changes: tuple[Change, ...] = ()
    error: tuple[str, str] | None = None


@dataclass
class HostResult:
    """What became of one host; the shape behind `--output json`. `backup` is the name of the configuration backup on the host."""

    host: str
    result: HostWord
    exit_code: int
    steps: list[StepResult] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    backup: str | None = None
    error: LyncarrError | None = None
    computer: str | None = None


def select(runbook: tuple[Stage, ...], names: Iterable[str] = ()) -> tuple[Stage, ...]:
    """The stages reduced to the steps named, with the rest of their units; all where nothing is named.

    Raises UsageError with the nearest name for a step that does not exist.
    """
    wanted = list(names)
    if not wanted:
        return runbook
    known = {step.name: step for stage in runbook for step in stage.steps}
    for name in wanted:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1, cutoff=0.5)
            hint = f"did you mean '{near[0]}'?" if near else "lyncarr steps lists them."
            raise UsageError(f"There is no step '{name}'; {hint}")
    units = {known[name].unit for name in wanted} - {None}
    stages = []
    for stage in runbook:
        steps = tuple(step for step in stage.steps if step.name in wanted or step.unit in units)
        if steps:
            stages.append(
                Stage(
                    stage.name,
                    steps,
                    transaction=stage.transaction,
                    fresh_shell_after=stage.fresh_shell_after,
                    may_reboot=stage.may_reboot,
                )
            )
    return tuple(stages)


def steps_of(stages: tuple[Stage, ...]) -> tuple[Step, ...]:
    return tuple(step for stage in stages for step in stage.steps)


@dataclass(frozen=True)
class StepPlan:
    """What one step would change. `blocked` are the changes that applying cannot make."""

    step: Step
    desired: State
    changes: tuple[Change, ...]

    @property
    def blocked(self) -> tuple[Change, ...]:
        return tuple(change for change in self.changes if (change.item, change.attribute) in self.step.unmendable)


@dataclass(frozen=True)
class Plan:
    """The difference of one host to the site file, step by step in the runbook's order."""

    steps: tuple[StepPlan, ...]

    @property
    def pending(self) -> bool:
        return any(step.changes for step in self.steps)

    @property
    def blocked(self) -> bool:
        return any(step.blocked for step in self.steps)

    @property
    def restarts_iis(self) -> bool:
        return any(plan.changes and plan.step.restarts_iis for plan in self.steps)

    def of(self, step: Step) -> StepPlan:
        return next(plan for plan in self.steps if plan.step.name == step.name)


def make_plan(stages: tuple[Stage, ...], site: Any, observed: Mapping[str, State]) -> Plan:
    """Compare `observed` (by step name) with what `site` wants of each step of `stages`."""
    plans = []
    for step in steps_of(stages):
        desired = step.desired(site)
        plans.append(StepPlan(step, desired, diff(observed[step.name], desired)))
    return Plan(tuple(plans))


@dataclass(frozen=True)
class Unit:
    """Steps that go to the host in one apply request."""

    stage: Stage
    steps: tuple[Step, ...]


def units(stage: Stage, plan: Plan) -> list[Unit]:
    """The units of one stage that have drift: all drifted steps of a transaction together, else one step each."""
    drifted = [step for step in stage.steps if plan.of(step).changes]
    if not drifted:
        return []
    if not stage.transaction:
        return [Unit(stage, (step,)) for step in drifted]
    words = {step.unit for step in drifted} - {None}
    return [Unit(stage, tuple(step for step in stage.steps if step in drifted or step.unit in words))]
