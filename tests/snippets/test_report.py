"""report.py: what it complains about, and that it sees a page that tells another."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.snippets import report
from tests.snippets.report import SEAM, Line, Part
from tests.snippets.snippet_coverage import Coverage

TEXT = "function Get-LyncarrSample {\n    'one'\n    'two'\n}\n"
EXCUSE = Line(SEAM, "Get-LyncarrSample", "'two'")


def part(name: str, *missed: int) -> Part:
    return Part(name, "Wine" if name == SEAM else "Linux", TEXT, Coverage((2, 3), missed))


@pytest.fixture(autouse=True)
def excuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "excused", lambda: {EXCUSE: "nobody can"})


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    parts = [part(SEAM, 3), part("farms.ps1")]
    monkeypatch.setattr(report, "recorded", lambda folder: parts)
    monkeypatch.setattr(report, "PAGE", tmp_path / "page.md")
    report.PAGE.write_text(
        "before\n<!-- begin: written by make docs -->\nold\n<!-- end: written by make docs -->\nafter\n", encoding="utf-8"
    )
    return report.PAGE


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ([part(SEAM, 3), part("farms.ps1")], []),
        ([part("farms.ps1", 3)], ["outside the seam"]),
        ([part(SEAM, 2, 3)], ["or a reason to unreached.json"]),
        ([part(SEAM)], ["Take this out of unreached.json"]),
    ],
)
def test_complaints_about_lines(parts: list[Part], words: list[str]) -> None:
    found = list(report.misjudged(parts))
    assert len(found) == len(words)
    for complaint, expected in zip(found, words, strict=True):
        assert expected in complaint
        assert "Get-LyncarrSample" in complaint


def test_an_engine_that_recorded_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "engine", lambda variable, program: None if program == "pwsh-wine" else "pwsh")
    assert [complaint.split()[0] for complaint in report.unrecorded([])] == ["tests/powershell"]
    assert list(report.unrecorded([part("farms.ps1")])) == []


def test_page_is_stale_until_it_is_written(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert report.main(["recordings", "--check"]) == 1
    assert "page.md tells another: run make docs." in capsys.readouterr().err
    assert report.main(["recordings", "--write"]) == 0
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "| `_windows.ps1` | 1 | 2 | Wine |" in text
    assert "| `Get-LyncarrSample` | `'two'` | nobody can |" in text
    assert "old" not in text
    assert report.main(["recordings", "--check"]) == 0


def test_page_is_not_judged_by_one_engine_alone(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "recorded", lambda folder: [part("farms.ps1")])
    monkeypatch.setattr(report, "engine", lambda variable, program: None)
    before = page.read_text(encoding="utf-8")
    assert report.main(["recordings", "--check"]) == 0
    assert report.main(["recordings", "--write"]) == 0
    assert page.read_text(encoding="utf-8") == before


def test_the_real_page_has_its_place() -> None:
    assert len(report.MARKED.findall(report.PAGE.read_text(encoding="utf-8"))) == 1
