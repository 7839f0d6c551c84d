"""A plan as rows for people, step by step; similar new items are folded into one row. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import Any

from lyncarr.core.model import Change
from lyncarr.core.plan import Plan, StepPlan
from lyncarr.core.text import safe
from lyncarr.report.text import ADD, CHANGE_INDENT, HEADING, HEADING_INDENT, UNCHANGED, Row, change_rows, counted

STEP_CHARS = 16
FEWEST_FOLDED = 3
MAX_FOLDED_CHARS = 100
"""A folded row counts its names, and lists them all where they are not longer than this."""
MAX_SAMPLE_CHARS = 60
"""Where they are longer, the row lists the first of them up to this length."""


def summary(plan: Plan) -> str:
    """The last line of a plan with changes: `Plan: 39 changes in 10 steps. IIS restarts once.`"""
    changed = [step for step in plan.steps if step.changes]
    restart = " IIS restarts once." if plan.restarts_iis else ""
    return f"Plan: {counted(sum(len(step.changes) for step in changed), 'change')} in {counted(len(changed), 'step')}.{restart}"


def rows_by_step(plan: Plan, owner_of: Mapping[str, str], *, full: bool) -> Iterator[Row]:
    """Every step in order, and its changes below it. `owner_of` has the published name that an item belongs to.

    Three or more new items of a step that differ in nothing but their published name become two rows: the first item, and the names
    of the others. Changed and removed items are never folded. With `full` nothing is.
    """
    for step in plan.steps:
        if not step.changes:
            yield Row(f"{step.step.name:<{STEP_CHARS}} unchanged", UNCHANGED, HEADING_INDENT)
            continue
        yield Row(f"{step.step.name:<{STEP_CHARS}} {counted(len(step.changes), 'change')}", HEADING, HEADING_INDENT)
        yield from change_rows_of(step, step.changes, owner_of, full=full)


def change_rows_of(step: StepPlan, changes: Iterable[Change], owner_of: Mapping[str, str], *, full: bool) -> Iterator[Row]:
    """The rows for `changes` of one step, in their order; a folded group stands where its first item does."""
    for group in _groups(tuple(changes), owner_of, full=full):
        yield from change_rows(group[0], step.step.attributes, full=full)
        if len(group) > 1:
            yield Row(_more([owner_of[change.item] for change in group[1:]]), ADD, CHANGE_INDENT)


def _groups(changes: tuple[Change, ...], owner_of: Mapping[str, str], *, full: bool) -> Iterator[list[Change]]:
    groups: dict[Hashable, list[Change]] = {}
    shapes: list[Hashable] = []
    for number, change in enumerate(changes):
        owner = owner_of.get(change.item)
        folds = not full and owner is not None and change.attribute is None
        shapes.append(_shape(change, owner) if folds and owner is not None else number)
        groups.setdefault(shapes[-1], []).append(change)
    for shape, change in zip(shapes, changes, strict=True):
        group = groups[shape]
        if len(group) < FEWEST_FOLDED:
            yield [change]
        elif change is group[0]:
            yield group


def _shape(change: Change, owner: str) -> Hashable:
    """What two new items have in common that differ in their published name alone."""
    values = change.after.items() if isinstance(change.after, Mapping) else ()
    return (_nameless(change.item, owner), tuple((name, _nameless(found, owner)) for name, found in values))


def _nameless(found: Any, owner: str) -> Hashable:
    """A value without the published name in it, and without the first label of that name where it begins the host pattern."""
    if isinstance(found, tuple):
        return tuple(_nameless(entry, owner) for entry in found)
    if not isinstance(found, str):
        return (type(found), found)
    return found.replace(owner, "\0").replace(f"={owner.partition('.')[0]}.*", "=\1")


def _more(names: list[str]) -> str:
    """`38 more like this, each with its own name: ...`, with all the names where they are short enough, else the first of them."""
    start = f"{len(names)} more like this, each with its own name:"
    if len(", ".join(names)) <= MAX_FOLDED_CHARS:
        return f"{start} {', '.join(map(safe, names))}"
    first = [name for number, name in enumerate(names) if not number or len(", ".join(names[: number + 1])) <= MAX_SAMPLE_CHARS]
    return f"{start} {', '.join(map(safe, first))}, ... (--verbose shows all)"
