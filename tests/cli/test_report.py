"""What people see, word for word: one plan, one run, one failure, through the real console script.

The texts are in golden/; LYNCARR_GOLDEN=write makes them anew, to be read before they are kept.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from lyncarr.core.model import Change
from lyncarr.report.text import change_line, clean, value, wrapped
from tests.lab.console import Bench

GOLDEN = Path(__file__).parent / "golden"
RUN_ID = re.compile(r"lyncarr-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A server with its farms, one of them touched by hand."""
    with Bench(tmp_path) as bench:
        states = bench.finish().machine.states
        states["iis"]["W3SVC"]["running"] = False
        states["proxy-timeout"]["meet.contoso.com"]["timeout_s"] = 30
        states["http-rules"]["dialin.contoso.com"]["extra_rules"] = ["ARR_dialin.contoso.com_loadbalance"]
        del states["host-conditions"]["ARR_meet.contoso.com_loadbalance_SSL"]
        text = "the global rule 'Old site' stands before ours and may take requests for meet.contoso.com"
        bench.machine.notes = [{"step": "ssl-offload", "kind": "foreign-rule", "text": text}]
        yield bench


def compare(name: str, text: str) -> None:
    file = GOLDEN / f"{name}.txt"
    text = RUN_ID.sub("lyncarr-RUN", text)
    if os.environ.get("LYNCARR_GOLDEN") == "write":
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")


def test_a_plan(bench: Bench) -> None:
    done = bench.run("plan")
    compare("plan", done.out)
    assert done.err == "rp01: connecting and looking\n"


def test_a_plan_on_a_terminal_of_80_columns(bench: Bench) -> None:
    with bench.terminal("plan") as terminal:
        assert terminal.end() == 2
    lines = [line for line in terminal.text.splitlines() if line and "connecting and looking" not in line]
    compare("plan-80", "\n".join(lines) + "\n")


def test_the_next_command_is_not_broken_where_a_terminal_is_narrow(bench: Bench) -> None:
    move = "lyncarr provision --host rp01 --address 127.0.0.1 --user Administrator --step farms --step iis"
    for columns in (60, 80):
        with bench.terminal(*move.replace("provision --host rp01", "plan").split()[1:], columns=columns) as terminal:
            assert terminal.end() == 2
        assert move in terminal.text


def test_a_run(bench: Bench) -> None:
    done = bench.run("provision", "--yes")
    compare("provision", done.out)
    compare("provision-stderr", done.err)


def test_a_failure(bench: Bench) -> None:
    bench.machine.faults.fail = {"http-rules": ("error", "IIS refused the change: The parameter is incorrect (0x80070057)")}
    done = bench.run("provision", "--yes")
    compare("failure", done.out)
    compare("failure-stderr", done.err)


def test_values_in_words() -> None:
    assert [value(one) for one in (None, True, False, 0, "", (), ("a", "b"))] == ["(absent)", "yes", "no", "0", "", "none", "[a, b]"]
    assert change_line(Change("x", None, None, {"enabled": True, "servers": ("a",)})) == "+ x  enabled: yes, servers: [a]"
    assert change_line(Change("x", "timeout_s", None, 900)) == "~ x  timeout_s: (absent) -> 900"


@pytest.mark.parametrize("text", ["\x1b[2J", "a\nb", "a\rb", "\u202eexe.gpj", "\x9b31m", "\u2028", "\ud800", "\x00", "\u200b", "a\u00a0b"])
def test_nothing_that_works_a_terminal_is_left(text: str) -> None:
    assert clean(text).isprintable()
    assert clean(clean(text)) == clean(text)


def test_long_texts_are_cut_and_say_so() -> None:
    assert clean("x" * 10_000_000) == "x" * 500 + "... (10000000 characters)"
    assert value(("server",) * 100_000).endswith("... (100000 in all)]")
    assert len(value(("server",) * 100_000)) < 5_000


def test_a_name_stays_with_its_value_where_a_line_is_wrapped() -> None:
    line = "+ rule  enabled: yes, action: https://dialin.contoso.com/{R:0}, match: *"
    assert wrapped(line, 40, "  ") == "  + rule  enabled: yes,\n        action: https://dialin.contoso.com/{R:0},\n        match: *"
