"""What is wrong in a configuration file: collected with the place of each, and reported together with the line of each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lyncarr.config.lines import Place, lines_of, nearest
from lyncarr.core.errors import Problem, SiteError
from lyncarr.core.text import quoted

MAX_SHOWN = 50

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True)
class KeyProblem:
    """A problem, or a warning, of the key at `place`; () is the file as a whole.

    `message` is one sentence that names the key. `hint` is the next action, "" where there is none.
    """

    place: Place
    message: str
    hint: str = ""


def about(place: Place, text: str, *, hint: str = "", farm: str = "") -> KeyProblem:
    """A problem whose message begins with the key: `text` says what is wrong and what was expected, without a full stop."""
    return KeyProblem(place, f"{key_at(place, farm)}: {text}{'' if text.endswith('?') else '.'}", hint)


def key_at(place: Place, farm: str = "") -> str:
    """("farms", 1, "servers", 0) for a message: `farms[1].servers[0]` in backticks, and the farm's published name where it is given.

    The name spares people the counting to farms[17].
    """
    return f"`{written(place)}` of {farm}" if farm else f"`{written(place)}`"


def written(place: Place) -> str:
    """A place as TOML writes a dotted key, with list items in brackets; names with dots or spaces are in quotes."""
    text = ""
    for part in place:
        if isinstance(part, int):
            text += f"[{part}]"
            continue
        name = part if _BARE_KEY.fullmatch(part) else f'"{quoted(part)[1:-1]}"'
        text += f".{name}" if text else name
    return text


def located(path: Path, text: str, problems: Iterable[KeyProblem]) -> list[Problem]:
    """The problems of the configuration file at `path` with their lines in `text`."""
    lines = lines_of(text)
    found = []
    for problem in problems:
        line = nearest(lines, problem.place)
        found.append(Problem(str(path) if line is None else f"{path}:{line}", problem.message, problem.hint))
    return found


def in_file_order(text: str, problems: Iterable[KeyProblem]) -> list[KeyProblem]:
    """The problems by their lines in `text`, so that a reader can go through the file once."""
    lines = lines_of(text)
    return sorted(problems, key=lambda problem: nearest(lines, problem.place) or 0)


def site_error(path: Path, text: str, problems: Sequence[KeyProblem]) -> SiteError:
    """One error for all problems of the configuration file at `path`, whose content is `text`."""
    shown = located(path, text, problems[:MAX_SHOWN])
    if len(problems) > MAX_SHOWN:
        shown.append(Problem(str(path), f"{len(problems) - MAX_SHOWN} more problems are not shown.", "Fix the problems above first."))
    return SiteError(*shown)
