"""Values and changes of a plan in words, and lines that fit a terminal. Pure."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Literal, TypeAlias

from lyncarr.core.model import Attribute, Change, Value
from lyncarr.core.text import safe

Kind: TypeAlias = Literal["+", "~", "-", "heading", "unchanged", "plain"]
ADD: Kind = "+"
CHANGE: Kind = "~"
REMOVE: Kind = "-"
HEADING: Kind = "heading"
UNCHANGED: Kind = "unchanged"
PLAIN: Kind = "plain"
SIGNS = (ADD, CHANGE, REMOVE)
LEGEND = "+ add, ~ change, - remove"
ABSENT = "(absent)"
HEADING_INDENT = 2
CHANGE_INDENT = 6
FURTHER = 4
MIN_WIDTH = 40
"""A terminal that says that it is narrower is treated as this wide."""
SHORT_LIST = 3
MAX_LIST_CHARS = 2_000
MAX_OLD_AND_NEW_CHARS = 100
MAX_REMOVED = 100
"""How many entries that a list loses get a row each. A hostile host may send any number of them; the rest is counted on one row."""
GLUE = "\N{NO-BREAK SPACE}"
"""Joins words that must stay on one line. `safe` never leaves this character in a text."""


@dataclass(frozen=True)
class Row:
    """One row of a report: its text, what it is, and its indentation in characters."""

    text: str
    kind: Kind = PLAIN
    indent: int = 0

    @property
    def line(self) -> str:
        """The row with its sign, without its indentation."""
        return f"{self.kind} {self.text}" if self.kind in SIGNS else self.text


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def attribute_of(attributes: Mapping[str, Attribute], name: str) -> Attribute:
    """The declaration of an attribute; one that shows the machine name where the step declares nothing."""
    return attributes.get(name) or Attribute(safe(name))


def value(found: Any, attribute: Attribute | None = None, most: int | None = None) -> str:
    """A value of a state for people: with its unit, lists in brackets, an empty list as none.

    `most` limits the number of list entries that are shown; the rest is counted.
    """
    if found is None:
        return ABSENT
    if isinstance(found, bool):
        return (attribute.true if found else attribute.false) if attribute else ("yes" if found else "no")
    if isinstance(found, tuple):
        return f"[{_joined(found, most)}]" if found else "none"
    unit = f"{GLUE}{attribute.unit}" if attribute and attribute.unit and isinstance(found, int) else ""
    return f"{safe(found)}{unit}"


def _joined(entries: tuple[str, ...], most: int | None = None) -> str:
    shown: list[str] = []
    for entry in entries:
        if len(shown) == most or sum(map(len, shown)) > MAX_LIST_CHARS:
            return f"{', '.join(shown)}, ... ({len(entries)} in total)"
        shown.append(safe(entry))
    return ", ".join(shown)


def change_rows(
    change: Change, attributes: Mapping[str, Attribute], *, full: bool = True, heading: str = "", indent: int = CHANGE_INDENT
) -> Iterator[Row]:
    """The rows for one change.

    `+ item  label: value, ...` for a new item, `~ item  label old -> new` for a changed attribute, `- server name  (item)` for
    each entry that a list loses where the step declares a word for its entries. Without `full` long lists of new items are shortened.
    An item that is the `heading` above the rows is not repeated.
    """
    item = "" if change.item == heading else safe(change.item)
    if isinstance(change.after, Mapping):
        yield Row(_spaced(item, _new_item(change.after, attributes, full)), ADD, indent)
        return
    attribute = attribute_of(attributes, change.attribute or "")
    lost = _lost(change.before, change.after) if attribute.entry else ()
    if not lost or _gained_or_moved(change.before, change.after):
        yield Row(_spaced(item, f"{attribute.label} {_old_and_new(change, attribute)}"), CHANGE, indent)
    for entry in lost[:MAX_REMOVED]:
        yield Row(_spaced(f"{attribute.entry} {safe(entry)}", item and f"({item})"), REMOVE, indent)
    if len(lost) > MAX_REMOVED:
        yield Row(_spaced(f"{len(lost) - MAX_REMOVED} more of this kind: {attribute.entry}", item and f"({item})"), REMOVE, indent)


def _new_item(values: Mapping[str, Value], attributes: Mapping[str, Attribute], full: bool) -> str:
    """The attributes of a new item; those that say that nothing is wrong only where there are no others."""
    parts = []
    for name, found in values.items():
        attribute = attribute_of(attributes, name)
        if attribute.quiet is None or found != attribute.quiet:
            parts.append(f"{attribute.label.replace(' ', GLUE)}:{GLUE}{value(found, attribute, None if full else SHORT_LIST)}")
    if parts:
        return ", ".join(parts)
    return ", ".join(f"no {attribute_of(attributes, name).label}" for name in values)


def _spaced(item: str, text: str) -> str:
    return f"{item}  {text}" if item and text else item or text


def _lost(before: object, after: object) -> tuple[str, ...]:
    if not (isinstance(before, tuple) and isinstance(after, tuple)):
        return ()
    return tuple((Counter(before) - Counter(after)).elements())


def _gained_or_moved(before: object, after: object) -> bool:
    if not (isinstance(before, tuple) and isinstance(after, tuple)):
        return True
    return bool(Counter(after) - Counter(before)) or bool(_moved(before, after))


def _old_and_new(change: Change, attribute: Attribute) -> str:
    return _difference(change) or f"{value(change.before, attribute)} -> {value(change.after, attribute)}"


def _difference(change: Change) -> str:
    """What was removed, added and moved between two long lists; empty where old -> new is short enough."""
    before, after = change.before, change.after
    if not (isinstance(before, tuple) and isinstance(after, tuple) and before and after):
        return ""
    removed, added = Counter(before) - Counter(after), Counter(after) - Counter(before)
    if not (removed or added) or len(value(before)) + len(value(after)) <= MAX_OLD_AND_NEW_CHARS:
        return ""
    parts = {"removed": tuple(removed.elements()), "added": tuple(added.elements()), "moved": _moved(before, after)}
    return "; ".join(f"{word} {_joined(entries)}" for word, entries in parts.items() if entries)


def _moved(before: tuple[str, ...], after: tuple[str, ...]) -> tuple[str, ...]:
    """The entries of both lists that are no longer in the same order."""
    here, there = dict.fromkeys(before), dict.fromkeys(after)
    old, new = [entry for entry in here if entry in there], [entry for entry in there if entry in here]
    still: set[str] = set()
    for block in SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks():
        still.update(new[block.b : block.b + block.size])
    return tuple(entry for entry in new if entry not in still)


def wrapped(text: str, width: int, indent: int, further: int = FURTHER, *, break_long_words: bool = True) -> str:
    """`text` over as many lines of `width` characters as it needs, the further ones indented by `further` more.

    Words that GLUE joins stay on one line. Only a word that is longer than a line is broken, and not without `break_long_words`.
    """
    most = width - indent - further
    glued = " ".join(part if len(part) <= most else part.replace(GLUE, " ") for part in text.split(" "))
    first, others = " " * indent, " " * (indent + further)
    lines = textwrap.wrap(
        glued, width, initial_indent=first, subsequent_indent=others, break_long_words=break_long_words, break_on_hyphens=False
    )
    return "\n".join(lines).replace(GLUE, " ")


def labelled(label: str, text: str, width: int | None, limit: int) -> Iterator[str]:
    """The lines of `label: text`, wrapped between words to `width` characters; None does not wrap. Nothing for an empty text.

    The lines of `text` after its first are to be copied: each stands alone, as it is and unbroken.
    """
    if not text:
        return
    first, *copied = text.splitlines()
    shown = f"{label}: {safe(first, limit)}"
    if width is None:
        yield shown
    else:
        yield from textwrap.wrap(shown, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    for line in copied:
        yield safe(line, limit)
