"""Where the keys of a TOML document are: the line of each, for error messages. The document must be one that tomllib reads.

Neither tomllib nor tomlkit gives positions. This scanner knows just as much of TOML 1.0 as it takes to follow the keys: tables, arrays
of tables, dotted and quoted keys, inline tables, arrays, and all four kinds of strings.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_left
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from typing import TypeAlias

Place: TypeAlias = tuple[int | str, ...]
"""The path to a value: ("farms", 1, "servers", 0) is the first server of the second farm."""

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_STRING = re.compile(
    r'"""(?:[^"\\]++|\\.|"(?!""))*+"{3,5}'
    r"|'''(?:[^']++|'(?!''))*+'{3,5}"
    r'|"(?:[^"\\\n]++|\\.)*+"'
    r"|'[^'\n]*'",
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}#\n]*")


def line_of(text: str, place: Place) -> int | None:
    """The line, counted from 1, of the key or list item at `place` of a valid document.

    For a place that does not exist, the line of the nearest table or list around it; None where that is the whole document.
    """
    return nearest(lines_of(text), place)


def nearest(lines: Mapping[Place, int], place: Place) -> int | None:
    """The line of `place`, or of the nearest place around it that `lines` has; None where there is none."""
    while place and place not in lines:
        place = place[:-1]
    return lines.get(place)


@lru_cache(maxsize=1)
def lines_of(text: str) -> Mapping[Place, int]:
    """The line of each key, table and list item of a valid document. A table that is written in parts has the line of the first one."""
    scanner = _Scanner(text)
    # The lines found so far are right, and a message without a line is better than none.
    with suppress(RecursionError, _UnexpectedError):
        scanner.document()
    return scanner.lines


class _UnexpectedError(Exception):
    """The document is not one that this scanner understands."""


class _Scanner:
    def __init__(self, text: str) -> None:
        self.lines: dict[Place, int] = {}
        self._text = text
        self._at = 0
        self._breaks = [match.start() for match in re.finditer("\n", text)]
        self._lengths: dict[Place, int] = {}
        """Array of tables -> how many tables it has so far."""

    def document(self) -> None:
        table: Place = ()
        while self._skip(_BLANK):
            if self._next("[["):
                table = self._header(array=True)
            elif self._next("["):
                table = self._header(array=False)
            else:
                self._pair(table)

    def _header(self, *, array: bool) -> Place:
        """The place of the table that a header [a.b] or [[a.b]] opens; the brackets before its key are read already."""
        place: Place = ()
        keys = self._keys()
        for number, (key, start) in enumerate(keys):
            place = (*place, key)
            self._found(place, start)
            if array and number == len(keys) - 1:
                self._lengths[place] = self._lengths.get(place, 0) + 1
            if place in self._lengths:
                # A key of an array of tables means its last table.
                place = (*place, self._lengths[place] - 1)
                self._found(place, start)
        self._expect("]]" if array else "]")
        return place

    def _pair(self, table: Place) -> None:
        place = table
        for key, start in self._keys():
            place = (*place, key)
            self._found(place, start)
        self._expect("=")
        self._value(place)

    def _keys(self) -> list[tuple[str, int]]:
        """A dotted key: its parts, and where each begins."""
        keys = [self._key()]
        while self._next("."):
            keys.append(self._key())
        return keys

    def _key(self) -> tuple[str, int]:
        self._skip(_SPACE)
        start = self._at
        if match := _BARE_KEY.match(self._text, start):
            self._at = match.end()
            return match[0], start
        written = self._string()
        # The parser decodes the escapes of a quoted key.
        return tomllib.loads(f"key = {written}")["key"], start

    def _value(self, place: Place) -> None:
        self._skip(_SPACE)
        if self._next("["):
            number = 0
            while self._skip(_BLANK) and not self._next("]"):
                self._found((*place, number), self._at)
                self._value((*place, number))
                number += 1
                self._skip(_BLANK)
                self._next(",")
        elif self._next("{"):
            while self._skip(_BLANK) and not self._next("}"):
                self._pair(place)
                self._skip(_BLANK)
                self._next(",")
        elif self._text[self._at : self._at + 1] in ('"', "'"):
            self._string()
        elif (scalar := _SCALAR.match(self._text, self._at)) and scalar[0]:
            self._at = scalar.end()
        else:
            raise _UnexpectedError

    def _string(self) -> str:
        match = _STRING.match(self._text, self._at)
        if match is None:
            raise _UnexpectedError
        self._at = match.end()
        return match[0]

    def _found(self, place: Place, start: int) -> None:
        self.lines.setdefault(place, bisect_left(self._breaks, start) + 1)

    def _skip(self, pattern: re.Pattern[str]) -> bool:
        """Go past what `pattern` matches; False at the end of the document."""
        match = pattern.match(self._text, self._at)
        self._at = match.end() if match else self._at
        return self._at < len(self._text)

    def _next(self, mark: str) -> bool:
        """True where `mark` comes next, spaces before it aside; then go past it."""
        self._skip(_SPACE)
        found = self._text.startswith(mark, self._at)
        self._at += len(mark) if found else 0
        return found

    def _expect(self, mark: str) -> None:
        if not self._next(mark):
            raise _UnexpectedError
