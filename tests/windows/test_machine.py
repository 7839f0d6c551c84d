"""The simulated servers themselves: copies are independent, the programs that Wine lacks are there, other versions of Windows are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from lyncarr.core.errors import UsageError
from lyncarr.lab.real.trampoline import trampoline
from lyncarr.lab.real.wine import open_machine, template
from tests.windows.conftest import MakeMachine
from tests.windows.wire import served, shell_on

pytestmark = pytest.mark.wine


def test_copies_are_independent(pwsh_wine: str, wine_cache: Path, tmp_path: Path) -> None:
    original = template(pwsh_wine, wine_cache, "arr")
    one, two = original.copy(tmp_path / "one"), original.copy(tmp_path / "two")
    text = (original.inetsrv / "config" / "applicationHost.config").read_bytes()
    one.lay_configuration("<configuration />")
    for name in ("system.reg", "user.reg"):
        (one.prefix / name).write_text("")
    (one.lab / "features.txt").write_text("")
    for machine in (original, two):
        assert (machine.inetsrv / "config" / "applicationHost.config").read_bytes() == text
        assert (machine.prefix / "system.reg").stat().st_size > 0
        assert "Installed|Web-Server" in (machine.lab / "features.txt").read_text()
    # What is big is shared.
    kernel = Path("windows/system32/kernel32.dll")
    assert (one.drive / kernel).samefile(original.drive / kernel)
    # Nothing of a machine leads to the documents of whoever runs it.
    assert [path for path in (one.drive / "users").rglob("*") if path.is_symlink()] == []


def test_programs(make_machine: MakeMachine) -> None:
    machine = make_machine("iis")
    for name, command in (
        ("says", r"C:\windows\system32\cmd.exe /c echo"),
        ("fails", r"C:\windows\system32\cmd.exe /c exit 7 &"),
        ("misses", r"C:\no-such.exe"),
    ):
        (machine.drive / f"{name}.exe").write_bytes(trampoline(command))
    said = machine.run(machine.program(r"C:\says.exe", "/x", "two words"))
    assert said.returncode == 0
    assert said.stdout.strip().endswith('/x "two words"')
    assert machine.run(machine.program(r"C:\fails.exe")).returncode == 7
    assert machine.run(machine.program(r"C:\misses.exe")).returncode == 9009 & 0xFF

    netsh = machine.program(r"C:\windows\system32\netsh.exe", "http", "show", "sslcert")
    assert machine.run([*netsh, "ipport=0.0.0.0:443"]).returncode == 1
    (machine.inetsrv / "config" / "httpsys.txt").write_text("0.0.0.0:443 ABCD MY\n[::]:8443 EF01 WebHosting\n")
    one = machine.run([*netsh, "ipport=0.0.0.0:443"])
    assert one.returncode == 0
    assert "abcd" in one.stdout
    assert "ef01" not in one.stdout
    assert machine.run(machine.program(r"C:\windows\system32\netsh.exe", "http", "delete", "sslcert")).returncode == 1
    assert machine.restarts == 0


def test_another_windows(make_machine: MakeMachine) -> None:
    with served(make_machine("bare", "2022")) as lab, shell_on(lab) as shell:
        hello = shell.send("observe", (), lock=False)[0].data
    assert (hello["os"], hello["build"]) == ("Windows Server 2022 Standard", 20348)


def test_machine_of_the_lab(pwsh_wine: str, wine_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LYNCARR_WINE_CACHE", str(wine_cache))
    machine = open_machine(pwsh_wine, "arr", tmp_path / "machine")
    assert (machine.inetsrv / "config" / "schema" / "arr_schema.xml").exists()
    assert (machine.packages / "requestRouter_amd64.msi").exists()
    (machine.drive / "mark").touch()
    assert not (open_machine(pwsh_wine, "blank", tmp_path / "machine").drive / "mark").exists()
    (tmp_path / "documents").mkdir()
    with pytest.raises(UsageError, match="not a machine of the lab"):
        open_machine(pwsh_wine, "blank", tmp_path / "documents")
    with pytest.raises(UsageError, match="'finished'"):
        open_machine(pwsh_wine, "finished", tmp_path / "other")
