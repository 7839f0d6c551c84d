"""`lyncarr steps` and `lyncarr explain`: the runbook as declared."""

from __future__ import annotations

import json
from collections.abc import Callable

from rich.console import Console
from rich.text import Text

from lyncarr.cli.options import Output
from lyncarr.core.plan import select
from lyncarr.steps import RUNBOOK


def list_steps(output: Output) -> None:
    if output is Output.json:
        rows = [{"stage": stage.name, "step": step.name, "title": step.title} for stage in RUNBOOK for step in stage.steps]
        print(json.dumps({"schema": 1, "steps": rows}))
        return
    say = _speaker()
    for stage in RUNBOOK:
        say(stage.name, "bold")
        for step in stage.steps:
            say(f"  {step.name:<16} {step.title}")
    say("lyncarr explain STEP tells why.")


def explain_step(name: str) -> None:
    """Raises UsageError with the nearest name for a step that does not exist."""
    select(RUNBOOK, [name])
    step = next(step for stage in RUNBOOK for step in stage.steps if step.name == name)
    say = _speaker()
    say(step.name, "bold")
    say(step.title)
    say(f"\nWhy: {step.reason}")
    say(f"\nSource: {step.source}")
    if step.unit:
        with_it = [other.name for stage in RUNBOOK for other in stage.steps if other.unit == step.unit and other is not step]
        say(f"\nWritten together with: {', '.join(with_it)}.")
    say(f"\nIts PowerShell: ps_snippets/{step.snippet}")


def _speaker() -> Callable[..., None]:
    """Prints a paragraph; broken between words on a terminal, in one line elsewhere."""
    console = Console(highlight=False)

    def say(text: str, style: str = "") -> None:
        console.print(Text(text, style=style), soft_wrap=not console.is_terminal)

    return say
