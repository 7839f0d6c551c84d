"""The script that goes to a host: the snippets in a fixed order, with the dispatch of STAGES filled in, in two halves.

`look` goes with a shell's first request and holds what answers it; `write` goes with the first request that writes, and holds the
rest. So a plan sends no function that could change the host. A snippet's functions for writing stand below its line `#:write`.

Both texts are constant for a release: no value of any site is in them. Their SHA-256 stand in the report, so that an administrator
can compare what ran (event 4104 of PowerShell's log) with what was shipped.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from lyncarr.core.model import Step
from lyncarr.steps import STEPS

SHARED = ("_windows.ps1", "_runtime.ps1", "_iis.ps1", "_rules.ps1")
MAIN = "_main.ps1"
WINRS = "_winrs.ps1"
SNIPPETS_LINE = "#:snippets"
EACH_STEP = "#:each-step "
LOOK, WRITE, BOTH = "#:look", "#:write", "#:both"


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
            for text in snippets:
                lines += [LOOK, text.rstrip("\n")]
        elif stripped.startswith(EACH_STEP):
            indent = line[: len(line) - len(line.lstrip())]
            template = stripped.removeprefix(EACH_STEP)
            lines.extend(indent + template.replace("STEP", step.name).replace("NOUN", step.noun) for step in steps)
        else:
            lines.append(line)
    return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Script:
    """The two texts, each complete: parameters, functions, and last the call that answers the request."""

    look: str
    write: str

    @property
    def sha256(self) -> dict[str, str]:
        """SHA-256 of each half, lower hex."""
        return {name: hashlib.sha256(getattr(self, name).encode("ascii")).hexdigest() for name in ("look", "write")}


@cache
def shipped() -> Script:
    """What this release sends."""
    return halves(compose(tuple(read_snippet(name) for name in (*SHARED, *(step.snippet for step in STEPS)))))


def winrs_bootstrap() -> str:
    """What runs the script over WinRS, where no runspace does; as constant as the script. See lines.py."""
    return read_snippet(WINRS)


def halves(whole: str) -> Script:
    """Each line of a composed script by the mark above it: #:look, #:write or #:both, as at the beginning."""
    texts: dict[str, list[str]] = {LOOK: [], WRITE: []}
    now = BOTH
    for line in whole.splitlines():
        if line in (LOOK, WRITE, BOTH):
            now = line
            continue
        for mark, lines in texts.items():
            if now in (mark, BOTH):
                lines.append(line)
    look, write = ("\n".join(lines) + "\n" for lines in texts.values())
    return Script(look, write)
