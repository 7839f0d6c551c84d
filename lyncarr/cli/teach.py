"""`lyncarr steps` and `lyncarr explain`: what the steps set, and why."""

from __future__ import annotations

import json
import sys
import textwrap
from dataclasses import asdict
from typing import Any

from rich.text import Text

from lyncarr.cli.options import Output
from lyncarr.cli.streams import rich_console
from lyncarr.core.model import Attribute, Stage, Step
from lyncarr.core.plan import select
from lyncarr.report.events import SCHEMA
from lyncarr.steps import STAGES, STEPS
from lyncarr.steps.explanation import HEADINGS, explain


def list_steps(output: Output) -> None:
    if output is Output.json:
        rows = [_row(stage, step) for stage in STAGES for step in stage.steps]
        print(json.dumps({"schema": SCHEMA, "event": "steps", "steps": rows}))
        return
    page = _Page()
    for stage in STAGES:
        page.heading(stage.name)
        for step in stage.steps:
            page.paragraph(f"{step.name:<16} {explain(step.name).title}", indent=2, hanging=17)
    page.paragraph("lyncarr explain STEP shows what a step sets, and why.")


def explain_step(name: str) -> None:
    """Raises UsageError with the nearest name for a step that does not exist."""
    select(STAGES, [name])
    step = next(step for step in STEPS if step.name == name)
    page = _Page()
    page.heading(step.name)
    page.paragraph(explain(step.name).title)
    for heading, text in sections(step):
        page.heading(f"\n{heading}")
        for line in text.splitlines():
            page.paragraph(line, indent=2, hanging=2 if line.startswith("- ") else 0)


def sections(step: Step) -> list[tuple[str, str]]:
    """(heading, markdown) for all that is known about a step but its name and title. docs/steps.md has the same sections."""
    texts = explain(step.name)
    parts = [(heading, texts.section(heading)) for heading in HEADINGS]
    if others := _others_of_unit(step):
        parts.append(("Written together with", f"{' and '.join(f'`{name}`' for name in others)}: all of them or none."))
    if step.restarts_iis:
        parts.append(("Restart", "A change is followed by one `iisreset /noforce`, which drops the connections that IIS serves."))
    if names := [f"- {_attribute(name, shown)}" for name, shown in step.attributes.items() if shown.label != name]:
        parts.append(("Names in a plan", "\n".join(names)))
    parts.append(("PowerShell", f"`ps_snippets/{step.snippet}`"))
    return parts


def _attribute(name: str, shown: Attribute) -> str:
    """The name of an attribute in JSON, and how a plan shows it."""
    words = "" if (shown.true, shown.false) == ("yes", "no") else f", {shown.true} or {shown.false}"
    unit = f", in {shown.unit}" if shown.unit else ""
    return f'`{name}`: "{shown.label}"{unit}{words}'


def _row(stage: Stage, step: Step) -> dict[str, Any]:
    return {
        "stage": stage.name,
        "step": step.name,
        **asdict(explain(step.name)),
        "written_with": _others_of_unit(step),
        "restarts_iis": step.restarts_iis,
        "attributes": {name: {"label": shown.label, "unit": shown.unit} for name, shown in step.attributes.items()},
    }


def _others_of_unit(step: Step) -> list[str]:
    return [other.name for other in STEPS if step.unit and other.unit == step.unit and other is not step]


class _Page:
    """Standard output: a terminal gets paragraphs of its width, a pipe gets each paragraph on one line, for tools such as grep."""

    def __init__(self) -> None:
        self._console = rich_console(sys.stdout)

    def heading(self, text: str) -> None:
        self._console.print(Text(text, style="bold"), soft_wrap=True)

    def paragraph(self, text: str, indent: int = 0, hanging: int = 0) -> None:
        """`hanging` is the further indentation of all lines but the first."""
        lines = [" " * indent + text]
        if self._console.is_terminal and text:
            first, others = " " * indent, " " * (indent + hanging)
            lines = textwrap.wrap(text, self._console.width, initial_indent=first, subsequent_indent=others, break_on_hyphens=False)
        for line in lines:
            self._console.print(Text(line.rstrip()), soft_wrap=True)
