"""The one place that makes foreign text safe to show: text of a host, of a file, of the command line. Pure."""

from __future__ import annotations

import unicodedata

MAX_CHARS = 500
MAX_QUOTED_CHARS = 80
ESCAPES = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r"}
"""The letters that TOML allows after a backslash in double quotes, and that file names begin with."""


def safe(text: object, limit: int = MAX_CHARS) -> str:
    """`str(text)` on one line, with control, format and unassigned characters escaped, cut after `limit` characters.

    Escape sequences, direction overrides and line breaks of a hostile host would otherwise rewrite what a person reads.
    A second `safe` escapes nothing again, but it may cut again, because escaped text is longer.
    """
    whole = str(text)
    shown = "".join(character if _is_safe(character) else _escaped(character) for character in whole[: limit + 1])
    return shown if len(whole) <= limit else shown[:limit] + f"... ({len(whole)} characters)"


def quoted(text: object, limit: int = MAX_QUOTED_CHARS) -> str:
    """`text` in single quotes for a message: safe, and cut after `limit` characters."""
    whole = str(text)
    shown = safe(whole[:limit], limit)
    return f"'{shown}...'" if len(whole) > limit else f"'{shown}'"


def swallowed_backslash(text: str) -> str:
    """What to do about a character in `text` that a backslash in double quotes made of a path, as in "certs\\table.pfx"; "" without one."""
    found = next((name for name, character in ESCAPES.items() if character in text), None)
    if found is None:
        return ""
    return f"\\{found} in double quotes is one character, not a backslash and {found}; use single quotes around the text, or / in paths"


def safe_lines(text: str) -> str:
    """`text` with its line breaks kept and tabs expanded; everything else as in `safe`, and nothing cut."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").expandtabs().split("\n")
    return "\n".join(safe(line, len(line)) for line in lines)


def _is_safe(character: str) -> bool:
    return character == " " or unicodedata.category(character)[0] not in "CZ"


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii") if character.isascii() else f"\\u{ord(character):04x}"
