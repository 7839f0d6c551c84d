"""The platform layer of lyncarr bootstrap on a simulated Windows server, and the printed script as its administrator runs it."""

from __future__ import annotations

import hashlib
import re
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lyncarr.config.loader import load_site
from lyncarr.lab.real.wine import WineMachine
from lyncarr.powershell.bootstrap import FOLDER, script
from lyncarr.powershell.bundle import snippet_folder
from tests.certs import make_leaf, make_pfx
from tests.windows import checks
from tests.windows.conftest import MakeMachine
from tools.snippets.report import CONSOLE_LAYER, layer_parts, misjudged
from tools.snippets.snippet_coverage import NEEDED, finished

pytestmark = pytest.mark.wine

SCRIPT = Path(__file__).with_name("platform_bootstrap.ps1")
COMMANDS = Path(__file__).with_name("console")
SNIPPETS = Path(str(snippet_folder()))
FARM = '\n[[farms]]\nname = "meet.contoso.com"\nservers = ["fepool.contoso.local"]\n'


def with_services(machine: WineMachine) -> WineMachine:
    """Services that start and stop, as W3SVC of the lab does (of them MpsSvc runs), and what New-SelfSignedCertificate is to make."""
    # What is to run must start by itself: services end with the last program of the simulated server.
    for name, start in (("WinRM", "demand"), ("MpsSvc", "auto")):
        done = machine.run(machine.program("sc", "create", name, "binPath=", r"C:\windows\system32\spoolsv.exe", "start=", start))
        assert done.returncode == 0, done.stdout
    done = machine.run(machine.program("sc", "start", "MpsSvc"))
    assert done.returncode == 0, done.stdout
    computer = machine.run(machine.program("cmd", "/c", "echo %COMPUTERNAME%")).stdout.strip()
    leaf = make_leaf([computer], start=datetime.now(UTC), end=datetime.now(UTC) + timedelta(days=3650))
    (machine.lab / "console.pfx").write_bytes(make_pfx(leaf, password=None))
    (machine.lab / "console.sha256").write_text(hashlib.sha256(leaf.der).hexdigest().upper(), encoding="ascii")
    return machine


@pytest.fixture(scope="module")
def answers(make_machine: MakeMachine) -> checks.Answers:
    return checks.run(SCRIPT, with_services(make_machine("bare")), SNIPPETS, (CONSOLE_LAYER,))


@pytest.mark.parametrize("name", checks.names(SCRIPT))
def test_platform_layer(answers: checks.Answers, name: str) -> None:
    checks.verify(answers.lines, name)


def test_every_statement_ran(answers: checks.Answers) -> None:
    """What runs nowhere is known by name and reason; see excused()."""
    recordings = finished([answers.recording])
    if not recordings:
        pytest.skip(NEEDED)
    assert list(misjudged(layer_parts(recordings, (CONSOLE_LAYER,)))) == []


def test_the_printed_script_runs_as_a_file_and_takes_back_what_it_made(make_machine: MakeMachine, tmp_path: Path) -> None:
    machine = with_services(make_machine("bare"))
    shutil.copytree(COMMANDS, machine.system32 / "WindowsPowerShell" / "v1.0" / "Modules" / "LyncarrConsole")
    file = machine.drive / "lyncarr-bootstrap.ps1"
    file.write_text(script(), encoding="ascii", newline="\r\n")
    command = machine.powershell("-File", r"C:\lyncarr-bootstrap.ps1")

    refused = machine.run(command)
    assert refused.returncode == 1
    assert refused.stdout.startswith("Stopped: -Controller ''")

    made = machine.run([*command, "-Controller", "192.0.2.50,192.0.2.51", "-Name", "rp01", "-Yes"])
    assert made.returncode == 0, made.stdout
    assert "  service WinRM: Manual, stopped -> Automatic, running" in made.stdout
    assert "  firewall rule: none -> TCP 5986 from 192.0.2.50, 192.0.2.51" in made.stdout
    assert "All changes are applied and verified." in made.stdout
    site = tmp_path / "lyncarr.toml"
    site.write_text(made.stdout[made.stdout.index("[hosts.rp01]") :] + FARM, encoding="utf-8")
    assert re.fullmatch("pin:sha256:[0-9A-F]{64}", load_site(site).hosts["rp01"].tls)

    again = machine.run([*command, "-Controller", "192.0.2.51,192.0.2.50", "-Name", "rp01"])
    assert again.returncode == 0, again.stdout
    assert "No changes: everything is already set up." in again.stdout
    assert again.stdout[again.stdout.index("[hosts.rp01]") :] == made.stdout[made.stdout.index("[hosts.rp01]") :]

    removed = machine.run([*command, "-Remove", "-Yes"])
    assert removed.returncode == 0, removed.stdout
    assert "  service WinRM: Automatic, running -> Manual, stopped" in removed.stdout
    assert "this script has set up nothing on this server" in machine.run([*command, "-Remove"]).stdout


def test_the_folder_holds_nothing_else() -> None:
    assert sorted(path.name for path in (SNIPPETS / FOLDER).iterdir()) == ["_bootstrap.ps1", "_main.ps1", "_windows.ps1"]
