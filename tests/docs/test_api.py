"""The example of docs/api.md runs as it is shown, against a replayed host."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lyncarr import Job, open_job
from tests.lab.console import Bench

PAGE = Path(__file__).parents[2] / "docs" / "api.md"


def test_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LYNCARR_TEST_PASSWORD", Bench.password)
    with Bench(tmp_path) as bench:
        bench.finish().machine.states["proxy-timeout"]["meet.contoso.com"]["timeout_s"] = 30
        exec(compile(example, str(PAGE), "exec"), {})
        assert capsys.readouterr().out.splitlines() == [
            "rp01 RP01 pending",
            "proxy-timeout meet.contoso.com timeout_s 30 900",
            "applied 0 True",
        ]
        assert bench.writes == [["proxy-timeout"]]


def test_the_example_shows_a_missing_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=r"lyncarr\.toml"):
        exec(compile(example, str(PAGE), "exec"), {})


def test_the_page_names_every_argument_and_member() -> None:
    page = PAGE.read_text(encoding="utf-8")
    members = [name for name in vars(Job) if not name.startswith("_")]
    arguments = [name for name in open_job.__annotations__ if name not in ("return", "overrides")]
    assert [name for name in (*members, *arguments) if f"`{name}" not in page] == []
