"""The selection of steps, and the plan: what differs on one host, step by step. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lyncarr.core.diff import diff
from lyncarr.core.errors import UsageError
from lyncarr.core.model import Change, Stage, State, Step
from lyncarr.core.text import quoted


def select(stages: tuple[Stage, ...], names: Iterable[str] = ()) -> tuple[Stage, ...]:
    """The stages with only the named steps and the other steps of their units. Without names: all stages.

    Raises UsageError with the nearest name for a step that does not exist.
    """
    selected = list(names)
    if not selected:
        return stages
    known = {step.name: step for stage in stages for step in stage.steps}
    for name in selected:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1, cutoff=0.5)
            hint = f"Did you mean '{near[0]}'?" if near else "To list all steps, run lyncarr steps."
            raise UsageError(f"Unknown step {quoted(name)}.", hint=hint)
    units = {known[name].unit for name in selected} - {None}
    reduced = []
    for stage in stages:
        steps = tuple(step for step in stage.steps if step.name in selected or step.unit in units)
        if steps:
            reduced.append(
                Stage(
                    stage.name,
                    steps,
                    transaction=stage.transaction,
                    fresh_shell_after=stage.fresh_shell_after,
                    may_reboot=stage.may_reboot,
                )
            )
    return tuple(reduced)


def steps_of(stages: tuple[Stage, ...]) -> tuple[Step, ...]:
    return tuple(step for stage in stages for step in stage.steps)


@dataclass(frozen=True)
class StepPlan:
    """What one step would change: the difference between the `observed` and the `desired` state."""

    step: Step
    observed: State
    desired: State
    changes: tuple[Change, ...]

    @property
    def blocked(self) -> tuple[Change, ...]:
        """The changes that lyncarr cannot apply."""
        return tuple(change for change in self.changes if (change.item, change.attribute) in self.step.unfixable)


@dataclass(frozen=True)
class Plan:
    """The difference between one host and the configuration file, in the order of the steps."""

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


def make_plan(steps: Iterable[Step], desired: Mapping[str, State], observed: Mapping[str, State]) -> Plan:
    """Compare the two states of each of `steps`; both mappings are by step name."""
    return Plan(
        tuple(StepPlan(step, observed[step.name], desired[step.name], diff(observed[step.name], desired[step.name])) for step in steps)
    )


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
