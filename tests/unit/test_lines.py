"""powershell/lines.py: what goes into the bootstrap's standard input, and what comes back."""

from __future__ import annotations

import base64
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lyncarr.powershell import lines
from lyncarr.powershell.bundle import shipped, winrs_bootstrap
from lyncarr.powershell.protocol import MAX_EVENT_CHARS


def test_the_command_line_fits_into_cmd_and_holds_the_bootstrap_alone() -> None:
    line = lines.command_line()
    assert len(line) < lines.LONGEST_LINE
    program, *switches, encoded = line.split(" ")
    assert program.endswith(r"\powershell.exe")
    assert switches == ["-NoLogo", "-NoProfile", "-NonInteractive", "-EncodedCommand"]
    assert base64.b64decode(encoded).decode("utf-16-le") == winrs_bootstrap()


def test_the_bootstrap_names_no_variable_for_which_powershell_would_read_standard_input() -> None:
    assert not re.search(r"\$\{?input\b", winrs_bootstrap(), re.IGNORECASE)


def test_nothing_that_is_sent_looks_like_an_order_to_the_bootstrap() -> None:
    for text in shipped().bundles.values():
        for line in text.splitlines():
            assert line != lines.RUN
            assert not re.search(rf"{lines.ASK}[0-9]+$", line)


def test_a_request_is_the_script_the_request_the_secrets_and_the_order() -> None:
    assert lines.encode("one\ntwo\n", "{}", {}) == b"one\ntwo\n{}\n\n#run\n"
    assert lines.encode("one", "{}", {}) == b"one\n{}\n\n#run\n"
    assert lines.encode(None, "{}", {"pfx": "AAAA"}) == b'{}\n{"pfx": "AAAA"}\n#run\n'


@given(st.text(st.characters(exclude_categories=["Cs"])), st.lists(st.integers(1, 7), min_size=1))
def test_lines_are_the_same_however_they_are_cut(text: str, cuts: list[int]) -> None:
    data, reader, found = f"{text}\n".encode(), lines.LineReader(), list[str]()
    while data:
        for size in cuts:
            found += reader.feed(data[:size])
            data = data[size:]
    assert found == text.split("\n")


@pytest.mark.parametrize("data", [b"\xff\n", b"x" * (MAX_EVENT_CHARS + 1)])
def test_what_is_no_line_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"utf-8|a line has more than"):
        lines.LineReader().feed(data)


@pytest.mark.parametrize("length", range(20, 60))
def test_the_line_that_begins_a_request_is_in_one_piece(length: int) -> None:
    request = lines.encode(None, "x" * length, {})
    pieces = lines.pieces(request, 16)
    assert b"".join(pieces) == request
    assert max(map(len, pieces)) <= 16
    assert pieces[-1].endswith(b"#run\n")
