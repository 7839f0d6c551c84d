"""Text from a host made harmless for a terminal, and values in the words of the plan. Pure."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Mapping
from difflib import SequenceMatcher
from typing import Any

from lyncarr.core.model import Change
from lyncarr.core.text import safe

MAX_LIST_CHARS = 2_000
MAX_OLD_AND_NEW_CHARS = 100
FURTHER = " " * 6
GLUE = "\N{NO-BREAK SPACE}"
"""Never in what `safe` leaves."""


def value(what: Any) -> str:
    """A state's value as people read it: lists in brackets, an empty one as none, absent things as (absent)."""
    if what is None:
        return "(absent)"
    if isinstance(what, bool):
        return "yes" if what else "no"
    if isinstance(what, tuple):
        return f"[{_joined(what)}]" if what else "none"
    return safe(str(what))


def _joined(items: tuple[str, ...]) -> str:
    shown: list[str] = []
    for item in items:
        if sum(map(len, shown)) > MAX_LIST_CHARS:
            return f"{', '.join(shown)}, ... ({len(items)} in all)"
        shown.append(safe(item))
    return ", ".join(shown)


def change_line(change: Change) -> str:
    """`~ item  attribute: old -> new`, or `+ item  attribute: new, ...` for an item that appears.

    Of two long lists only the difference: `~ item  attribute: removed a, b; added c; moved d`.
    """
    item = safe(change.item)
    if isinstance(change.after, Mapping):
        attributes = ", ".join(f"{name}: {value(after)}" for name, after in change.after.items())
        return f"+ {item}  {attributes}" if attributes else f"+ {item}"
    return f"~ {item}  {safe(change.attribute or '')}: {_difference(change) or f'{value(change.before)} -> {value(change.after)}'}"


def _difference(change: Change) -> str:
    """What came, went and moved between two long lists; empty where old -> new says it better."""
    before, after = change.before, change.after
    if not (isinstance(before, tuple) and isinstance(after, tuple) and before and after):
        return ""
    removed, added = Counter(before) - Counter(after), Counter(after) - Counter(before)
    if not (removed or added) or len(value(before)) + len(value(after)) <= MAX_OLD_AND_NEW_CHARS:
        return ""
    parts = {"removed": tuple(removed.elements()), "added": tuple(added.elements()), "moved": _moved(before, after)}
    return "; ".join(f"{word} {_joined(items)}" for word, items in parts.items() if items)


def _moved(before: tuple[str, ...], after: tuple[str, ...]) -> tuple[str, ...]:
    """Of what stands in both, that which no longer stands in the same order."""
    here, there = dict.fromkeys(before), dict.fromkeys(after)
    old, new = [one for one in here if one in there], [one for one in there if one in here]
    still: set[str] = set()
    for block in SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks():
        still.update(new[block.b : block.b + block.size])
    return tuple(one for one in new if one not in still)


def wrapped(line: str, width: int, indent: str) -> str:
    """A change line over as many lines of `width` characters as it takes, the further ones deeper in; no name parts from its value."""
    glued = line.replace(": ", f":{GLUE}")
    lines = textwrap.wrap(
        glued, width, initial_indent=indent, subsequent_indent=indent + FURTHER, break_long_words=False, break_on_hyphens=False
    )
    return "\n".join(lines).replace(GLUE, " ")
