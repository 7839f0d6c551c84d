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
from lyncarr.core.text import safe
from lyncarr.report.text import change_line, value, wrapped
from tests.lab.console import FARMS, Bench

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
        text = "the global rule 'Old site' comes before the rules of lyncarr and may take requests for meet.contoso.com: check its purpose"
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


def outside(text: str) -> list[str]:
    """What a report says is to be tried from outside, and what stands there."""
    lines = text.splitlines()
    return lines[lines.index("Now try from outside (lyncarr does not reach there):") + 1 :]


def test_a_new_server_is_tried_by_every_address(tmp_path: Path) -> None:
    farms = FARMS + 'http = "forward"\nhttps = false\n'
    with Bench(tmp_path, more='[website]\nhttps = "*:4443:"\n', farms=farms) as bench:
        assert outside(bench.here("provision", "--yes", output="text").out) == [
            "  https://dialin.contoso.com:4443/",
            "  http://meet.contoso.com/",
            "What stands outside this server: the names in external DNS, and TCP 4443 and 80 (80 for: meet.contoso.com) "
            "from the internet to it.",
        ]


@pytest.mark.parametrize("http", ["redirect", "forward"])
def test_what_answers_without_tls_from_now_on_is_to_be_tried(tmp_path: Path, http: str) -> None:
    with Bench(tmp_path) as bench:
        bench.finish()
        bench.farms = FARMS + f'http = "{http}"\n'
        bench.write_site()
        assert outside(bench.here("provision", "--yes", output="text").out) == [
            "  http://meet.contoso.com/",
            "What stands outside this server: the names in external DNS, and TCP 80 from the internet to it.",
        ]
        bench.machine.states["proxy-timeout"]["meet.contoso.com"]["timeout_s"] = 30
        assert "outside" not in bench.here("provision", "--yes", output="text").out


def test_a_run_of_some_steps_claims_no_more_than_these(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        for said in ("Applied, and seen in place", "The steps looked at are in place"):
            lines = bench.here("provision", "--yes", "--step", "host-conditions", output="text").out.splitlines()
            assert lines[-1] == f"rp01: {said} (ssl-offload, http-rules, host-conditions); without --step lyncarr looks at all 11."


def test_values_in_words() -> None:
    assert [value(one) for one in (None, True, False, 0, "", (), ("a", "b"))] == ["(absent)", "yes", "no", "0", "", "none", "[a, b]"]
    assert change_line(Change("x", None, None, {"enabled": True, "servers": ("a",)})) == "+ x  enabled: yes, servers: [a]"
    assert change_line(Change("x", "timeout_s", None, 900)) == "~ x  timeout_s: (absent) -> 900"


RULES = tuple(f"ARR_{name}.contoso.com_loadbalance_SSL" for name in ("dialin", "meet", "lyncdiscover", "lyncwebext", "wac"))


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (RULES, RULES[:2] + RULES[3:], f"removed {RULES[2]}"),
        (RULES[1:], RULES, f"added {RULES[0]}"),
        (RULES[:4], (*RULES[1:3], RULES[0], RULES[4]), f"removed {RULES[3]}; added {RULES[4]}; moved {RULES[0]}"),
        ((*RULES, RULES[0]), RULES, f"removed {RULES[0]}"),
        (RULES[::-1], RULES, f"[{', '.join(RULES[::-1])}] -> [{', '.join(RULES)}]"),
        (RULES, (), f"[{', '.join(RULES)}] -> none"),
        (("fe1", "fe2"), ("fe2", "fe3"), "[fe1, fe2] -> [fe2, fe3]"),
    ],
)
def test_of_long_lists_the_difference_is_shown(before: tuple[str, ...], after: tuple[str, ...], told: str) -> None:
    assert change_line(Change("rules", "order", before, after)) == f"~ rules  order: {told}"


def test_a_hostile_list_does_not_hold_the_plan_up() -> None:
    line = change_line(Change("rules", "order", RULES * 100_000, (*RULES[::-1], "new")))
    assert line.endswith(f"; added new; moved {', '.join(RULES[:0:-1])}")
    assert len(line) < 5_000


@pytest.mark.parametrize("text", ["\x1b[2J", "a\nb", "a\rb", "\u202eexe.gpj", "\x9b31m", "\u2028", "\ud800", "\x00", "\u200b", "a\u00a0b"])
def test_nothing_that_works_a_terminal_is_left(text: str) -> None:
    assert safe(text).isprintable()
    assert safe(safe(text)) == safe(text)


def test_long_texts_are_cut_and_say_so() -> None:
    assert safe("x" * 10_000_000) == "x" * 500 + "... (10000000 characters)"
    assert value(("server",) * 100_000).endswith("... (100000 in all)]")
    assert len(value(("server",) * 100_000)) < 5_000


def test_a_name_stays_with_its_value_where_a_line_is_wrapped() -> None:
    line = "+ rule  enabled: yes, action: https://dialin.contoso.com/{R:0}, match: *"
    assert wrapped(line, 40, "  ") == "  + rule  enabled: yes,\n        action: https://dialin.contoso.com/{R:0},\n        match: *"
