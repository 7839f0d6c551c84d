"""Each step of stage farms alone and in pairs: an enabled rule of ours never stands without its host condition."""

from __future__ import annotations

import itertools
import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from lyncarr.core.model import Stage
from lyncarr.core.plan import select, steps_of
from lyncarr.steps import STAGES
from tests.powershell.engine import Engine, HostDisk, Session
from tests.powershell.hosts import configuration, inner
from tests.sites import site_of

FINISHED = json.loads((Path(__file__).parent / "finished.json").read_text())
FARMS: list[dict[str, Any]] = [{"name": f"{label}.contoso.com", "servers": ["fepool.contoso.local"]} for label in ("dialin", "meet")]
WITH_HTTP = [{**FARMS[0], "http": "forward"}, {**FARMS[1], "http": "redirect"}]
(STAGE,) = (stage for stage in STAGES if stage.name == "farms")
NAMES = [step.name for step in STAGE.steps]
BARE = ""
LOOSE = """<rule name="ARR_meet.contoso.com_loadbalance_SSL" patternSyntax="Wildcard" stopProcessing="true">
<match url="*" /><conditions><add input="{HTTPS}" pattern="on" /></conditions>
<action type="Rewrite" url="http://meet.contoso.com/{R:0}" /></rule>
<rule name="ARR_dialin.contoso.com_loadbalance" patternSyntax="Wildcard" stopProcessing="true">
<match url="*" /><action type="Rewrite" url="http://dialin.contoso.com/{R:0}" /></rule>
<rule name="ARR_dialin.contoso.com_loadbalance_SSL" enabled="false">
<match url=".*" /><conditions /><action type="None" /></rule>
"""
STARTS = {
    "bare": configuration(),
    "farms only": configuration(FINISHED["farms"]),
    "drifted": configuration(FINISHED["farms"].replace('timeout="00:15:00"', "").replace("8080", "80"), LOOSE),
    "finished": configuration(FINISHED["farms"], FINISHED["rules"]),
}


def loose_rules(text: str) -> list[str]:
    """Names of the enabled rules that lead to our farms, or redirect for them, and answer for any host."""
    rules = ElementTree.fromstring(text.encode()).find("system.webServer/rewrite/globalRules")
    assert rules is not None
    found = []
    for rule in rules:
        action = rule.find("action")
        leads = action is not None and (".contoso.com/" in action.get("url", "") or action.get("type") == "Redirect")
        hosts = [c for c in rule.iterfind("conditions/add") if c.get("input") == "{HTTP_HOST}"]
        if leads and rule.get("enabled", "true") == "true" and not hosts:
            found.append(str(rule.get("name")))
    return found


SELECTIONS = [(name,) for name in NAMES] + list(itertools.combinations(NAMES, 2))


@pytest.mark.powershell
@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("names", SELECTIONS, ids="+".join)
def test_no_selection_leaves_a_rule_without_its_host(names: tuple[str, ...], start: str, engine: Engine, tmp_path: Path) -> None:
    site = site_of(FARMS, tmp_path)
    stages = select(STAGES, names)
    machine = HostDisk(tmp_path / "host", STARTS[start])
    session = Session(engine, machine, site, stages)
    session.observe()
    outcome = session.apply()
    selected = {step.name for step in steps_of(stages)}
    if outcome.failed is not None:
        assert start == "bare"
        assert "needs step farms" in outcome.failed["text"]
        assert "farms" not in selected
        assert machine.text == STARTS[start], "a step without its prerequisite writes nothing"
    elif "ssl-offload" in selected:
        assert loose_rules(machine.text) == []
        assert len(ElementTree.fromstring(machine.text.encode()).findall(".//globalRules/rule")) == 2
    else:
        assert inner(machine.text, "globalRules") == inner(STARTS[start], "globalRules"), "rules belong to their own unit"


@pytest.mark.powershell
@pytest.mark.parametrize("farms", [FARMS, WITH_HTTP], ids=["remove", "forward and redirect"])
@pytest.mark.parametrize("start", ["farms only", "finished"])
@pytest.mark.parametrize("name", ["ssl-offload", "http-rules", "host-conditions"])
def test_even_half_of_the_unit_makes_no_loose_rule(
    name: str, start: str, farms: list[dict[str, Any]], engine: Engine, tmp_path: Path
) -> None:
    """The command line never sends half of it; the script does not rely on that."""
    half = Stage("farms", tuple(step for step in STAGE.steps if step.name == name), transaction=True)
    machine = HostDisk(tmp_path / "host", STARTS[start])
    session = Session(engine, machine, site_of(farms, tmp_path), (half,))
    session.observe()
    session.apply()
    assert loose_rules(machine.text) == []


@pytest.mark.powershell
@pytest.mark.parametrize("fault", ["changed-on-disk", "locked"])
def test_a_commit_that_lost_the_race_is_done_again_from_a_fresh_read(fault: str, engine: Engine, tmp_path: Path) -> None:
    machine = HostDisk(tmp_path / "host", STARTS["bare"])
    (machine.configuration.parent / "standin-faults.txt").write_text(f"{fault}\n")
    session = Session(engine, machine, site_of(FARMS, tmp_path), (STAGE,))
    session.observe()
    outcome = session.apply()
    assert outcome.failed is None
    assert [event.data["kind"] for event in outcome.events if event.name == "note"] == ["backup", "retried"]
    assert loose_rules(machine.text) == []
    assert machine.restarts == 1


@pytest.mark.powershell
def test_a_file_that_stays_locked_commits_nothing(engine: Engine, tmp_path: Path) -> None:
    machine = HostDisk(tmp_path / "host", STARTS["bare"])
    (machine.configuration.parent / "standin-faults.txt").write_text("locked\n" * 5)
    session = Session(engine, machine, site_of(FARMS, tmp_path), (STAGE,))
    session.observe()
    outcome = session.apply()
    assert outcome.failed is not None
    assert outcome.failed["kind"] == "locked"
    assert machine.text == STARTS["bare"]


@pytest.mark.powershell
def test_a_library_that_lies_is_seen_in_the_second_look(engine: Engine, tmp_path: Path) -> None:
    machine = HostDisk(tmp_path / "host", STARTS["bare"])
    (machine.configuration.parent / "standin-faults.txt").write_text("lie\n")
    session = Session(engine, machine, site_of(FARMS, tmp_path), (STAGE,))
    session.observe()
    outcome = session.apply()
    assert outcome.applied is not None
    assert outcome.applied["steps"]["proxy-timeout"] == {}


@pytest.mark.powershell
def test_a_backup_is_made_before_the_first_write_and_holds_what_was(engine: Engine, tmp_path: Path) -> None:
    machine = HostDisk(tmp_path / "host", STARTS["drifted"])
    session = Session(engine, machine, site_of(FARMS, tmp_path), (STAGE,))
    session.observe()
    outcome = session.apply()
    backup = machine.inetsrv / "backup" / outcome.applied["backup"] / "applicationHost.config"
    assert backup.read_bytes().decode() == STARTS["drifted"]


@pytest.mark.powershell
def test_a_restart_that_is_owed_is_drift_and_is_paid_once(engine: Engine, tmp_path: Path) -> None:
    machine = HostDisk(tmp_path / "host", STARTS["finished"])
    (machine.programdata / "restart-needed").touch()
    session = Session(engine, machine, site_of(FARMS, tmp_path), (STAGE,))
    assert session.observe()["farms"]["iisreset"] == {"pending": True}
    assert session.apply().applied["steps"]["farms"]["iisreset"] == {"pending": False}
    assert machine.restarts == 1
    assert machine.text == STARTS["finished"]


@pytest.mark.powershell
def test_the_rules_alone_tell_which_farms_they_need(engine: Engine, tmp_path: Path) -> None:
    farms = FINISHED["farms"].replace("meet.contoso.com", "intranet")
    session = Session(engine, HostDisk(tmp_path / "host", configuration(farms)), site_of(FARMS, tmp_path), select(STAGES, ["ssl-offload"]))
    session.observe()
    assert [note["text"] for note in session.notes] == ["needs step farms: the farm 'meet.contoso.com' does not exist on this host yet"]


@pytest.mark.powershell
@pytest.mark.parametrize(
    ("bindings", "deaf"),
    [
        ([("http", "*:80:")], ""),
        ([("http", "*:8080:"), ("https", "*:80:")], "dialin.contoso.com, meet.contoso.com"),
        ([("http", "[::]:80:MEET.contoso.com")], "dialin.contoso.com"),
        ([("http", "192.0.2.10:80:dialin.contoso.com"), ("http", "*:80:meet.contoso.com")], ""),
        ([("http", "*:80:*.contoso.com")], ""),
    ],
)
def test_names_that_nobody_hears_on_port_80_are_told(bindings: list[tuple[str, str]], deaf: str, engine: Engine, tmp_path: Path) -> None:
    written = "".join(f'<binding protocol="{protocol}" bindingInformation="{text}" />' for protocol, text in bindings)
    text = STARTS["finished"].replace("<binding protocol='http' bindingInformation=\"*:80:\" />", written)
    assert written in text
    farms = [*WITH_HTTP, {"name": "wac.contoso.com", "servers": ["wac.contoso.local"]}]
    session = Session(engine, HostDisk(tmp_path / "host", text), site_of(farms, tmp_path), (STAGE,))
    session.observe()
    told = [note["text"] for note in session.notes if note["step"] == "http-rules"]
    assert [one.partition(", which")[0] for one in told] == ([f"no web site has an http binding on port 80 for {deaf}"] if deaf else [])


@pytest.mark.powershell
def test_a_section_without_its_schema_is_absent(bare_engine: Engine, tmp_path: Path) -> None:
    """The declaration outlives an ARR that was removed; to open such a section is an error."""
    machine = HostDisk(tmp_path / "host", STARTS["finished"], modules=False)
    session = Session(bare_engine, machine, site_of(FARMS, tmp_path), (STAGE,))
    assert session.observe()["proxy-timeout"] == {}
    outcome = session.apply()
    assert outcome.failed is not None
    assert "needs step arr" in outcome.failed["text"]
    assert machine.text == STARTS["finished"]
