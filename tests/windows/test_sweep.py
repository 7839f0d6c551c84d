"""Faults in the middle of a write, on simulated Windows servers. `make faults` prints those at every message."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.console import Bench
from tests.lab.sweep import FARM_STEPS, broken, by_name, strike
from tests.windows.ground import WineGround, loose_rules, patient

pytestmark = pytest.mark.wine

WRITE = f"Command (apply {'+'.join(FARM_STEPS)})"


@pytest.fixture(scope="module")
def farms(pwsh_wine: str, wine_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WineGround]:
    folder = tmp_path_factory.mktemp("farms")
    with patient(), WineGround(folder, operation="farms", pwsh=pwsh_wine, cache=wine_cache) as ground:
        yield ground


@pytest.mark.parametrize("at", [WRITE, 6], ids=["begins", "goes on"])
@pytest.mark.parametrize("name", ["reset after", "killed"])
def test_while_the_farms_are_written(farms: WineGround, name: str, at: int | str) -> None:
    outcome = strike(farms, by_name(name), at)
    assert outcome.hit is not None
    assert broken(outcome) == []


@pytest.fixture
def over_winrs(farms: WineGround, monkeypatch: pytest.MonkeyPatch) -> Iterator[WineGround]:
    with monkeypatch.context() as patch:
        patch.setattr(Bench, "transport", "winrs")
        farms.write_site()
        yield farms
    farms.write_site()


@pytest.mark.parametrize("name", ["reset before", "reset after", "killed"])
def test_over_winrs_when_the_write_begins(over_winrs: WineGround, name: str) -> None:
    """What is asked about is answered by the bootstrap in a real PowerShell."""
    outcome = strike(over_winrs, by_name(name), WRITE.replace("Command", "Send"))
    assert outcome.hit is not None
    assert broken(outcome) == []


def test_ctrl_c_twice_while_the_farms_are_written(farms: WineGround) -> None:
    outcome = strike(farms, by_name("Ctrl-C twice"), 6)
    assert outcome.hit is not None
    assert broken(outcome) == []


def test_killed_while_a_package_is_installed(pwsh_wine: str, wine_cache: Path, tmp_path: Path) -> None:
    """The next run meets what msiexec left, and installs the rest."""
    with patient(), WineGround(tmp_path, operation="install", pwsh=pwsh_wine, cache=wine_cache) as ground:
        outcome = strike(ground, by_name("killed"), "Command (apply arr)")
    assert outcome.hit is not None
    assert broken(outcome) == []


def test_the_watch_sees_a_rule_without_its_host_condition() -> None:
    rule = '<rule name="{0}"{1}><conditions>{2}</conditions><action type="Rewrite" url="https://meet.contoso.com/{{R:0}}" /></rule>'
    bound = '<add input="{HTTP_HOST}" pattern="meet.*" />'
    rules = rule.format("loose", "", "") + rule.format("off", ' enabled="false"', "") + rule.format("bound", "", bound)
    text = f"<configuration><system.webServer><rewrite><globalRules>{rules}</globalRules></rewrite></system.webServer></configuration>"
    assert loose_rules(text.encode()) == ["rule loose without its host condition"]
