"""The compiled stand-in is made once for a source and an engine, whoever asks first."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tests.powershell import standin


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    """Stands for a PowerShell: it copies the source, which is the fifth of its arguments, and notes each start."""
    program = tmp_path / "pwsh"
    program.write_text(f'#!/bin/sh\ncp "$5" "$6"\necho started >> "{tmp_path}/starts"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program


def starts(engine: Path) -> int:
    return len(engine.with_name("starts").read_text().splitlines())


def test_it_is_compiled_once(engine: Path, tmp_path: Path) -> None:
    first = standin.assembly(str(engine), tmp_path / "cache")
    assert first.read_bytes() == standin.SOURCE.read_bytes()
    assert standin.assembly(str(engine), tmp_path / "cache") == first
    assert starts(engine) == 1
    assert sorted(path.suffix for path in first.parent.iterdir()) == [".dll", ".lock"]


def test_another_source_or_engine_is_compiled_again(engine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = {standin.assembly(str(engine), tmp_path / "cache")}
    other = tmp_path / "Iis.cs"
    other.write_text("// another\n")
    monkeypatch.setattr(standin, "SOURCE", other)
    found.add(standin.assembly(str(engine), tmp_path / "cache"))
    engine.write_text(engine.read_text() + "# a newer engine\n")
    found.add(standin.assembly(str(engine), tmp_path / "cache"))
    assert len(found) == starts(engine) == 3
