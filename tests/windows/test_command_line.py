"""The whole way, as a user goes it: site file, console script, HTTPS, NTLM, PSRP or WinRS, the shipped script, IIS' file."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lyncarr.lab.real.powershell import PowerShellEngine
from lyncarr.lab.wire.server import LabServer
from tests.windows.conftest import MakeMachine

pytestmark = pytest.mark.wine

SITE = """
[hosts.rp01]
address = "127.0.0.1"
port = {port}
user = "{user}"
password = "file:password.txt"
tls = "pin:sha256:{pin}"

[[farms]]
name = "dialin.contoso.com"
servers = ["fepool.contoso.local"]

[[farms]]
name = "meet.contoso.com"
servers = ["fepool.contoso.local"]
"""


class Controller:
    """A folder with a site file that leads to the machine, and the console script in it."""

    def __init__(self, folder: Path, lab: LabServer, transport: str = "psrp") -> None:
        self.folder = folder
        self._transport = transport
        (folder / "lyncarr.toml").write_text(SITE.format(port=lab.https_port, user=lab.user, pin=lab.pin))
        (folder / "password.txt").touch(0o600)
        (folder / "password.txt").write_text(lab.password)

    def lyncarr(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "lyncarr", *words, "--host", "rp01", "--transport", self._transport],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )

    def json(self, *words: str) -> tuple[int, dict[str, Any]]:
        """Exit code and the host's line."""
        done = self.lyncarr(*words, "--output", "json")
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        assert lines[-1]["event"] == "summary", done.stderr
        assert lines[-1]["exit_code"] == done.returncode
        return done.returncode, lines[-2]


@pytest.mark.parametrize("transport", ["psrp", "winrs"])
def test_one_step_all_the_way(make_machine: MakeMachine, tmp_path: Path, transport: str) -> None:
    machine = make_machine("arr")
    configuration = machine.inetsrv / "config" / "applicationHost.config"
    with LabServer(PowerShellEngine([machine.engine], environment=machine.environment())) as lab:
        controller = Controller(tmp_path, lab, transport)
        # The farms are there, made by hand, with ARR's 30 seconds.
        code, _ = controller.json("provision", "--yes", "--step", "farms")
        assert code == 0

        shown = controller.lyncarr("plan", "--step", "proxy-timeout")
        assert shown.returncode == 2
        assert "timeout 30 s -> 900 s" in shown.stdout
        before = configuration.read_bytes()

        code, host = controller.json("provision", "--yes", "--step", "proxy-timeout")
        assert (code, host["result"]) == (0, "applied")
        assert host["steps"][0]["changes"] == [
            {"item": f"{name}.contoso.com", "attribute": "timeout_s", "before": 30, "after": 900} for name in ("dialin", "meet")
        ]
        assert configuration.read_bytes().count(b'timeout="00:15:00"') == 2
        backup = machine.inetsrv / "backup" / host["backup"]["name"] / "applicationHost.config"
        assert backup.read_bytes() == before

        code, host = controller.json("provision", "--yes", "--step", "proxy-timeout")
        assert (code, host["result"], host["steps"][0]["changes"]) == (0, "in-place", [])
        assert controller.lyncarr("provision", "--step", "proxy-timeout").returncode == 64, "nobody there to say yes"


def test_a_second_controller_meets_the_lock(make_machine: MakeMachine, tmp_path: Path) -> None:
    from tests.windows.wire import shell_on

    machine = make_machine("arr")
    with LabServer(PowerShellEngine([machine.engine], environment=machine.environment())) as lab:
        controller = Controller(tmp_path, lab)
        with shell_on(lab) as shell:
            shell.send("observe", (), lock=True, who="somebody@elsewhere")
            code, host = controller.json("provision", "--yes")
            assert (code, host["result"]) == (75, "busy")
            assert "somebody@elsewhere" in host["error"]["message"]
            code, host = controller.json("plan")
            assert code == 2
            assert any(note["kind"] == "holder" and "somebody@elsewhere" in note["text"] for note in host["notes"])
        code, _ = controller.json("provision", "--yes")
        assert code == 0


def test_doctor_runs_the_script_on_a_bare_server_and_leaves_nothing_there(make_machine: MakeMachine, tmp_path: Path) -> None:
    machine = make_machine("bare")
    with LabServer(PowerShellEngine([machine.engine], environment=machine.environment())) as lab:
        done = Controller(tmp_path, lab).lyncarr("doctor")
    assert done.returncode == 0, done.stdout
    assert "Windows Server 2012 R2 Standard (build 9600)" in done.stdout
    assert "  rights   ok       the session has administrator rights" in done.stdout
    assert not (machine.drive / "ProgramData" / "lyncarr").exists()
