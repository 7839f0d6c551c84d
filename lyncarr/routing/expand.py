"""Strings of rules: {R:1}, {C:1}, {SERVER_VARIABLE}, {Map:key}, {ToLower:...}, {UrlEncode:...}, {UrlDecode:...}, within each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import quote, unquote

from lyncarr.routing.model import RewriteMap
from lyncarr.routing.patterns import UndecidedError

MAX_CHARS = 64 * 1024
MAX_DEPTH = 20


class Expander:
    """Expands strings for one rule. `variable` returns the value of a server variable, or raises UndecidedError."""

    def __init__(self, variable: Callable[[str], str], maps: tuple[RewriteMap, ...]) -> None:
        self._variable = variable
        self._maps = {each.name.casefold(): each for each in maps}
        self.rule: list[str] = []
        """{R:0} to {R:9} of the present rule."""
        self.condition: list[str] = []
        """{C:0} to {C:9}: of the last matched condition, or with trackAllCaptures of all."""

    def expand(self, text: str) -> str:
        """`text` with the values of its references. Raises UndecidedError where one is not known."""
        result, at = self._sequence(text, 0, nested=False, depth=0)
        return result if at >= len(text) else result + text[at:]

    def _sequence(self, text: str, at: int, *, nested: bool, depth: int) -> tuple[str, int]:
        """The expanded text from `at` on: to the end, or `nested` up to the brace that closes the reference around it."""
        if depth > MAX_DEPTH:
            raise UndecidedError("references that are nested too deeply")
        parts: list[str] = []
        size = 0
        while at < len(text):
            part, following = text[at], at + 1
            if part == "{":
                part, following = self._reference(text, at + 1, depth)
            elif part == "}" and nested:
                break
            parts.append(part)
            size += len(part)
            if size > MAX_CHARS:
                raise UndecidedError(f"a text of more than {MAX_CHARS} characters")
            at = following
        return "".join(parts), at

    def _reference(self, text: str, at: int, depth: int) -> tuple[str, int]:
        end = at
        while end < len(text) and text[end] not in ":{}":
            end += 1
        name = text[at:end]
        if text[end : end + 1] == "}":
            return self._variable(name), end + 1
        if text[end : end + 1] != ":":
            raise UndecidedError(f"the text {text!r}, whose braces are not those of a reference")
        argument, end = self._sequence(text, end + 1, nested=True, depth=depth + 1)
        if text[end : end + 1] != "}":
            raise UndecidedError(f"the text {text!r}, in which a brace is not closed")
        return self._call(name, argument), end + 1

    def _call(self, name: str, argument: str) -> str:
        word = name.casefold()
        if word in ("r", "c") and argument.isascii() and argument.isdigit():
            captures = self.rule if word == "r" else self.condition
            return captures[int(argument)] if int(argument) < len(captures) else ""
        if word == "tolower":
            if not argument.isascii():
                raise UndecidedError("ToLower of letters that are not ASCII")
            return argument.lower()
        if word == "urlencode":
            return quote(argument, safe="")
        if word == "urldecode":
            return unquote(argument)
        found = self._maps.get(word)
        if found is None:
            raise UndecidedError(f"the rewrite map or function {name!r}, which the configuration does not have")
        return _looked_up(found.entries, argument, found.ignore_case, found.default)


def _looked_up(entries: Mapping[str, str], key: str, ignore_case: bool, default: str) -> str:
    if not ignore_case:
        return entries.get(key, default)
    if not key.isascii():
        raise UndecidedError("a key of a rewrite map with letters that are not ASCII")
    return next((value for known, value in entries.items() if known.lower() == key.lower()), default)
