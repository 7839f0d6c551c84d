"""`lyncarr steps` and `lyncarr explain`: the runbook as declared."""

from __future__ import annotations

import json

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
    console = Console(highlight=False)
    for stage in RUNBOOK:
        console.print(Text(stage.name, style="bold"))
        for step in stage.steps:
            console.print(Text(f"  {step.name:<16} {step.title}"), soft_wrap=True)
    console.print(Text("lyncarr explain STEP tells why."))


def explain_step(name: str) -> None:
    """Raises UsageError with the nearest name for a step that does not exist."""
    select(RUNBOOK, [name])
    step = next(step for stage in RUNBOOK for step in stage.steps if step.name == name)
    console = Console(highlight=False)
    console.print(Text(step.name, style="bold"))
    console.print(Text(step.title), soft_wrap=True)
    console.print(Text(f"\nWhy: {step.reason}"), soft_wrap=True)
    console.print(Text(f"\nSource: {step.source}"), soft_wrap=True)
    if step.unit:
        with_it = [other.name for stage in RUNBOOK for other in stage.steps if other.unit == step.unit and other is not step]
        console.print(Text(f"\nWritten together with: {', '.join(with_it)}."), soft_wrap=True)
    console.print(Text(f"\nIts PowerShell: ps_snippets/{step.snippet}"), soft_wrap=True)
