"""The present release against what release 0.1.0 wrote: no key or word of its JSON is lost, and its finished hosts need no change."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lyncarr.config.loader import load_site
from lyncarr.core.diff import diff
from lyncarr.core.plan import steps_of
from lyncarr.steps import STAGES
from tests.lab.console import Bench
from tests.powershell.engine import Engine, HostDisk, Session

RECORDED = Path(__file__).parent / "0.1.0"
TEXTS = frozenset({"text", "message", "restore", "os", "cause", "run"})
"""Members for people, or of a single run: their words may change."""
NOTE = {
    "step": "ssl-offload",
    "kind": "foreign-rule",
    "item": "Old",
    "text": "the global rule 'Old' stands before ours and may take requests for meet.contoso.com",
}


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setenv("LYNCARR_TEST_PFX_PASSWORD", "of-the-recording")
    for name in ("certs", "media"):
        shutil.copytree(RECORDED / name, tmp_path / name)
    tables = (RECORDED / "tables.toml").read_text()
    begin = tables.index("\n[[farms]]")
    with Bench(tmp_path, more=tables[:begin], farms=tables[begin:]) as bench:
        yield bench


def finish(bench: Bench) -> None:
    bench.machine.states = json.loads((RECORDED / "finished.json").read_text())


def drift(bench: Bench) -> None:
    finish(bench)
    bench.machine.states["proxy-timeout"]["meet.contoso.com"]["timeout_s"] = 30
    bench.machine.states["disk-cache"]["wac.contoso.com"]["enabled"] = True
    bench.machine.states["http-rules"]["dialin.contoso.com"]["extra_rules"] = ["ARR_dialin.contoso.com_loadbalance"]
    bench.machine.notes = [NOTE]


def fail(bench: Bench) -> None:
    bench.machine.faults.fail = {"arr": ("installer", "it broke")}


def restart(bench: Bench) -> None:
    bench.machine.faults.reboot_after = frozenset({"iis"})


def refuse(bench: Bench) -> None:
    bench.machine.elevated = False


RUNS: dict[str, tuple[Callable[[Bench], object], list[str]]] = {
    "plan-blank": (lambda bench: None, ["plan"]),
    "provision-blank": (lambda bench: None, ["provision", "--yes"]),
    "plan-finished": (finish, ["plan"]),
    "provision-finished": (finish, ["provision", "--yes"]),
    "plan-drifted": (drift, ["plan"]),
    "provision-drifted": (drift, ["provision", "--yes", "--step", "disk-cache"]),
    "doctor": (drift, ["doctor"]),
    "provision-failed": (fail, ["provision", "--yes"]),
    "provision-reboot": (restart, ["provision", "--yes"]),
    "plan-refused": (refuse, ["plan"]),
}


def test_each_recording_is_used() -> None:
    assert {file.stem for file in RECORDED.glob("*.jsonl")} == set(RUNS)


@pytest.mark.parametrize("name", RUNS)
def test_json_keeps_its_keys_and_words(bench: Bench, name: str) -> None:
    prepare, words = RUNS[name]
    prepare(bench)
    # Kinds of events may be added; the recorded ones stay, in their order.
    lines = [json.loads(line) for line in (RECORDED / f"{name}.jsonl").read_text().splitlines()]
    known = {line["event"] for line in lines}
    now = [line for line in bench.here(*words).events if line["event"] in known]
    assert [line["event"] for line in now] == [line["event"] for line in lines]
    for recorded, present in zip(lines, now, strict=True):
        assert list(lost(recorded, present, recorded["event"])) == []


def lost(recorded: Any, present: Any, place: str) -> Iterator[str]:
    """What of a recorded value the present one does not have: a member, an entry, a type, or a value that programs read."""
    if isinstance(recorded, dict) and isinstance(present, dict):
        for name, value in recorded.items():
            if name not in present:
                yield f"{place}.{name} is missing"
            elif name in TEXTS or "sha256" in place:
                if type(present[name]) is not type(value):
                    yield f"{place}.{name} was {value!r} and is {present[name]!r}"
            else:
                yield from lost(value, present[name], f"{place}.{name}")
    elif isinstance(recorded, list) and isinstance(present, list):
        if len(recorded) != len(present):
            yield f"{place} had {len(recorded)} entries and has {len(present)}"
        for number, (before, after) in enumerate(zip(recorded, present, strict=False)):
            yield from lost(before, after, f"{place}[{number}]")
    elif place.endswith(".backup.name"):
        if not (isinstance(present, str) and present.startswith("lyncarr-")):
            yield f"{place} is {present!r}"
    elif (type(recorded), recorded) != (type(present), present):
        yield f"{place} was {recorded!r} and is {present!r}"


def test_what_counts_as_lost() -> None:
    assert list(lost({"a": 1, "text": "x"}, {"a": 1, "text": "y", "b": 2}, "e")) == []
    assert list(lost({"a": 1, "text": "x"}, {"a": True}, "e")) == ["e.a was 1 and is True", "e.text is missing"]
    assert list(lost([{"a": "busy"}], [{"a": "held"}], "e")) == ["e[0].a was 'busy' and is 'held'"]
    assert list(lost([1], [], "e")) == ["e had 1 entries and has 0"]


def test_the_first_plan_of_a_finished_host_shows_no_change(bench: Bench) -> None:
    finish(bench)
    done = bench.here("plan")
    assert (done.code, done.host["result"]) == (0, "in-place")
    assert all(step["changes"] == [] for step in done.host["steps"])
    assert bench.here("provision", "--yes").code == 0
    assert bench.writes == []


@pytest.mark.powershell
def test_the_script_finds_no_change_in_a_configuration_of_that_release(pwsh: str, tmp_path: Path) -> None:
    before = (RECORDED / "applicationHost.config").read_bytes().decode()
    tables = (RECORDED / "tables.toml").read_text()
    (tmp_path / "lyncarr.toml").write_text(tables[tables.index("\n[[farms]]") :])
    site = load_site(tmp_path / "lyncarr.toml")
    stages = tuple(stage for stage in STAGES if stage.name == "farms")
    engine, machine = Engine(pwsh, tmp_path / "engine"), HostDisk(tmp_path / "host", before)
    try:
        session = Session(engine, machine, site, stages)
        states = session.observe()
        steps = steps_of(stages)
        assert [diff(states[step.name], step.desired(site)) for step in steps] == [()] * len(steps)
        assert session.apply().failed is None
        assert machine.text == before
        assert session.notes == []
    finally:
        engine.close()
