"""The real console script: misuse ends before any contact, with one sentence and the nearest name; nothing on standard output."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lyncarr.cli.local import run_lab
from lyncarr.cli.options import DEFAULT_SITE, Output
from lyncarr.cli.paste import command_line
from lyncarr.core.errors import UsageError
from lyncarr.core.kinds import AuthMethod, TransportKind
from lyncarr.runs.connection import Overrides
from tests.platforms import WINDOWS, plain_environment

SITE = """
[hosts.rp01]
address = "192.0.2.10"
user = "Administrator"
password = "env:LYNCARR_TEST_PASSWORD"

[[farms]]
name = "dialin.contoso.com"
servers = ["fepool.contoso.local"]
"""


def lyncarr(*words: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {**plain_environment(), "LANG": "C", **environment}
    return subprocess.run(
        [sys.executable, "-m", "lyncarr", *words], cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "lyncarr.toml").write_text(SITE)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["plam"], 64, "plan"),
        (["plan", "--hots", "rp01"], 64, "--host"),
        (["plan"], 78, "LYNCARR_TEST_PASSWORD"),
        (["plan", "--host"], 64, "--host"),
        (["plan", "--host", "rp01", "--port", "0"], 64, "--port"),
        (["plan", "--host", "rp01", "--port", "a"], 64, "--port"),
        (["plan", "--host", "rp01", "--timeout", "-1"], 64, "--timeout"),
        (["plan", "--host", "rp01", "--timeout", "nan"], 64, "--timeout"),
        (["plan", "--host", "rp01", "--timeout", "inf"], 64, "--timeout"),
        (["plan", "--host", "rp01", "--auth", "kerberoast"], 64, "negotiate"),
        (["plan", "--host", "rp01", "--auth", "basic", "--tls", "off"], 64, "TLS"),
        (["plan", "--host", "rp01", "--tls", "maybe"], 64, "pin:sha256"),
        (["plan", "--host", "rp01", "--step", "proxy-timout"], 64, "proxy-timeout"),
        (["plan", "--host", "rp01", "--output", "yaml"], 64, "json"),
        (["plan", "--host", "a b"], 64, "--host"),
        (["provision", "--host", "rp01"], 64, "--yes"),
        (["explain", "proxy"], 64, "proxy-timeout"),
        (["explain"], 64, "STEP"),
        (["plan", "--host", "rp01", "--site", "nowhere.toml"], 65, "nowhere.toml"),
        (["plan", "--host", "rp01"], 78, "LYNCARR_TEST_PASSWORD"),
        (["plan", "--host", "rp01", "--password-from", "prompt"], 78, "terminal"),
        (["plan", "--host", "rp01", "--password-from", "s3cr3t-literal"], 78, "env:NAME"),
        (["lab", "--preset", "nothing"], 64, "blank"),
        (["lab", "--address", "192.0.2.1"], 64, "loopback"),
    ],
)
def test_misuse(words: list[str], code: int, said: str, folder: Path) -> None:
    done = lyncarr(*words, cwd=folder)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert "s3cr3t-literal" not in done.stderr


def test_help_teaches_and_names_the_exit_codes(tmp_path: Path) -> None:
    done = lyncarr("--help", cwd=tmp_path)
    assert done.returncode == 0
    for word in ("init", "check", "schema", "plan", "provision", "steps", "explain", "lab", "130"):
        assert word in done.stdout
    assert lyncarr(cwd=tmp_path).stdout == done.stdout


@pytest.mark.parametrize("words", [["--help"], ["--version"]], ids=" ".join)
def test_help_is_quick(words: list[str], tmp_path: Path) -> None:
    """It loads none of the packages that take most of the time; a time would depend on the machine."""
    done = lyncarr(*words, cwd=tmp_path, PYTHONPROFILEIMPORTTIME="1")
    assert done.returncode == 0
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert {"typer", "lyncarr"} <= loaded
    assert not loaded & {"cryptography", "idna", "psrpcore", "pydantic", "pypsrp", "requests", "spnego", "tenacity", "winrm", "xmltodict"}


def test_version(tmp_path: Path) -> None:
    assert lyncarr("--version", cwd=tmp_path).stdout.startswith("lyncarr 0.")


def test_steps_and_explain(tmp_path: Path) -> None:
    line = json.loads(lyncarr("steps", "--output", "json", cwd=tmp_path).stdout)
    assert (line.pop("schema"), line.pop("event"), list(line)) == (1, "steps", ["steps"])
    rows = line["steps"]
    texts = ("title", "sets", "reason", "source", "never_touches", "fails")
    for row in rows:
        said = lyncarr("explain", row["step"], cwd=tmp_path)
        assert said.returncode == 0
        assert all(" ".join(row[text].split()) in " ".join(said.stdout.split()) for text in texts)
    timeout = lyncarr("explain", "proxy-timeout", cwd=tmp_path).stdout
    assert all(number in timeout for number in ("200", "960", "600 to 900"))
    assert "iisreset /noforce" in timeout
    rules = lyncarr("explain", "http-rules", cwd=tmp_path).stdout
    assert "`ssl-offload` and `host-conditions`: all of them or none" in rules
    assert "deletes every HTTP rule" in rules


def test_the_schema_is_printed_or_written(tmp_path: Path) -> None:
    printed = lyncarr("schema", cwd=tmp_path)
    assert json.loads(printed.stdout)["properties"]["farms"]["type"] == "array"
    written = lyncarr("schema", "--file", "lyncarr.schema.json", cwd=tmp_path)
    assert "#:schema ./lyncarr.schema.json" in written.stdout
    assert (tmp_path / "lyncarr.schema.json").read_text() == printed.stdout
    (tmp_path / "lyncarr.toml").write_text(SITE)
    spoiled = lyncarr("schema", "--file", "lyncarr.toml", cwd=tmp_path)
    assert (spoiled.returncode, spoiled.stdout) == (65, "")
    assert (tmp_path / "lyncarr.toml").read_text() == SITE


def test_init_never_overwrites_and_check_rejects_the_placeholders(tmp_path: Path) -> None:
    assert lyncarr("init", "contoso.com", cwd=tmp_path).returncode == 0
    first = (tmp_path / "lyncarr.toml").read_bytes()
    again = lyncarr("init", "example.org", cwd=tmp_path)
    assert again.returncode == 65
    assert (tmp_path / "lyncarr.toml").read_bytes() == first
    checked = lyncarr("check", cwd=tmp_path)
    assert checked.returncode == 65
    assert "placeholder" in checked.stderr.lower()
    assert "servers[0]" in checked.stderr


def test_each_problem_has_its_line_and_a_hint_of_its_own(folder: Path) -> None:
    """Also a table to paste, whose lines are printed as they are."""
    for role in ("url_rewrite", "arr"):
        (folder / f"{role}.msi").write_bytes(bytes.fromhex("d0cf11e0a1b11ae1") + role.encode())
    (folder / "lyncarr.toml").write_text(
        f'{SITE}\n[installers]\nurl_rewrite = "url_rewrite.msi"\narr = "arr.msi"\nweb_farm = "absent.msi"\n'
    )
    done = lyncarr("check", cwd=folder)
    assert (done.returncode, done.stdout) == (65, "")
    hashes = re.findall('^[a-z_]+ = "[0-9A-F]{64}"$', done.stderr, re.MULTILINE)
    assert done.stderr.splitlines() == [
        f"error: lyncarr.toml:14: `installers.web_farm`: {folder / 'absent.msi'} does not exist.",
        "hint: Copy the file there, or correct the path.",
        f"error: lyncarr.toml:12: `installers.url_rewrite`: {folder / 'url_rewrite.msi'} has an unknown SHA-256.",
        f"error: lyncarr.toml:13: `installers.arr`: {folder / 'arr.msi'} has an unknown SHA-256.",
        "hint: Download the original packages. Or, to trust these files, add this table in lyncarr.toml:",
        "[installers.sha256]",
        *hashes,
    ]
    assert len(hashes) == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["check", "--site", "."], "error: . is a folder; give a file."),
        (["init", "contoso.com", "--site", "."], "error: . is a folder; give a file."),
        (["init", "contoso.com", "--site", "absent/lyncarr.toml"], f"error: {Path('absent/lyncarr.toml')} cannot be written"),
        (["schema", "--file", "."], "error: . is a folder; give a file."),
        (["bootstrap", "--controller", "192.0.2.50", "--file", "."], "error: . is a folder; give a file."),
        (["plan", "--host", "rp01", "--password-from", "file:."], "error: The file . is a folder; give a file."),
        (["check", "--site", "\udcff"], "error: "),
        (["check", "--site", "a" * 300], "error: "),
    ],
)
def test_a_path_of_the_wrong_kind_is_one_sentence(words: list[str], said: str, folder: Path) -> None:
    done = lyncarr(*words, cwd=folder)
    assert done.returncode in (65, 78)
    assert done.stderr.startswith(said)
    assert "Traceback" not in done.stderr


def test_init_takes_several_domains(tmp_path: Path) -> None:
    assert lyncarr("init", "contoso.com", "fabrikam.com", cwd=tmp_path).returncode == 0
    text = (tmp_path / "lyncarr.toml").read_text(encoding="utf-8")
    assert re.findall('^name = "(.*)"', text, re.MULTILINE)[-2:] == ["meet.fabrikam.com", "lyncdiscover.fabrikam.com"]


def in_quotes(path: Path | str) -> str:
    """As the shells of this system quote a path with a space."""
    return f'"{path}"' if WINDOWS else f"'{path}'"


def test_a_next_move_reaches_the_host_in_the_same_way() -> None:
    overrides = Overrides("192.0.2.7", None, AuthMethod.ntlm, 15985, "off", "command:pass show rp01")
    assert command_line("doctor", DEFAULT_SITE, "rp01", overrides) == (
        "lyncarr doctor --host rp01 --address 192.0.2.7 --auth ntlm --port 15985 --tls off"
    )
    overrides = Overrides(password_from="env:RP01", transport=TransportKind.winrs)
    assert command_line("provision", Path("my lab/lyncarr.toml"), "rp01", overrides, ["farms", "iis"]) == (
        f"lyncarr provision --site {in_quotes(Path('my lab/lyncarr.toml'))} --host rp01 --password-from env:RP01 --transport winrs "
        "--step farms --step iis"
    )


def test_check_names_the_next_command_as_it_is_pasted(folder: Path) -> None:
    assert lyncarr("check", cwd=folder).stdout.endswith("lyncarr.toml is valid. Next, run:\n  lyncarr doctor --host rp01\n")
    other = folder / "two proxies.toml"
    other.write_text(SITE + SITE.split("[[farms]]")[0].replace("rp01", "rp02"))
    said = lyncarr("check", "--site", other.name, cwd=folder).stdout
    assert said.endswith(f"two proxies.toml is valid. Next, run:\n  lyncarr doctor --site {in_quotes('two proxies.toml')} --host NAME\n")


def test_init_names_the_next_command_as_it_is_pasted(tmp_path: Path) -> None:
    said = lyncarr("init", "contoso.com", "--site", "my site.toml", cwd=tmp_path).stdout
    assert said.endswith(f"then run:\n  lyncarr check --site {in_quotes('my site.toml')}\n")


def test_the_lab_without_its_extra_says_what_brings_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in sys.modules if name.startswith("lyncarr.lab")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "psrpcore", None)
    with pytest.raises(UsageError, match="package psrpcore") as refused:
        run_lab("blank", None, tmp_path, "127.0.0.1", Output.text)
    assert "\n  pipx install --force '.[lab]'\n" in refused.value.hint
