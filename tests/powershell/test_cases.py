"""Each case of tests/cases in a real PowerShell: found, applied, seen in place, and nothing else touched."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from lyncarr.core.diff import diff
from lyncarr.core.plan import steps_of
from lyncarr.steps import STAGES
from tests.powershell.engine import Engine, HostDisk, Session
from tests.powershell.hosts import configuration, inner
from tests.sites import site_of

CASES = sorted((Path(__file__).parents[1] / "cases").glob("*/*.json"))
FINISHED = json.loads((Path(__file__).parent / "finished.json").read_text())
FARMS = [{"name": f"{label}.contoso.com", "servers": ["fepool.contoso.local"]} for label in ("dialin", "meet")]
STAGES = tuple(stage for stage in STAGES if stage.name == "farms")


def squeezed(xml: str) -> str:
    """XML without the white space between elements: the stand-in indents, the cases do not."""
    return re.sub(r"\s+>", ">", re.sub(r">\s+<", "><", xml.strip()))


def plain(value: Any) -> Any:
    return [plain(one) for one in value] if isinstance(value, list | tuple) else dict(value) if hasattr(value, "items") else value


@pytest.mark.powershell
@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_case(path: Path, engine: Engine, bare_engine: Engine, tmp_path: Path) -> None:
    case = json.loads(path.read_text())
    site = site_of(case.get("site", FARMS), tmp_path)
    bare = case.get("bare", False)
    before = (
        None
        if bare == "iis"
        else configuration(case.get("farms", FINISHED["farms"]), case.get("rules", FINISHED["rules"]), modules=not bare)
    )
    machine = HostDisk(tmp_path / "host", before, modules=not bare)
    session = Session(bare_engine if bare else engine, machine, site, STAGES)
    step = next(one for one in steps_of(STAGES) if one.name == path.parent.name)

    states = session.observe()
    found = [[c.item, c.attribute, plain(c.before), plain(_desired(c.after))] for c in diff(states[step.name], step.desired(site))]
    assert found == case["changes"], case["why"]
    if before is not None:
        assert machine.text == before, "looking must not write"
    for words in case.get("notes", []):
        assert any(words in note["text"] for note in session.notes if note["step"] == step.name), session.notes

    if case.get("quiet", False):
        assert not [note for note in session.notes if note["step"] == step.name]

    outcome = session.apply()
    if "fails" in case:
        assert outcome.failed is not None
        assert outcome.failed["kind"] == case["fails"][0]
        assert case["fails"][1] in outcome.failed["text"]
        assert before is None or machine.text == before, "a run that fails writes nothing"
        return
    assert outcome.failed is None, outcome.failed
    for one in steps_of(STAGES):
        assert diff(outcome.applied["steps"][one.name], one.desired(site)) == (), one.name
    assert squeezed(inner(machine.text, "webFarms")) == squeezed(case.get("after_farms", FINISHED["farms"]))
    assert squeezed(inner(machine.text, "globalRules")) == squeezed(case.get("after_rules", FINISHED["rules"]))
    assert outside(machine.text) == outside(before or ""), "nothing but farms and rules may change"
    if "restarts" in case:
        assert machine.restarts == case["restarts"]
    after = machine.text
    again = session.apply()
    assert again.failed is None
    assert machine.text == after, "a second run writes nothing"


def _desired(after: Any) -> Any:
    return {name: plain(value) for name, value in after.items()} if hasattr(after, "items") else after


def outside(text: str) -> str:
    for name in ("webFarms", "globalRules"):
        text = re.sub(rf"<{name}\s*/>|<{name}>.*</{name}>", f"<{name} />", text, flags=re.DOTALL)
    return text
