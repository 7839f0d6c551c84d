"""Patterns of rules and conditions. What Python might understand in another way than the host is refused, and never guessed.

URL Rewrite matches with the regular expressions of ECMAScript. In .NET's words for that dialect, \\w, \\d and \\s are ASCII, and Unicode
categories and inline options do not exist. The constructs below are read differently, or not at all, by one of the two sides: named groups,
lookbehind, atomic groups, conditionals, inline options other than none, escapes other than those in _ESCAPES, octal escapes, subtraction
of character classes, possessive quantifiers, and a quantifier without a lower limit.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from lyncarr.routing.model import Syntax

if TYPE_CHECKING:
    import regex

TIME_LIMIT_S = 0.5
"""For one match. A pattern of a host can be written so that it takes years."""
MAX_PATTERN_CHARS = 4_000
_ESCAPES = set("dDwWsSbBtnrfv")


class UndecidedError(Exception):
    """The result depends on something that this machine does not know, or must not guess; the text says on what."""


def match(pattern: str, syntax: Syntax, text: str, *, ignore_case: bool) -> list[str] | None:
    """The matched text and its captures ({R:0} to {R:9}); None where `text` does not match. Raises UndecidedError."""
    if ignore_case and not (pattern.isascii() and text.isascii()):
        raise UndecidedError("letters that are not ASCII, compared without upper and lower case")
    if syntax == "ExactMatch":
        same = pattern.lower() == text.lower() if ignore_case else pattern == text
        return [text] if same else None
    try:
        found = _compiled(pattern, syntax, ignore_case).search(text, timeout=TIME_LIMIT_S)
    except TimeoutError:
        raise UndecidedError(f"the pattern {pattern!r}, which takes too long to evaluate") from None
    return None if found is None else [found[0], *(group or "" for group in found.groups())]


@lru_cache(maxsize=1024)
def _compiled(pattern: str, syntax: Syntax, ignore_case: bool) -> regex.Pattern[str]:
    import regex

    if len(pattern) > MAX_PATTERN_CHARS:
        raise UndecidedError(f"a pattern of more than {MAX_PATTERN_CHARS} characters")
    if syntax == "Wildcard":
        # The whole text, as the redirection of IIS does; the asterisk captures, the question mark does not.
        text = "".join({"*": "(.*)", "?": "."}.get(character, re.escape(character)) for character in pattern)
        return regex.compile(rf"\A{text}\Z", _flags(regex, ignore_case) | regex.DOTALL)
    if construct := unknown_construct(pattern):
        raise UndecidedError(f"the pattern {pattern!r}, because this machine does not evaluate {construct}")
    try:
        return regex.compile(pattern, _flags(regex, ignore_case))
    except (regex.error, RecursionError, OverflowError) as error:
        raise UndecidedError(f"the pattern {pattern!r}, which is not a valid one here ({error})") from None


def _flags(regex: Any, ignore_case: bool) -> int:
    return int(regex.VERSION0 | regex.ASCII | (regex.IGNORECASE if ignore_case else 0))


def unknown_construct(pattern: str) -> str:
    """The first construct of a regular expression that is not evaluated here, in words; "" where there is none."""
    in_class, at = False, 0
    while at < len(pattern):
        character, following = pattern[at], pattern[at + 1 : at + 2]
        if character == "\\":
            if following.isalnum() and following not in _ESCAPES and not _is_code(pattern, at) and not _is_reference(pattern, at):
                return f"the escape \\{following}"
            at += 2
            continue
        if in_class:
            if character == "[":
                return "a class within a class"
            in_class = character != "]"
        elif character == "[":
            in_class = True
            # In .NET, a bracket that comes first in a class is a member of it.
            at += 1 if following == "^" else 0
            if pattern[at + 1 : at + 2] == "]":
                return "a class that begins with ]"
        elif character == "(" and following == "?" and pattern[at + 2 : at + 3] not in (":", "=", "!"):
            return f"the group (?{pattern[at + 2 : at + 3]}"
        elif character in "*+?}" and following == "+":
            return "a possessive quantifier"
        elif character == "{" and (following == "," or not re.match(r"\{[0-9]{1,4}(,[0-9]{0,4})?\}", pattern[at:])):
            return "a brace that is not a quantifier"
        at += 1
    return ""


def _is_code(pattern: str, at: int) -> bool:
    return re.match(r"\\(x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4})", pattern[at:]) is not None


def _is_reference(pattern: str, at: int) -> bool:
    """A reference to one of the first nine groups, where it cannot be read as an octal number."""
    found = re.match(r"\\([1-9])(?![0-9])", pattern[at:])
    return found is not None and int(found[1]) <= len(re.findall(r"(?<!\\)\((?!\?)", pattern))
