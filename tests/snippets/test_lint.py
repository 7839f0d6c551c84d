"""The PowerShell text that goes to hosts keeps the rules of lint.ps1, and each rule finds what it is for."""

from __future__ import annotations

import json

import pytest

from lyncarr.powershell import bootstrap
from lyncarr.powershell.bundle import MAIN, compose
from tests.snippets.lint_samples import Sample, read_samples
from tools.snippets.snippet_lint import FOLDER, Report, run_lint

pytestmark = pytest.mark.powershell

SNIPPETS = FOLDER.parents[1] / "ps_snippets"
PRODUCT = "ps_snippets"
BOOTSTRAP = "bootstrap"
PLACED = "placed"
PLACED_FILES = {
    "_other.ps1": "function Get-LyncarrOther { 1 }\n",
    "_sample.ps1": "function Get-LyncarrSample {\n    $x = 1\n    exit $x\n}\n",
}
SAMPLES = tuple(read_samples())


def product_files() -> dict[str, str]:
    """Every snippet; the entry point with its dispatch filled in, so that a step without its functions is found."""
    paths = sorted([*SNIPPETS.glob("*.ps1"), *SNIPPETS.glob("_windows/*.ps1")])
    files = {path.relative_to(SNIPPETS).as_posix(): path.read_text(encoding="utf-8") for path in paths}
    return files | {MAIN: compose(())}


def bootstrap_files() -> dict[str, str]:
    """The parts of the script for the console, by their paths: exceptions of a snippet of the same name are not theirs."""
    files = {f"{BOOTSTRAP}/{path.name}": path.read_text(encoding="utf-8") for path in sorted((SNIPPETS / BOOTSTRAP).glob("*.ps1"))}
    return files | {f"{BOOTSTRAP}/{bootstrap.MAIN}": bootstrap.compose(())}


@pytest.fixture(scope="module")
def report(pwsh: str, tmp_path_factory: pytest.TempPathFactory) -> Report:
    bundles = {sample.name: {sample.file: sample.text} for sample in SAMPLES}
    ours = {PRODUCT: product_files(), BOOTSTRAP: bootstrap_files(), PLACED: PLACED_FILES}
    return run_lint(pwsh, {**ours, **bundles}, tmp_path_factory.mktemp("lint"))


@pytest.mark.parametrize("bundle", [PRODUCT, BOOTSTRAP])
def test_snippets_keep_the_rules(report: Report, bundle: str) -> None:
    assert [str(finding) for finding in report.of(bundle)] == []


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_sample(report: Report, sample: Sample) -> None:
    findings = report.of(sample.name)
    assert {finding.rule for finding in findings} == sample.expected, [str(finding) for finding in findings]


def test_each_rule_has_samples_of_both_kinds(report: Report) -> None:
    assert {sample.rule for sample in SAMPLES if sample.expected} == set(report.rules)
    assert {sample.rule for sample in SAMPLES if not sample.expected} == set(report.rules)


def test_each_exception_is_needed(report: Report) -> None:
    used = {(finding.rule, finding.excuse) for finding in report.findings if finding.bundle in (PRODUCT, BOOTSTRAP)}
    exceptions = json.loads((FOLDER / "data" / "exceptions.json").read_text(encoding="ascii"))["exceptions"]
    assert [entry for entry in exceptions if (entry["rule"], entry["reason"]) not in used] == []


def test_finding_tells_file_and_line(report: Report) -> None:
    (finding,) = report.of(PLACED)
    assert (finding.file, finding.line, finding.rule) == ("_sample.ps1", 3, "no-exit")
