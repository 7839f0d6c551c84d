"""The one script text that goes to a host: the snippets in a fixed order, with the dispatch of RUNBOOK filled in.

The text is constant for a release: no value of any site is in it. Its SHA-256 stands in the plan, so that an
administrator can compare what ran (event 4104 of PowerShell's log) with what was shipped. It is sent as plain text, without
the comments of ps_snippets/, which were a sixth of it: a plan may send 130 KB, and the script is nearly all of that.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from lyncarr.core.model import Step
from lyncarr.steps import STEPS

SHARED = ("_windows.ps1", "_runtime.ps1", "_iis.ps1", "_rules.ps1")
MAIN = "_main.ps1"
SNIPPETS_LINE = "#:snippets"
EACH_STEP = "#:each-step "
INDENT = 4


def snippet_folder() -> Traversable:
    """ps_snippets inside the installed package, or beside it in a checkout."""
    packaged = files("lyncarr") / "ps_snippets"
    if packaged.is_dir():
        return packaged
    return Path(__file__).resolve().parents[2] / "ps_snippets"


def read_snippet(name: str) -> str:
    """Text of one snippet, LF line ends. ASCII by rule: Windows PowerShell reads anything else as ANSI."""
    return (snippet_folder() / name).read_text(encoding="ascii").replace("\r\n", "\n").rstrip("\n") + "\n"


def compose(snippets: tuple[str, ...], steps: tuple[Step, ...] = STEPS) -> str:
    """_main.ps1 with the texts `snippets` in the place of its snippets line and one dispatch line a step."""
    lines: list[str] = []
    for line in read_snippet(MAIN).splitlines():
        stripped = line.strip()
        if stripped == SNIPPETS_LINE:
            lines.extend(text.rstrip("\n") for text in snippets)
        elif stripped.startswith(EACH_STEP):
            indent = line[: len(line) - len(line.lstrip())]
            template = stripped.removeprefix(EACH_STEP)
            lines.extend(indent + template.replace("STEP", step.name).replace("NOUN", step.noun) for step in steps)
        else:
            lines.append(line)
    return "\n".join(lines) + "\n"


def without_comments(text: str) -> str:
    """`text` without blank lines and lines of comment, except those at its very beginning, and indented by one space a level.

    Line by line, because the snippets have no strings of several lines; the lint of tests/snippets sees to that.
    """
    lines = text.splitlines()
    code = next(number for number, line in enumerate(lines) if not line.startswith("#"))
    kept = [line for line in lines[code:] if line.strip() and not line.lstrip().startswith("#")]
    return "\n".join([*lines[:code], *(" " * (_indent(line) // INDENT) + line.lstrip() for line in kept)]) + "\n"


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


@cache
def script_text() -> str:
    """The shipped script."""
    return without_comments(compose(tuple(read_snippet(name) for name in (*SHARED, *(step.snippet for step in STEPS)))))


def script_sha256() -> str:
    """SHA-256 of the shipped script, lower hex."""
    return hashlib.sha256(script_text().encode("ascii")).hexdigest()
