"""The mechanics of `make acceptance`, on a simulated server: what it proves on a real one, it proves there."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lyncarr.core.model import Secret
from lyncarr.hosts.target import Target
from lyncarr.powershell.bundle import SHARED, read_snippet, snippet_folder
from tests.windows import checks
from tools.acceptance import __main__ as acceptance
from tools.acceptance import hands, secrets_in_log
from tools.snippets.snippet_lint import run_lint

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted((ROOT / "tools" / "acceptance").glob("*.ps1"))
LOGGED = Path(__file__).with_name("logged.ps1")
SECRET = 'P@ss"word-of-contoso'


def accept(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tools.acceptance", *words]
    return subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=240)


@pytest.fixture
def site(pwsh_wine: str, wine_cache: Path, tmp_path: Path) -> Iterator[Path]:
    """The site file of `lyncarr lab` on Wine, where URL Rewrite and ARR are installed."""
    command = [
        sys.executable,
        "-m",
        "lyncarr",
        "lab",
        "--powershell",
        pwsh_wine,
        "--preset",
        "arr",
        "--folder",
        str(tmp_path),
        "--output",
        "json",
    ]
    environment = {**os.environ, "LYNCARR_WINE_CACHE": str(wine_cache), "LYNCARR_PWSH_WINE": pwsh_wine}
    lab = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        assert lab.stdout is not None
        assert lab.stdout.readline(), "the lab did not start"
        yield tmp_path / "lyncarr.toml"
    finally:
        lab.send_signal(signal.SIGTERM)
        lab.wait(timeout=60)


@pytest.mark.wine
def test_the_course_on_a_simulated_server(site: Path) -> None:
    done = accept("rp01", "--site", str(site))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().splitlines()[-1].startswith("Passed on rp01")
    for title in acceptance.QUESTIONS.values():
        assert f"\n{title}:\n" in done.stdout
    assert "server httpPort: System.Int64" in done.stdout
    # A guess of the stand-in must not look like an answer of IIS.
    again = done.stdout.partition(acceptance.QUESTIONS["again"])[2].splitlines()[1]
    assert "no answer" in again
    assert "stand-in: no fact covers" in again
    configuration = (site.parent / "machine/prefix/drive_c/windows/system32/inetsrv/config/applicationHost.config").read_text(
        encoding="utf-8"
    )
    assert "lyncarr-acceptance" not in configuration
    assert 'timeout="00:00:30"' not in configuration


def test_refused_without_a_host() -> None:
    done = accept("--site", "lyncarr.toml")
    assert done.returncode == 64
    assert "Name a Windows server that may be lost" in done.stderr


@pytest.mark.parametrize(
    "text",
    [
        f"param {SECRET}",
        json.dumps({"password": SECRET}),
        base64.b64encode(f"{SECRET} and more".encode()).decode(),
        base64.b64encode(f"{SECRET} and more".encode("utf-16-le")).decode(),
    ],
)
def test_a_secret_in_the_log_is_found(text: str) -> None:
    events = [{"id": 4103, "text": "nothing"}, {"id": 4103, "text": text}]
    assert secrets_in_log.found(events, {"canary": SECRET}) == ["canary"]


def test_a_secret_cut_in_two_by_script_block_logging_is_found() -> None:
    events = [{"id": 4104, "text": f"$x = '{SECRET[:9]}"}, {"id": 4103, "text": "between"}, {"id": 4104, "text": f"{SECRET[9:]}'"}]
    assert secrets_in_log.found(events, {"canary": SECRET}) == ["canary"]


@pytest.mark.parametrize(("text", "names"), [('value="{"pfx": "MII', ["pipeline input"]), ("$Secrets['pfx_password']", [])])
def test_the_object_that_carries_secrets_is_found(text: str, names: list[str]) -> None:
    assert secrets_in_log.found([{"id": 4103, "text": text}], {"canary": SECRET}) == names


@pytest.mark.powershell
def test_scripts_keep_the_rules_of_the_snippets(pwsh: str, tmp_path: Path) -> None:
    """All but the rule of the platform layer: these scripts ask Windows themselves."""
    files = {name: read_snippet(name) for name in SHARED}
    own = {f"_{path.name}": path.read_text(encoding="ascii") for path in SCRIPTS}
    report = run_lint(pwsh, {"acceptance": files | own}, tmp_path)
    assert [str(finding) for finding in report.of("acceptance") if finding.file in own and finding.rule != "platform-layer"] == []


@pytest.fixture(scope="module")
def logged(pwsh: str) -> list[str]:
    arguments = [str(LOGGED), str(snippet_folder()), str(ROOT / "tools" / "acceptance" / "events.ps1")]
    command = [pwsh, "-NoProfile", "-NonInteractive", "-File", *arguments]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()


@pytest.mark.powershell
@pytest.mark.parametrize("name", checks.names(LOGGED))
def test_events_of_a_log(logged: list[str], name: str) -> None:
    """Over a stand-in for Get-WinEvent."""
    checks.verify(logged, name)


@pytest.mark.parametrize(
    ("text", "last"), [(f'value="{SECRET}"', "FOUND: the account's password"), ("nothing", "no secret was found in them")]
)
def test_verdict_on_a_log(monkeypatch: pytest.MonkeyPatch, text: str, last: str) -> None:
    monkeypatch.setattr(hands, "call", lambda *_, **__: [{"id": 4103, "text": text}])
    target = Target("rp01", "192.0.2.10", 5986, "Administrator", Secret(SECRET))
    logging = {"readable": True, "modules": True, "blocks": True, "now": "2026-11-24T12:00:00Z"}
    lines = acceptance.judge_log(target, logging, {"the account's password": SECRET, "the password of the PFX": "short"})
    assert lines[1] == "the password of the PFX is too short to be looked for"
    assert lines[-1] == last
