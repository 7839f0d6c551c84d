"""What a run ends with, as plain data: one result for the host and one for each step. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from lyncarr.core.errors import (
    BusyError,
    FaultError,
    LostConnectionError,
    LyncarrError,
    ProtocolError,
    RefusedError,
    StepFailedError,
    UnreachableError,
)
from lyncarr.core.model import Change, Step
from lyncarr.core.plan import Plan

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
    """Something that an administrator should know and that is no drift.

    `kind` is a word of the contract, `step` None for the host as a whole, `item` the rule, farm or binding that the note is about.
    """

    kind: str
    text: str
    step: str | None = None
    item: str | None = None


@dataclass(frozen=True)
class Failure:
    """Why a step failed: a stable `code`, the `message` and the `hint` of the error."""

    code: str
    message: str
    hint: str = ""

    @classmethod
    def of(cls, error: LyncarrError) -> Failure:
        return cls(error.code, error.message, error.hint)


@dataclass
class StepResult:
    """The result of one step."""

    step: Step
    result: StepWord
    changes: tuple[Change, ...] = ()
    error: Failure | None = None


@dataclass
class HostResult:
    """The result of one run on one host; `--output json` prints these members.

    `computer` is the name that the host reported, None before it answered. `plan` is the last one that was made, None where the host
    could not be observed. `backup` is the name of the configuration backup on the host. `elapsed_s` is the duration of the run in seconds,
    without the time that `confirm` took.
    """

    host: str
    result: HostWord
    exit_code: int
    steps: list[StepResult] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    backup: str | None = None
    error: LyncarrError | None = None
    computer: str | None = None
    plan: Plan | None = None
    elapsed_s: float = 0.0


def word_of(error: LyncarrError) -> HostWord:
    """The result of a run that ended with `error`."""
    words: tuple[tuple[type[LyncarrError], HostWord], ...] = (
        (RefusedError, "refused"),
        (ProtocolError, "untrusted"),
        (BusyError, "busy"),
        (UnreachableError, "unreachable"),
        (FaultError, "fault"),
    )
    return next((word for kind, word in words if isinstance(error, kind)), "failed")


def not_done(step: Step, lost: LostConnectionError) -> LostConnectionError:
    """The error for a step whose answer was lost and that the host did not apply."""
    return LostConnectionError(
        f"The connection was lost while step {step.name} was being applied, and the host does not have the desired state.",
        hint="Run the command again.",
        detail=f"{lost} {lost.detail or ''}".strip(),
    )


def not_in_place(step: Step, change: Change) -> StepFailedError:
    """The error for a step that reported success, although `change` is still pending."""
    state = "is still missing" if change.attribute is None else f"{change.attribute} is still {change.before!r}, not {change.after!r}"
    return StepFailedError(
        f"Step {step.name}: {change.item}: {state} after the change was applied.",
        hint=f"Another program on the host may write the same setting. To see the present state, run lyncarr plan with --step {step.name}.",
        step=step.name,
    )
