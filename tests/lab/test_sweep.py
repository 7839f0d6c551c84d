"""Faults at every message of a run, on the replay lab: the right outcome, no write twice, and the next run converges.

`make faults` prints the outcome of each case, with those that would take too long here.
"""

from __future__ import annotations

import dataclasses
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from lyncarr.lab.wire.channels import Channel
from lyncarr.lab.wire.wsman import RECEIVE, Message
from tests.lab.sweep import (
    FAULTS,
    KILLED,
    Arrival,
    Operation,
    Outcome,
    ReplayGround,
    Sent,
    allowed_codes,
    broken,
    by_name,
    hurried,
    make_materials,
    strike,
)

CASES: list[tuple[str, Operation, str]] = [
    *[("psrp", "plan", name) for name in ("reset before", "reset after", "torn answer", "closed after", "503", "Ctrl-C")],
    *[("winrs", "plan", name) for name in ("reset before", "reset after")],
    *[(transport, "farms", fault.name) for transport in ("psrp", "winrs") for fault in FAULTS],
    *[(transport, "install", "reset after") for transport in ("psrp", "winrs")],
]


@pytest.fixture(scope="module")
def materials(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_materials(tmp_path_factory.mktemp("site"))


@pytest.mark.parametrize(("transport", "operation", "name"), CASES, indirect=["transport"])
@pytest.mark.usefixtures("transport")
def test_at_every_message(operation: Operation, name: str, tmp_path: Path, materials: Path) -> None:
    fault = by_name(name)
    with hurried(), ReplayGround(tmp_path, operation=operation, materials=materials if operation == "install" else None) as ground:
        whole = strike(ground)
        assert broken(whole) == []
        outcomes = [strike(ground, fault, arrival.index) for arrival in whole.arrivals]
    assert [str(outcome.hit) for outcome in outcomes] == [str(arrival) for arrival in whole.arrivals]
    wrong = {f"{outcome.hit and outcome.hit.index} {outcome.hit}": broken(outcome) for outcome in outcomes if broken(outcome)}
    assert wrong == {}


# The judge itself.


@pytest.fixture(scope="module")
def lost(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """A run whose only write never arrived."""
    with hurried(), ReplayGround(tmp_path_factory.mktemp("lost"), operation="farms") as ground:
        outcome = strike(ground, by_name("reset before"), 5)
    assert broken(outcome) == []
    assert (outcome.code, outcome.steps["farms"], outcome.steps["iis"]) == (69, "failed", "in-place")
    return outcome


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"code": 0, "word": "applied"}, "exit code 0, not 69"),
        ({"word": "applied"}, "exit code 69 is called applied"),
        ({"again": 75}, "the next run ended with 75"),
        ({"freed_s": 61.0}, "a shell stayed for 61.0 s"),
        ({"wrong": ("IIS was restarted 2 times",)}, "IIS was restarted 2 times"),
        ({"operation": "plan"}, "a plan wrote"),
        ({"redone": frozenset()}, "farms: was called failed, and the next run found it in place"),
        ({"redone": frozenset({"iis"})}, "iis: was called in-place, and the next run found it drifted"),
    ],
)
def test_the_judge_sees_what_is_wrong(lost: Outcome, changes: dict[str, Any], said: str) -> None:
    assert any(sentence.startswith(said) for sentence in broken(dataclasses.replace(lost, **changes)))


def test_the_judge_sees_a_write_that_was_sent_twice(lost: Outcome) -> None:
    (write,) = [arrival for arrival in lost.arrivals if arrival.sent and arrival.sent.writes]
    found = broken(dataclasses.replace(lost, arrivals=(*lost.arrivals, write)))
    assert found == [f"sent twice: {write.sent}"]


def test_a_rule_without_its_host_condition_is_seen(tmp_path: Path) -> None:
    with ReplayGround(tmp_path, operation="farms") as ground:
        ground.finish()
        assert ground.seen() == []
        del ground.machine.states["host-conditions"]["ARR_meet.contoso.com_loadbalance_SSL"]
        assert ground.seen() == ["rule ARR_meet.contoso.com_loadbalance_SSL without its host condition"]


# docs/faults.md.

HITS = {
    "psrp": {
        "Create": Arrival(1, "Create", None),
        "Command": Arrival(1, "Command", Sent("run", "apply", True, ("iis",))),
        "Command, secrets follow": Arrival(1, "Command", Sent("run", "apply", True, ("certificate",))),
        "Send": Arrival(1, "Send", None),
        "Receive, Delete": Arrival(1, "Receive", None),
    },
    "winrs": {
        "Create": Arrival(1, "Create", None),
        "Command": Arrival(1, "Command", None),
        "Send, more follows": Arrival(1, "Send", Sent("run", "upload", True, ()), last=False),
        "Send": Arrival(1, "Send", Sent("run", "apply", True, ("certificate",))),
        "Receive, Delete": Arrival(1, "Receive", None),
    },
}
CELLS = {"continues": {0}, "69": {69}, "continues or 69": {0, 69}, "130": {130}, "no report": {KILLED}}


@pytest.mark.parametrize("transport", HITS)
def test_the_tables_of_the_documentation_say_what_the_judge_says(lost: Outcome, transport: str) -> None:
    page = (Path(__file__).parents[2] / "docs" / "faults.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line.startswith("| ")]
    head = next(row for row in rows if row[0] == f"fault over {transport.upper().replace('WINRS', 'WinRS')}")
    begins = rows.index(head) + 1
    told = {row[0].partition(":")[0]: dict(zip(head[1:], row[1:], strict=True)) for row in rows[begins : begins + len(FAULTS)]}
    assert list(told) == [fault.name for fault in FAULTS]
    for fault in FAULTS:
        for kind, hit in HITS[transport].items():
            case = dataclasses.replace(lost, transport=transport, fault=fault, hit=hit)
            assert CELLS[told[fault.name][kind]] == allowed_codes(case), (fault.name, kind)


# What the sweep found in the lab.


def test_an_answer_given_again_is_not_taken_back_by_the_first_that_was_lost() -> None:
    def read(number: str) -> Message:
        return Message(RECEIVE, number, "", "SHELL", 0.2, 500_000, ElementTree.Element("Body"))

    channel = Channel("SHELL", "COMMAND")
    channel.write([b"one"])
    first = channel.receive(read("1"), 0, lambda: True)
    again = channel.receive(read("1"), 0, lambda: True)
    assert first.packets == again.packets == (("stdout", b"one"),)
    channel.give_back(first)
    channel.write([b"two"])
    assert channel.receive(read("2"), 0, lambda: True).packets == (("stdout", b"two"),)
