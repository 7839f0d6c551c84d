"""`lyncarr steps` and `lyncarr explain`: the runbook as declared."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.text import Text

from lyncarr.cli.options import Output
from lyncarr.core.model import Stage, Step
from lyncarr.core.plan import select
from lyncarr.report.events import SCHEMA
from lyncarr.steps import STAGES, STEPS
from lyncarr.steps.explanation import HEADINGS, explain


def list_steps(output: Output) -> None:
    if output is Output.json:
        rows = [_row(stage, step) for stage in STAGES for step in stage.steps]
        print(json.dumps({"schema": SCHEMA, "event": "steps", "steps": rows}))
        return
    say = _speaker()
    for stage in STAGES:
        say(stage.name, "bold")
        for step in stage.steps:
            say(f"  {step.name:<16} {explain(step.name).title}")
    say("lyncarr explain STEP tells what it sets, and why.")


def explain_step(name: str) -> None:
    """Raises UsageError with the nearest name for a step that does not exist."""
    select(STAGES, [name])
    step = next(step for step in STEPS if step.name == name)
    say = _speaker()
    say(step.name, "bold")
    say(explain(step.name).title)
    for heading, text in told(step):
        say(f"\n{heading}: {text}")


def told(step: Step) -> list[tuple[str, str]]:
    """(heading, text) of what is to be said of a step beside its name and title: `lyncarr explain` and docs/steps.md say the same."""
    texts = explain(step.name)
    parts = [(heading, texts.section(heading)) for heading in HEADINGS]
    if others := _others_of_unit(step):
        parts.append(("Written together with", f"{' and '.join(f'`{name}`' for name in others)}: all of them or none."))
    if step.restarts_iis:
        parts.append(("Restart", "A change is followed by one `iisreset /noforce`, which drops the connections that IIS serves."))
    parts.append(("Its PowerShell", f"`ps_snippets/{step.snippet}`"))
    return parts


def _row(stage: Stage, step: Step) -> dict[str, Any]:
    return {
        "stage": stage.name,
        "step": step.name,
        **asdict(explain(step.name)),
        "written_with": _others_of_unit(step),
        "restarts_iis": step.restarts_iis,
    }


def _others_of_unit(step: Step) -> list[str]:
    return [other.name for other in STEPS if step.unit and other.unit == step.unit and other is not step]


def _speaker() -> Callable[..., None]:
    """Prints a paragraph of the declarations' markdown; broken between words on a terminal, in one line elsewhere."""
    console = Console(highlight=False)

    def say(text: str, style: str = "") -> None:
        console.print(Text(text, style=style), soft_wrap=not console.is_terminal)

    return say
