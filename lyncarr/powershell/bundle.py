"""The script that goes to a host: the snippets in a fixed order, with one dispatch line a step, in bundles for kinds of requests.

A shell gets a bundle before the first request that needs it: `look` or `lock` with its first request, `write` with the first one that
writes. So a plan, which needs `look` alone, sends no function that could change the host. The lines of a snippet below `#:lock` or
`#:write` are the part with that name, the lines above are the part `look`. A bundle has one part or more. A new kind of request is one
entry of BUNDLES, and one of OPERATIONS for its operation; a file that begins with `#:<part>` belongs to that part as a whole.

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

WINDOWS = tuple(
    f"_windows/{name}.ps1" for name in ("registry", "programs", "folder", "host", "iis", "features", "certificates", "packages")
)
"""The platform layer: every function that uses Windows itself, in the order in which the bundles hold the files."""
SHARED = (*WINDOWS, "_runtime.ps1", "_iis.ps1", "_rules.ps1")
"""The snippets that belong to no step, in the order in which the bundles hold them."""
MAIN = "_main.ps1"
WINRS = "_winrs.ps1"
SNIPPETS_LINE = "#:snippets"
EACH_STEP = "#:each-step "
MARK = "#:"
EVERY_BUNDLE = "all"
"""Lines below `#:all`, and those above the first mark, are in every bundle."""
LOOK, LOCK, WRITE = "look", "lock", "write"


@dataclass(frozen=True)
class Bundle:
    """`purpose` says which requests need the bundle, `parts` name what it holds, `budget` is the most characters that it may have."""

    purpose: str
    parts: tuple[str, ...]
    budget: int

    @property
    def first(self) -> bool:
        """Whether a shell's first request can bring this bundle: it holds the functions that answer any request."""
        return LOOK in self.parts


BUNDLES: Mapping[str, Bundle] = {
    LOOK: Bundle("a plan: observe without the lock", (LOOK,), 72_000),
    LOCK: Bundle("a run that applies: observe with the lock", (LOOK, LOCK), 77_000),
    WRITE: Bundle("the first apply or upload", (WRITE,), 52_000),
}
"""Kind -> bundle. The budget of `look` keeps a plan below 130 KB on the wire."""
OPERATIONS: Mapping[str, str] = {"apply": WRITE, "upload": WRITE}
"""Operation of a request -> the bundle that it needs beside `lock`. All other operations need `look` or `lock`."""


def snippet_folder() -> Traversable:
    """The folder ps_snippets: in the installed package, or next to it in a checkout."""
    packaged = files("lyncarr") / "ps_snippets"
    if packaged.is_dir():
        return packaged
    return Path(__file__).resolve().parents[2] / "ps_snippets"


def read_snippet(name: str) -> str:
    """The text of one snippet with LF line ends. Snippets are ASCII, because Windows PowerShell reads other text as ANSI."""
    return (snippet_folder() / name).read_text(encoding="ascii").replace("\r\n", "\n").rstrip("\n") + "\n"


def compose(snippets: tuple[str, ...], steps: tuple[Step, ...] = STEPS) -> str:
    """The text of _main.ps1, with the texts `snippets` in place of its snippets line and one dispatch line for each step."""
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
    """The script of this release."""
    return split(compose(tuple(read_snippet(name) for name in (*SHARED, *(step.snippet for step in STEPS)))))


def winrs_bootstrap() -> str:
    """The bootstrap that runs the script over WinRS, constant for a release. See lines.py."""
    return read_snippet(WINRS)


def bundle_of(operation: str, *, lock: bool) -> str:
    """The kind of the bundle that a request needs."""
    return OPERATIONS.get(operation, LOCK if lock else LOOK)


def split(whole: str) -> Script:
    """The bundles of a composed script. A line belongs to the part of the mark above it; ValueError for a mark of no part."""
    known = {part for bundle in BUNDLES.values() for part in bundle.parts}
    texts: dict[str, list[str]] = {kind: [] for kind in BUNDLES}
    now = EVERY_BUNDLE
    for line in whole.splitlines():
        if line.startswith(MARK):
            now = line.removeprefix(MARK)
            if now not in (EVERY_BUNDLE, *known):
                raise ValueError(f"unknown mark {line!r} in a snippet; the parts are {', '.join(sorted(known))}")
            continue
        for kind, lines in texts.items():
            if now in (EVERY_BUNDLE, *BUNDLES[kind].parts):
                lines.append(line)
    return Script({kind: "\n".join(lines) + "\n" for kind, lines in texts.items()})
