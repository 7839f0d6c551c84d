"""What people see, word for word: one plan, one run, one failure, through the real console script.

The texts are in golden/. LYNCARR_GOLDEN=write writes them again; read them before you keep them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from lyncarr.core.text import safe
from lyncarr.report.text import value
from tests.lab.console import FARMS, Bench

GOLDEN = Path(__file__).parent / "golden"
RUN_ID = re.compile(r"lyncarr-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
SECONDS = re.compile(r"\b\d+ s\b(?=\)|\.)")


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
    text = SECONDS.sub("N s", RUN_ID.sub("lyncarr-RUN", text))
    if os.environ.get("LYNCARR_GOLDEN") == "write":
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")


def test_a_plan(bench: Bench) -> None:
    done = bench.run("plan")
    compare("plan", done.out)
    assert done.err == "rp01: connecting, reading the current state\n"


def test_a_plan_on_a_terminal_of_80_columns(bench: Bench) -> None:
    with bench.terminal("plan") as terminal:
        assert terminal.end() == 2
    lines = [line for line in terminal.text.splitlines() if line and "connecting, reading" not in line]
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


def internet(text: str) -> list[str]:
    """What a report asks to test from the internet, with its heading."""
    lines = text.splitlines()
    at = next((number for number, line in enumerate(lines) if line.startswith("Test from the internet")), len(lines))
    return [line for line in lines[at:] if line.startswith(("Test", "  "))]


def test_a_new_server_is_tested_by_every_address(tmp_path: Path) -> None:
    farms = FARMS + 'http = "forward"\nhttps = false\n'
    with Bench(tmp_path, more='[website]\nhttps = "*:4443:"\n', farms=farms) as bench:
        assert internet(bench.here("provision", "--yes", output="text").out) == [
            "Test from the internet (TCP 4443 and 80; 80 for meet.contoso.com):",
            "  https://dialin.contoso.com:4443/",
            "  http://meet.contoso.com/",
        ]


@pytest.mark.parametrize("http", ["redirect", "forward"])
def test_each_name_for_which_anything_changed_is_to_be_tested(tmp_path: Path, http: str) -> None:
    with Bench(tmp_path) as bench:
        bench.finish()
        bench.farms = FARMS + f'http = "{http}"\n'
        bench.write_site()
        meet = [
            "Test from the internet (TCP 443 and 80; 80 for meet.contoso.com):",
            "  https://meet.contoso.com/",
            "  http://meet.contoso.com/",
        ]
        states = bench.finish().machine.states
        states["proxy-timeout"]["meet.contoso.com"]["timeout_s"] = 30
        assert internet(bench.here("provision", "--yes", output="text").out) == meet
        del bench.machine.states["http-rules"][
            {"redirect": "lyncarr_meet.contoso.com_redirect"}.get(http, "ARR_meet.contoso.com_loadbalance")
        ]
        assert internet(bench.here("provision", "--yes", output="text").out) == meet
        bench.machine.states["iis"]["W3SVC"]["running"] = False
        assert "  https://dialin.contoso.com/" in internet(bench.here("provision", "--yes", output="text").out), "every name"


def test_a_run_of_some_steps_claims_no_more_than_these(tmp_path: Path) -> None:
    selected = "in the selected steps: ssl-offload, http-rules, host-conditions."
    with Bench(tmp_path) as bench:
        first, second = (
            bench.here("provision", "--yes", "--step", "host-conditions", output="text").out.splitlines()[-1] for _ in range(2)
        )
    assert first.startswith("Apply complete on rp01 (")
    assert first.endswith(f"Verified: no changes pending {selected}")
    assert second.startswith("No changes. rp01 (")
    assert second.endswith(f"matches the configuration file {selected}")


def test_a_run_ends_with_its_summary_and_its_time(bench: Bench) -> None:
    lines = bench.here("provision", "--yes", output="text").out.splitlines()
    assert re.fullmatch(r"Apply complete on rp01 \(RP01\): 4 changes in 4 steps, \d+ s\. Verified: no changes pending\.", lines[-1]), lines[
        -1
    ]
    progress = [line for line in lines if line.startswith("[")]
    assert [re.sub(r"\(\d+ s\)", "(N s)", " ".join(line.split())) for line in progress] == [
        f"[{number}/4] {step} done (N s)" for number, step in enumerate(("iis", "proxy-timeout", "http-rules", "host-conditions"), 1)
    ]


def test_each_step_is_reported_when_it_ends_on_a_terminal_too(bench: Bench) -> None:
    with bench.terminal("provision", "--yes") as terminal:
        terminal.wait_for("[1/4] iis")
        assert terminal.end() == 0
    assert re.search(r"\[4/4\] host-conditions  done \(\d+ s\)", terminal.text)


def test_colours_say_what_is_added_changed_and_removed(bench: Bench) -> None:
    with bench.terminal("plan") as terminal:
        assert terminal.end() == 2
    assert re.search(r"\x1b\[32m +\+ ARR_meet", terminal.seen)
    assert re.search(r"\x1b\[33m +~ meet\.contoso\.com  timeout 30 s -> 900 s", terminal.seen)
    assert re.search(r"\x1b\[31m +- rule ARR_dialin", terminal.seen)
    assert "+ add" not in terminal.text, "no legend beside the colours"


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {"TERM": "xterm", "NO_COLOR": "1", "LC_ALL": "C"}])
def test_without_colours_there_is_a_legend(bench: Bench, environment: dict[str, str]) -> None:
    with bench.terminal("plan", **environment) as terminal:
        assert terminal.end() == 2
    assert "Changes (+ add, ~ change, - remove):" in terminal.text
    assert not re.search(r"\x1b\[(?:\d+;)*[349]\d", terminal.seen), "no colour"
    assert terminal.text.isascii()
    if environment["TERM" if "TERM" in environment else "NO_COLOR"] == "dumb":
        assert "\x1b" not in terminal.seen
        assert "rp01: connecting, reading the current state\n" in terminal.text


def test_by_name(bench: Bench) -> None:
    done = bench.run("plan", "--view", "names")
    compare("plan-names", done.out)


@pytest.mark.parametrize("text", ["\x1b[2J", "a\nb", "a\rb", "\u202eexe.gpj", "\x9b31m", "\u2028", "\ud800", "\x00", "\u200b", "a\u00a0b"])
def test_nothing_that_works_a_terminal_is_left(text: str) -> None:
    assert safe(text).isprintable()
    assert safe(safe(text)) == safe(text)


def test_long_texts_are_cut_and_say_so() -> None:
    assert safe("x" * 10_000_000) == "x" * 500 + "... (10000000 characters)"
    assert value(("server",) * 100_000).endswith("... (100000 in total)]")
    assert len(value(("server",) * 100_000)) < 5_000
