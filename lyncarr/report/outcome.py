"""The results of a host and of its steps in words that all reports share. Pure."""

from __future__ import annotations

from lyncarr.core.outcome import HostResult
from lyncarr.core.text import safe
from lyncarr.report.text import counted

NOTHING_WRITTEN = "Nothing was written."
RUN_AGAIN = "Run the command again: completed steps are skipped."
FIX_AND_RUN_AGAIN = "Fix the cause and run the command again: completed steps are skipped."
VERIFIED = "Verified: no changes pending."

STEP_WORDS = {
    "in-place": "unchanged",
    "pending": "pending",
    "applied": "done",
    "failed": "failed",
    "skipped": "skipped",
    "unknown": "unknown, because the host did not answer",
    "reboot-needed": "done, Windows must restart",
}
"""Result of a step -> its words in a report."""

_STOPPED = {
    "busy": "{host} is in use by another run.",
    "refused": "{host} refused the run.",
    "unreachable": "{host} cannot be reached.",
    "untrusted": "The responses of {host} cannot be trusted.",
    "interrupted": "Interrupted on {host}.",
    "fault": "Stopped on {host} by an internal error of lyncarr.",
}


def named(result: HostResult) -> str:
    """The host as the configuration file names it, and the name of its computer: `rp01 (RP01)`."""
    return f"{safe(result.host)} ({safe(result.computer)})" if result.computer else safe(result.host)


def begun(result: HostResult) -> bool:
    """Whether the run sent a write to the host. A step that cannot be applied fails before that."""
    results = {step.result for step in result.steps}
    blocked = result.plan is not None and result.plan.blocked
    return bool(results & {"applied", "unknown", "reboot-needed"}) or ("failed" in results and not blocked)


def verdict(result: HostResult, *, partial: bool) -> str:
    """The result of a run in one or two sentences, with whether something was written.

    `partial`: only selected steps were part of the run; then the sentence names them.
    """
    host, of_steps = named(result), _of_steps(result) if partial else ""
    if result.result == "in-place":
        return f"No changes. {host} matches the configuration file{of_steps}."
    if result.result == "applied":
        return f"Apply complete on {host}: {_done(result)}. {VERIFIED.removesuffix('.')}{of_steps}."
    if result.result == "pending":
        return f"Not applied. {NOTHING_WRITTEN}"
    if result.result == "changed":
        return f"{host} changed after the plan was shown. {NOTHING_WRITTEN} Review the new plan and run the command again."
    if result.result == "reboot-needed":
        return f"{host} must restart: {_applied(result)}. Restart Windows, then run the command again: it continues with the next step."
    if result.result == "failed" and begun(result):
        return f"Apply failed on {host}: {_applied(result)}. {FIX_AND_RUN_AGAIN}"
    if result.result == "failed":
        return f"{host} cannot be configured. {NOTHING_WRITTEN}"
    stopped = _STOPPED[result.result].format(host=host)
    return f"{stopped} Until then: {_applied(result)}. {RUN_AGAIN}" if begun(result) else f"{stopped} {NOTHING_WRITTEN}"


def _of_steps(result: HostResult) -> str:
    return f" in the selected steps: {', '.join(step.step.name for step in result.steps)}"


def _done(result: HostResult) -> str:
    """`39 changes in 10 steps, 66 s`: what the run applied, and how long it took."""
    return f"{_changes(result)}, {_seconds(result)}"


def _applied(result: HostResult) -> str:
    """The same for a run that ended early."""
    return f"{_changes(result)} applied, {_seconds(result)}"


def _changes(result: HostResult) -> str:
    done = [step for step in result.steps if step.result in ("applied", "reboot-needed") and step.changes]
    if not done:
        return "no changes"
    return f"{counted(sum(len(step.changes) for step in done), 'change')} in {counted(len(done), 'step')}"


def _seconds(result: HostResult) -> str:
    return f"{max(round(result.elapsed_s), 1)} s"
