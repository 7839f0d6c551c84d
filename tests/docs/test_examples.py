"""The examples in the pages work: configuration files, messages, PowerShell, and the worked-out step."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

import tests.powershell.engine as powershell
from lyncarr.config.loader import load_site
from lyncarr.core.diff import diff
from lyncarr.core.errors import SiteError
from lyncarr.core.model import Stage, Step
from lyncarr.powershell.bundle import MAIN, SHARED, compose, read_snippet
from lyncarr.steps import STEPS, explanation
from tests.powershell.hosts import configuration
from tests.sites import site_of
from tools.docs.documents import DOCS, PAGES, ROOT, Block, all_blocks, blocks, name_of
from tools.snippets.snippet_lint import FOLDER as LINT_FOLDER
from tools.snippets.snippet_lint import run_lint

FARM = '\n[[farms]]\nname = "meet.contoso.com"\nservers = ["fepool.contoso.local"]\n'
WORKED_OUT = DOCS / "writing-a-step.md"
FARMS = [{"name": "meet.contoso.com", "servers": ["fepool.contoso.local"]}]


@pytest.mark.parametrize("block", all_blocks("toml"), ids=str)
def test_site_file(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is loaded. If a message follows the example, the file is refused with that message."""
    monkeypatch.chdir(tmp_path)
    path = Path("lyncarr.toml")
    path.write_text(block.text if "farms]" in block.text else block.text + FARM, encoding="utf-8")
    if block.answer is None or block.answer.kind != "text":
        load_site(path)
        return
    with pytest.raises(SiteError) as refused:
        load_site(path)
    assert str(refused.value) == block.answer.text.strip()


@pytest.mark.parametrize("block", all_blocks("json"), ids=str)
def test_json(block: Block) -> None:
    json.loads(block.text)


@pytest.mark.powershell
@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "powershell") and page != WORKED_OUT], ids=name_of)
def test_lines_for_the_host(page: Path, pwsh: str, tmp_path: Path) -> None:
    """The syntax is valid, and Windows PowerShell 4.0 and 5.1 both have the commands and parameters."""
    script = tmp_path / "page.ps1"
    script.write_text("\n".join(block.text for block in blocks(page, "powershell")), encoding="utf-8")
    reader = Path(__file__).with_name("commands.ps1")
    done = subprocess.run([pwsh, "-NoProfile", "-File", str(reader), str(script)], capture_output=True, text=True, check=True, timeout=60)
    found = [line.split(" ") for line in done.stdout.splitlines()]
    assert found, done.stdout
    lines = (LINT_FOLDER / "data" / "commands.txt").read_text(encoding="utf-8").splitlines()
    known = {words[0]: set(words[1:]) for words in (line.split(" ") for line in lines)}
    for command, *parameters in found:
        assert command in known or command in MORE, command
        assert set(parameters) <= known.get(command, set()) | MORE.get(command, set()), f"{command}: {parameters}"


# Missing in the lists of the lint, because no snippet may use it: parameters that the WSMan provider adds to New-Item, and the firewall.
# https://learn.microsoft.com/powershell/module/microsoft.wsman.management/about/about_wsman_provider
# https://learn.microsoft.com/powershell/module/netsecurity/new-netfirewallrule
MORE = {
    "New-Item": {"Transport", "Address", "CertificateThumbPrint"},
    # For the controller: programs, not commands of PowerShell.
    "winget": set(),
    "py": {"m"},
    "lyncarr": set(),
    "New-NetFirewallRule": {"DisplayName", "Direction", "Action", "Protocol", "LocalPort", "RemoteAddress"},
}


def the_step() -> Step:
    (block,) = blocks(WORKED_OUT, "python")
    names: dict[str, Any] = {}
    exec(compile(block.text, WORKED_OUT.name, "exec"), names)
    made: Step = names["RedirectHosts"]()
    return made


def the_snippet() -> str:
    (block,) = blocks(WORKED_OUT, "powershell")
    return block.text


@pytest.mark.powershell
def test_the_step_that_is_worked_out_runs(pwsh: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step = the_step()
    (block,) = blocks(WORKED_OUT, "json")
    case = json.loads(block.text)
    simulated = sorted((ROOT / "tests" / "powershell" / "simulated").glob("*.ps1"))
    texts = (
        *map(read_snippet, SHARED),
        *(path.read_text(encoding="ascii") for path in simulated),
        *(read_snippet(one.snippet) for one in STEPS),
        the_snippet(),
    )
    monkeypatch.setattr(powershell, "composed", lambda: compose(texts, (*STEPS, step)))
    machine = powershell.HostDisk(tmp_path / "host", configuration(case["farms"]))
    engine = powershell.Engine(pwsh, tmp_path / "engine")
    try:
        site = site_of(FARMS, tmp_path)
        session = powershell.Session(engine, machine, site, (Stage("example", (step,), transaction=True),))
        found = diff(session.observe()[step.name], step.desired(site))
        assert [[one.item, one.attribute, one.before, one.after] for one in found] == case["changes"], case["why"]
        outcome = session.apply()
        assert outcome.failed is None, outcome.failed
        assert diff(outcome.applied["steps"][step.name], step.desired(site)) == ()
        assert machine.restarts == 1
    finally:
        engine.close()


@pytest.mark.powershell
def test_the_step_that_is_worked_out_keeps_the_rules(pwsh: str, tmp_path: Path) -> None:
    step = the_step()
    files = {name: read_snippet(name) for name in (*SHARED, *(one.snippet for one in STEPS))}
    files |= {MAIN: compose((), (*STEPS, step)), step.snippet: the_snippet()}
    report = run_lint(pwsh, {"page": files}, tmp_path)
    assert [str(finding) for finding in report.of("page") if finding.file == step.snippet] == []


def test_the_step_that_is_worked_out_has_its_text_and_attributes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step = the_step()
    (block,) = blocks(WORKED_OUT, "markdown")
    (tmp_path / f"{step.name}.md").write_text(block.text, encoding="utf-8")
    monkeypatch.setattr(explanation, "FOLDER", tmp_path)
    text = explanation.explain(step.name)
    desired = {name for attributes in step.desired(site_of(FARMS, tmp_path)).values() for name in attributes}
    assert set(step.attributes) == desired
    assert all(f"`{name}`" in text.sets for name in desired)


def test_the_worked_out_step_is_not_shipped() -> None:
    assert the_step().name not in {step.name for step in STEPS}


def test_case_members_are_those_of_the_runner() -> None:
    (block,) = blocks(WORKED_OUT, "json")
    described = re.findall(r"^\| ([a-z_, ]+) \|", (ROOT / "tests" / "cases" / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(json.loads(block.text)) <= {name for row in described for name in row.split(", ")}
