"""Text from a host made harmless for a terminal, and values in the words of the plan. Pure."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Mapping
from typing import Any

from lyncarr.core.model import Change

MAX_CHARS = 500
MAX_LIST_CHARS = 2_000
FURTHER = " " * 6
GLUE = "\N{NO-BREAK SPACE}"
"""Never in what `clean` leaves."""


def clean(text: str, limit: int = MAX_CHARS) -> str:
    """`text` with control, format and unassigned characters escaped, on one line, cut after `limit` characters.

    Escape sequences, direction overrides and line breaks of a hostile host would otherwise rewrite what a person reads.
    """
    shown = "".join(character if _harmless(character) else _escaped(character) for character in text[: limit + 1])
    return shown if len(text) <= limit else shown[:limit] + f"... ({len(text)} characters)"


def _harmless(character: str) -> bool:
    return character == " " or unicodedata.category(character)[0] not in "CZ"


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii") if character.isascii() else f"\\u{ord(character):04x}"


def value(what: Any) -> str:
    """A state's value as people read it: lists in brackets, an empty one as none, absent things as (absent)."""
    if what is None:
        return "(absent)"
    if isinstance(what, bool):
        return "yes" if what else "no"
    if isinstance(what, tuple):
        return _list(what) if what else "none"
    return clean(str(what))


def _list(items: tuple[str, ...]) -> str:
    shown: list[str] = []
    for item in items:
        if sum(map(len, shown)) > MAX_LIST_CHARS:
            return f"[{', '.join(shown)}, ... ({len(items)} in all)]"
        shown.append(clean(item))
    return f"[{', '.join(shown)}]"


def change_line(change: Change) -> str:
    """`~ item  attribute: old -> new`, or `+ item  attribute: new, ...` for an item that appears."""
    item = clean(change.item)
    if isinstance(change.after, Mapping):
        attributes = ", ".join(f"{name}: {value(after)}" for name, after in change.after.items())
        return f"+ {item}  {attributes}" if attributes else f"+ {item}"
    return f"~ {item}  {clean(change.attribute or '')}: {value(change.before)} -> {value(change.after)}"


def wrapped(line: str, width: int, indent: str) -> str:
    """A change line over as many lines of `width` characters as it takes, the further ones deeper in; no name parts from its value."""
    glued = line.replace(": ", f":{GLUE}")
    lines = textwrap.wrap(
        glued, width, initial_indent=indent, subsequent_indent=indent + FURTHER, break_long_words=False, break_on_hyphens=False
    )
    return "\n".join(lines).replace(GLUE, " ")
