"""`keyring:` and `command:` as a person uses them: the real console script."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lyncarr.secrets.program import line_of
from tests.certs import make_ca, make_leaf, make_pfx
from tests.lab.console import Bench, wait_for
from tests.patience import HANG_S
from tests.platforms import own_python

PFX_PASSWORD = "pfx-Canary-51d0"
KEYRING = '''
import json
from pathlib import Path
from keyring.backend import KeyringBackend

class Kept(KeyringBackend):
    """The entries of a file beside this module."""

    priority = 1.0

    def get_password(self, service, username):
        return json.loads(Path(__file__).with_suffix(".json").read_text()).get(f"{service} {username}")

    def set_password(self, service, username, password):
        raise NotImplementedError
'''


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with Bench(tmp_path) as bench:
        yield bench


def script(bench: Bench, code: str) -> str:
    (bench.folder / "give.py").write_text(f"import os, sys, time\n{code}\n")
    return f"command:{line_of([own_python(bench.folder), 'give.py'])}"


def keyring(bench: Bench, entries: dict[str, str]) -> None:
    (bench.folder / "kept.py").write_text(KEYRING)
    (bench.folder / "kept.json").write_text(json.dumps(entries))
    bench.environment |= {"PYTHON_KEYRING_BACKEND": "kept.Kept", "PYTHONPATH": str(bench.folder)}


def test_a_command_opens_the_host(bench: Bench) -> None:
    code = f"print('unlocked', file=sys.stderr); print({bench.password!r})"
    done = bench.json("plan", "--verbose", "--password-from", script(bench, code))
    assert done.code == 2
    assert done.host["result"] == "pending"
    assert "unlocked" in done.err
    assert bench.password not in done.out + done.err


def test_a_command_may_ask_on_the_terminal(bench: Bench) -> None:
    code = f"sys.stderr.write('Vault PIN: '); sys.stderr.flush()\nprint({bench.password!r} if input() == '1234' else '')"
    with bench.terminal("plan", "--password-from", script(bench, code)) as terminal:
        terminal.wait_for("Vault PIN: ")
        terminal.type("1234\n")
        assert terminal.end() == 2
    assert bench.password not in terminal.seen


@pytest.mark.parametrize("typed", ["\x03", "SIGTERM"])
def test_an_interrupted_command_is_ended_and_nobody_contacted(bench: Bench, typed: str) -> None:
    code = "print(os.getpid(), 'waits', file=sys.stderr, flush=True); time.sleep(500)"
    with bench.terminal("provision", "--yes", "--password-from", script(bench, code)) as terminal:
        terminal.wait_for("waits")
        if typed == "SIGTERM":
            terminal.process.send_signal(signal.SIGTERM)
        else:
            terminal.type(typed)
        assert terminal.end() == 130
    assert "Interrupted. Nothing was written." in terminal.text
    assert bench.lab.connections == 0
    with pytest.raises(ProcessLookupError):
        os.kill(int(terminal.text.split()[0]), 0)


def test_a_command_without_a_terminal_is_ended_with_the_run(bench: Bench) -> None:
    code = "print(os.getpid(), 'waits', file=sys.stderr, flush=True); time.sleep(500)"
    process = bench.start("plan", "--password-from", script(bench, code))
    child = int(wait_for(process.stderr, "waits").split()[0])
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=HANG_S) == 130
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_a_command_of_a_file_that_every_user_can_write_does_not_run(bench: Bench) -> None:
    reference = script(bench, f"open('ran', 'w').close(); print({bench.password!r})")
    site = bench.folder / "lyncarr.toml"
    site.write_text(site.read_text().replace('"env:LYNCARR_TEST_PASSWORD"', json.dumps(reference)))
    site.chmod(0o666)
    done = bench.json("plan")
    assert (done.code, done.out, bench.lab.connections) == (78, "", 0)
    assert f"Other accounts can change the configuration file {site.name}: every user can write it." in done.err
    assert not (bench.folder / "ran").exists()
    site.chmod(0o600)
    assert bench.json("plan").code == 2
    assert (bench.folder / "ran").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["--password-from", "command:no-such-program"],
            "The program no-such-program for the password of Administrator on rp01 was not found",
        ),
        (
            ["--password-from", "keyring:rp01"],
            "The keyring has no entry for the password of Administrator on rp01.\nhint: To add the entry, run:\n  keyring set rp01",
        ),
    ],
)
def test_a_source_that_gives_nothing_is_told_before_any_contact(bench: Bench, words: list[str], said: str) -> None:
    keyring(bench, {})
    done = bench.json("plan", *words)
    assert (done.code, done.out) == (78, "")
    assert said in done.err
    assert [line.split(":")[0] for line in done.err.splitlines()] in (
        ["error", "hint"],
        ["error", "hint", f"  keyring set rp01 {bench.lab.user}"],
    )
    assert bench.lab.connections == 0


def test_a_keyring_opens_the_host(bench: Bench) -> None:
    keyring(bench, {f"dmz/rp01 {bench.lab.user}": bench.password})
    done = bench.json("plan", "--password-from", "keyring:dmz/rp01")
    assert done.code == 2
    assert bench.password not in done.out + done.err


@pytest.mark.parametrize("source", ["command", "keyring"])
def test_check_asks_for_the_pfx_and_not_for_the_host(bench: Bench, source: str, tmp_path: Path) -> None:
    """From elsewhere, because a command of the site file runs in its folder."""
    if source == "keyring":
        keyring(bench, {"web certificate public.pfx": PFX_PASSWORD})
        reference = "keyring:web certificate"
    else:
        reference = script(bench, f"print({PFX_PASSWORD!r})")
    now = datetime.now(UTC)
    leaf = make_leaf(["dialin.contoso.com", "meet.contoso.com"], make_ca(), start=now - timedelta(days=1), end=now + timedelta(days=200))
    (bench.folder / "public.pfx").write_bytes(make_pfx(leaf, [make_ca()], PFX_PASSWORD))
    site = bench.folder / "lyncarr.toml"
    table = f'[certificates]\npublic = "public.pfx"\npassword = {json.dumps(reference)}\n'
    site.write_text(site.read_text().replace("env:LYNCARR_TEST_PASSWORD", "command:no-such-program") + table)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    words = [sys.executable, "-m", "lyncarr", "check", "--site", "../lyncarr.toml"]
    done = subprocess.run(words, cwd=elsewhere, env=bench.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "bound to *:443:" in done.stdout
    assert PFX_PASSWORD not in done.stdout + done.stderr
    site.chmod(0o666)
    again = subprocess.run(
        words, cwd=elsewhere, env=bench.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    )
    assert again.returncode == (78 if source == "command" else 0), again.stderr
