"""The line of each key of a configuration file: for random documents the scanner finds every key that tomllib finds."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lyncarr.config.lines import Place, line_of, lines_of

DOCUMENT = '''# a comment with [brackets] and a = 1
title = "a # no comment" # one
[hosts.rp01]
address = '192.0.2.10'
"user name" = """
[not.a.table]
x = 1
""" # after
tls.mode = "verify"

  [hosts."rp02.contoso.com"]
  port = 5986
[[farms]]
name = "dialin"
servers = [
  # the first one
  "a", [1, 2],
  { x = 1, "y z" = [ 2,
  3 ] },
]
[farms.extra]
on = true
[[farms]]
name = \'\'\'me
et\'\'\'
[[farms.parts]]
a = 2026-01-01 07:32:00
[[farms.parts]]
"\\u0062" = 1_000
'''


@pytest.mark.parametrize(
    ("place", "line"),
    [
        (("title",), 2),
        (("hosts",), 3),
        (("hosts", "rp01"), 3),
        (("hosts", "rp01", "user name"), 5),
        (("hosts", "rp01", "tls", "mode"), 9),
        (("hosts", "rp02.contoso.com", "port"), 12),
        (("farms", 0), 13),
        (("farms", 0, "servers"), 15),
        (("farms", 0, "servers", 0), 17),
        (("farms", 0, "servers", 1, 1), 17),
        (("farms", 0, "servers", 2, "y z"), 18),
        (("farms", 0, "servers", 2, "y z", 1), 19),
        (("farms", 0, "extra", "on"), 22),
        (("farms", 1), 23),
        (("farms", 1, "parts", 0, "a"), 27),
        (("farms", 1, "parts", 1, "b"), 29),
    ],
)
@pytest.mark.parametrize("ends", ["\n", "\r\n"], ids=["LF", "CRLF"])
def test_a_key_is_found_at_its_line(place: Place, line: int, ends: str) -> None:
    assert line_of(DOCUMENT.replace("\n", ends), place) == line


def test_a_missing_key_has_the_line_of_its_table() -> None:
    assert line_of(DOCUMENT, ("farms", 1, "servers", 3)) == 23
    assert line_of(DOCUMENT, ("hosts", "rp03")) == 3
    assert line_of(DOCUMENT, ("website",)) is None


def test_deep_nesting_ends_the_search_and_not_the_program() -> None:
    assert line_of("a = 1\nb = " + "[" * 100_000, ("a",)) == 1


def test_a_document_of_a_megabyte_is_scanned_at_once() -> None:
    text = 'a = """' + "\\n" * 200_000 + '"""\n' + "# x\n" * 100_000 + "[[farms]]\nb = [" + "1, " * 100_000 + "]\n"
    assert line_of(text, ("farms", 0, "b", 99_999)) == 100_003


# Documents of every form: the writer below chooses how to write a value, hypothesis chooses for it.

KEYS = st.one_of(st.from_regex(r"[A-Za-z0-9_-]{1,4}", fullmatch=True), st.text(st.characters(exclude_categories=["Cs"]), max_size=4))
TEXTS = st.text(st.one_of(st.sampled_from("\"'\\\n[]{}#=,. "), st.characters(exclude_categories=["Cs", "Cc"])), max_size=8)
SCALARS = st.one_of(
    st.integers(-99, 99).map(str),
    st.sampled_from(["true", "1.5e3", "inf", "2026-01-01", "2026-01-01 07:32:00Z", "07:32:00", "0x1BB"]),
    TEXTS.map(lambda text: basic(text)),
    TEXTS.map(lambda text: '"""' + basic(text)[1:-1].replace("\\n", "\n") + '"""'),
    TEXTS.filter(lambda text: "'" not in text and "\n" not in text).map(lambda text: f"'{text}'"),
    TEXTS.filter(lambda text: "'''" not in text and not text.endswith("'")).map(lambda text: f"'''\n{text}'''"),
)
BREAKS = st.sampled_from(["", " ", "\n", "\n# ] } = \n", " #[x]\n\t"])


def basic(text: str) -> str:
    """A basic string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return '"' + "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in escaped) + '"'


@st.composite
def keys(draw: st.DrawFn) -> str:
    key = draw(KEYS)
    bare = key.isascii() and key.replace("-", "a").replace("_", "a").isalnum()
    return key if bare and draw(st.booleans()) else basic(key)


@st.composite
def values(draw: st.DrawFn, depth: int = 3) -> str:
    kind = draw(st.sampled_from(["scalar", "scalar", "list", "table"])) if depth else "scalar"
    if kind == "scalar":
        return draw(SCALARS)
    if kind == "list":
        items = [draw(BREAKS) + draw(values(depth - 1)) + draw(BREAKS) for _ in range(draw(st.integers(0, 3)))]
        return "[" + ",".join(items) + draw(st.sampled_from(["", ","]) if items else st.just("")) + draw(BREAKS) + "]"
    return "{ " + " , ".join(draw(pairs(depth - 1)) for _ in range(draw(st.integers(0, 3)))) + " }"


@st.composite
def pairs(draw: st.DrawFn, depth: int = 3) -> str:
    dots = draw(st.sampled_from([".", " . "]))
    return dots.join(draw(st.lists(keys(), min_size=1, max_size=3))) + draw(st.sampled_from(["=", " = "])) + draw(values(depth))


@st.composite
def documents(draw: st.DrawFn) -> str:
    lines = []
    for _ in range(draw(st.integers(0, 8))):
        kind = draw(st.sampled_from(["pair", "pair", "pair", "table", "array", "comment"]))
        if kind == "pair":
            lines.append(draw(st.sampled_from(["", "  "])) + draw(pairs()) + draw(st.sampled_from(["", " # x"])))
        elif kind == "comment":
            lines.append("# [a] b = 'c")
        else:
            name = ".".join(draw(st.lists(st.one_of(keys(), st.sampled_from(["a", "b"])), min_size=1, max_size=3)))
            lines.append(f"[[{name}]]" if kind == "array" else f"[ {name} ]")
    return draw(st.sampled_from(["\n", "\r\n"])).join(lines)


def places(value: Any, place: Place = ()) -> list[Place]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place] * bool(place) + [found for key, item in inner for found in places(item, (*place, key))]


@given(documents())
def test_every_key_of_a_random_document_is_found_at_a_line_with_its_text(text: str) -> None:
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    found = lines_of(text)
    assert set(places(data)) == set(found)
    lines = text.replace("\r\n", "\n").split("\n")
    for place, number in found.items():
        if isinstance(place[-1], str):
            line = lines[number - 1]
            assert place[-1] in line or basic(place[-1])[1:-1] in line
