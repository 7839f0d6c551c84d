"""The command line against a replayed host that knows what each step needs. The same requests go to the real script in
tests/windows/test_honest_replay.py."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lyncarr.cli.main import run
from lyncarr.lab.replay.machine import load_preset
from lyncarr.lab.replay.psrp import ReplayEngine
from lyncarr.lab.site import marks, write_site
from lyncarr.lab.wire.server import LabServer
from lyncarr.powershell.bundle import shipped


@pytest.mark.parametrize(
    ("preset", "step", "code", "text"),
    [
        # The steps of its transaction come with it, and the first of them fails.
        ("blank", "host-conditions", 1, "Step ssl-offload: needs step arr: this host has no configuration section 'webFarms'."),
        ("blank", "farms", 1, "Step farms: needs step arr: this host has no configuration section 'webFarms'."),
        ("blank", "arr", 1, "Step arr: needs step iis: IIS is not installed on this host."),
        ("blank", "https-binding", 1, "Step https-binding: needs step iis: IIS is not installed on this host."),
        ("blank", "trusted-roots", 0, ""),
        ("drifted", "farms", 0, ""),
    ],
)
def test_one_step(tmp_path: Path, capsys: pytest.CaptureFixture[str], preset: str, step: str, code: int, text: str) -> None:
    machine = load_preset(preset)
    with LabServer(ReplayEngine(machine, script=shipped())) as lab:
        site = write_site(
            tmp_path,
            host="rp01",
            address=lab.address,
            port=lab.https_port,
            user=lab.user,
            password=lab.password,
            authority=lab.ca_file.read_bytes(),
        )
        machine.fill(marks(tmp_path))
        assert run(["provision", "rp01", "--yes", "--step", step, "--site", str(site), "--output", "json"]) == code
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    error = lines[-2].get("error")
    assert (error is None) == (code == 0)
    if error is not None:
        assert error["message"] == text
        assert error["hint"].startswith("Run the command with --step ")
