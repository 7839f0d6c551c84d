"""The last sentence of a run: each result in words, with what was written and how long it took."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from lyncarr.core.model import Change
from lyncarr.core.outcome import HostResult, HostWord, StepResult, StepWord
from lyncarr.core.plan import Plan, StepPlan
from lyncarr.report.outcome import STEP_WORDS, begun, verdict
from lyncarr.steps import STEPS

TIMEOUT = next(step for step in STEPS if step.name == "proxy-timeout")
RULES = next(step for step in STEPS if step.name == "ssl-offload")
CHANGE = Change("meet.contoso.com", "timeout_s", 30, 900)
TAKEN = Change("rules", "taken_by", ("Old",), ())


def result(word: HostWord, *steps: StepResult, plan: Plan | None = None) -> HostResult:
    return HostResult("rp01", word, 0, list(steps), computer="RP01", plan=plan, elapsed_s=65.7)


def applied(word: StepWord = "applied") -> StepResult:
    return StepResult(TIMEOUT, word, (CHANGE,))


SENTENCES: list[tuple[HostResult, str]] = [
    (result("in-place"), "No changes. rp01 (RP01) matches the configuration file."),
    (result("pending"), "Not applied. Nothing was written."),
    (result("applied", applied()), "Apply complete on rp01 (RP01): 1 change in 1 step, 66 s. Verified: no changes pending."),
    (
        result("failed", applied(), StepResult(RULES, "failed")),
        "Apply failed on rp01 (RP01): 1 change in 1 step applied, 66 s. Fix the cause and run the command again: completed steps are "
        "skipped.",
    ),
    (
        result("failed", applied("failed")),
        "Apply failed on rp01 (RP01): no changes applied, 66 s. Fix the cause and run the command again: completed steps are skipped.",
    ),
    (
        result("failed", StepResult(RULES, "failed", (TAKEN,)), plan=Plan((StepPlan(RULES, {}, {}, (TAKEN,)),))),
        "rp01 (RP01) cannot be configured. Nothing was written.",
    ),
    (
        result("changed", applied("pending")),
        "rp01 (RP01) changed after the plan was shown. Nothing was written. Review the new plan and run the command again.",
    ),
    (
        result("reboot-needed", applied("reboot-needed")),
        "rp01 (RP01) must restart: 1 change in 1 step applied, 66 s. Restart Windows, then run the command again: it continues with the "
        "next step.",
    ),
    (result("busy"), "rp01 (RP01) is in use by another run. Nothing was written."),
    (result("refused"), "rp01 (RP01) refused the run. Nothing was written."),
    (result("unreachable"), "rp01 (RP01) cannot be reached. Nothing was written."),
    (
        result("unreachable", applied(), StepResult(RULES, "unknown")),
        "rp01 (RP01) cannot be reached. Until then: 1 change in 1 step applied, 66 s. Run the command again: completed steps are skipped.",
    ),
    (result("untrusted"), "The responses of rp01 (RP01) cannot be trusted. Nothing was written."),
    (result("interrupted"), "Interrupted on rp01 (RP01). Nothing was written."),
    (result("fault"), "Stopped on rp01 (RP01) by an internal error of lyncarr. Nothing was written."),
]


@pytest.mark.parametrize(("found", "sentence"), SENTENCES, ids=[f"{found.result}-{number}" for number, (found, _) in enumerate(SENTENCES)])
def test_the_sentence_of_a_result(found: HostResult, sentence: str) -> None:
    assert verdict(found, partial=False) == sentence
    assert begun(found) == ("Nothing was written" not in sentence and found.result != "in-place")


def test_every_result_has_its_words() -> None:
    assert {found.result for found, _ in SENTENCES} == set(get_args(HostWord))
    assert set(STEP_WORDS) == set(get_args(StepWord))


def test_selected_steps_are_named() -> None:
    steps: Any = [applied()]
    assert verdict(result("applied", *steps), partial=True).endswith("no changes pending in the selected steps: proxy-timeout.")


def test_a_host_that_never_answered_has_no_computer_name() -> None:
    assert verdict(HostResult("rp01", "unreachable", 69), partial=False) == "rp01 cannot be reached. Nothing was written."
