"""The script that goes to a host: the snippets in a fixed order, with one dispatch line a step, in bundles for kinds of requests.

A shell gets a bundle before the first request that needs it: `look` with its first request, `write` with the first one that writes. So
a plan sends no function that could change the host. In a snippet the lines below `#:write` belong to the bundle `write`, the lines above
to `look`. A new kind is one entry of BUNDLES, and of OPERATIONS for the requests that need it; a file that begins with `#:<kind>`
belongs to it as a whole.

All texts are constant for a release: no value of any site is in them. docs/contract.md has their SHA-256, and so has the report, so
that an administrator can compare what ran (event 4104 of PowerShell's log) with what was shipped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
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
MARK = "#:"
EVERY_BUNDLE = "all"
"""Lines below `#:all`, and those above the first mark, are in every bundle."""
LOOK = "look"
"""The bundle of a shell's first request; all others build on its functions."""


@dataclass(frozen=True)
class Bundle:
    """`purpose` says which requests need the bundle, `budget` is the number of characters that it may have at most."""

    purpose: str
    budget: int


BUNDLES: Mapping[str, Bundle] = {
    LOOK: Bundle("a shell's first request; observe", 78_000),
    "write": Bundle("the first apply or upload", 52_000),
}
"""Kind -> bundle, in the order of the script. The budget of `look` keeps a plan below 130 KB on the wire."""
OPERATIONS: Mapping[str, str] = {"observe": LOOK, "apply": "write", "upload": "write"}
"""Operation of a request -> the bundle that it needs besides `look`."""


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
                lines += [MARK + LOOK, text.rstrip("\n")]
        elif stripped.startswith(EACH_STEP):
            indent = line[: len(line) - len(line.lstrip())]
            template = stripped.removeprefix(EACH_STEP)
            lines.extend(indent + template.replace("STEP", step.name).replace("NOUN", step.noun) for step in steps)
        else:
            lines.append(line)
    return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Script:
    """The text of each bundle by its kind. Each is complete: parameters, functions, and last the call that answers the request."""

    bundles: Mapping[str, str]

    @property
    def sha256(self) -> dict[str, str]:
        """SHA-256 of each bundle, lower hex."""
        return {kind: hashlib.sha256(text.encode("ascii")).hexdigest() for kind, text in self.bundles.items()}


@cache
def shipped() -> Script:
    """What this release sends."""
    return split(compose(tuple(read_snippet(name) for name in (*SHARED, *(step.snippet for step in STEPS)))))


def winrs_bootstrap() -> str:
    """What runs the script over WinRS, where no runspace does; as constant as the script. See lines.py."""
    return read_snippet(WINRS)


def bundle_of(operation: str) -> str:
    """The kind of the bundle that a request needs; one with an unknown operation is answered by `look`."""
    return OPERATIONS.get(operation, LOOK)


def split(whole: str) -> Script:
    """The bundles of a composed script. A line belongs to the kind of the mark above it; ValueError for a mark that BUNDLES lacks."""
    texts: dict[str, list[str]] = {kind: [] for kind in BUNDLES}
    now = EVERY_BUNDLE
    for line in whole.splitlines():
        if line.startswith(MARK):
            now = line.removeprefix(MARK)
            if now != EVERY_BUNDLE and now not in BUNDLES:
                raise ValueError(f"unknown mark {line!r} in a snippet; the bundles are {', '.join(BUNDLES)}")
            continue
        for kind, lines in texts.items():
            if now in (kind, EVERY_BUNDLE):
                lines.append(line)
    return Script({kind: "\n".join(lines) + "\n" for kind, lines in texts.items()})
