"""The whole runbook on a bare server, as a user runs it: site file, console script, HTTPS and NTLM, the shipped script, real packages."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lyncarr.lab.real.wine import WineEngine, WineMachine
from lyncarr.lab.wire.server import LabServer
from lyncarr.steps import STEPS
from tests.windows.conftest import MakeMachine
from tests.windows.sites import write_full_site

pytestmark = pytest.mark.wine


def lyncarr(site: Path, *words: str) -> tuple[int, dict[str, Any]]:
    """Exit code, and the line about the host."""
    done = subprocess.run(
        [sys.executable, "-m", "lyncarr", *words, "--site", str(site), "--host", "rp01", "--output", "json"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=180,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines, done.stderr
    assert lines[-1]["event"] == "summary"
    return done.returncode, lines[-2]


def results(host: dict[str, Any]) -> dict[str, str]:
    return {step["step"]: step["result"] for step in host["steps"]}


@pytest.mark.parametrize("transport", ["psrp", "winrs"])
def test_bare_server_to_reverse_proxy(make_machine: MakeMachine, tmp_path: Path, transport: str) -> None:
    machine = make_machine("bare")
    with LabServer(WineEngine(machine)) as lab:
        site = write_full_site(tmp_path, machine, port=lab.https_port, user=lab.user, password=lab.password, ca=lab.ca_file.read_bytes())
        site.write_text(site.read_text().replace("[hosts.rp01]\n", f'[hosts.rp01]\ntransport = "{transport}"\n'))
        code, host = lyncarr(site, "plan")
        assert (code, host["result"]) == (2, "pending")
        # Nothing is too much where there is nothing.
        assert results(host) == {step.name: "in-place" if step.name == "http-rules" else "pending" for step in STEPS}
        assert not (machine.drive / "ProgramData" / "lyncarr").exists()

        (machine.lab / "faults.txt").write_text("role-reboot\n")
        code, host = lyncarr(site, "provision", "--yes")
        assert (code, host["result"]) == (3, "reboot-needed")
        assert results(host)["iis"] == "reboot-needed"
        assert results(host)["arr"] == "skipped"
        # Packages are not installed on top of that.
        assert lyncarr(site, "provision", "--yes")[0] == 77

        machine.restart()
        code, host = lyncarr(site, "provision", "--yes")
        assert (code, host["result"]) == (0, "applied")
        assert results(host) == {step.name: "in-place" if step.name in ("iis", "http-rules") else "applied" for step in STEPS}
        assert (machine.inetsrv / "backup" / host["backup"]["name"] / "applicationHost.config").exists()
        assert machine.restarts == 1
        assert not leftovers(machine)
        pfx_password = (site.parent / "certs" / "public-password.txt").read_text()
        for secret in (lab.password, pfx_password):
            assert files_with(machine, secret) == []

        before = (machine.inetsrv / "config" / "applicationHost.config").read_bytes()
        code, host = lyncarr(site, "provision", "--yes")
        assert (code, host["result"]) == (0, "in-place")
        assert set(results(host).values()) == {"in-place"}
        assert (machine.inetsrv / "config" / "applicationHost.config").read_bytes() == before
        assert machine.restarts == 1


def leftovers(machine: WineMachine) -> list[Path]:
    """What a run left in its own folder, besides the lock and its holder, and the logs of the installers."""
    folder = machine.drive / "ProgramData" / "lyncarr"
    return [path for path in folder.rglob("*") if path.is_file() and path.name not in ("lock", "holder.json") and path.suffix != ".log"]


def files_with(machine: WineMachine, secret: str) -> list[Path]:
    """Files of the machine, its registry among them, that hold `secret` as it is, as UTF-16 or in base64."""
    machine.stop()  # the registry is written when the machine ends
    forms = [secret.encode(), secret.encode("utf-16-le")]
    forms += [base64.b64encode(form).rstrip(b"=") for form in forms]
    found = []
    for path in machine.drive.parent.rglob("*"):
        # Wine's own libraries are hard links, shared with all machines, and older than the secret.
        if path.is_file() and not path.is_symlink() and path.stat().st_nlink == 1:
            data = path.read_bytes()
            if any(form in data for form in forms):
                found.append(path)
    return found
