"""Habits of a command line: hosts by argument, option and environment, plain help, completion, suggestions, wrapped errors."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from lyncarr.cli import options
from lyncarr.cli.app import app
from lyncarr.cli.choose import host_named, host_of
from lyncarr.cli.usage import INSTEAD, _nearest_command
from lyncarr.core.errors import UsageError
from lyncarr.report.text import labelled
from tests.cli.test_usage import SITE, lyncarr
from tests.lab.console import Bench
from tests.lab.terminal import Terminal

COMMANDS: dict[str, Any] = get_command(app).commands  # type: ignore[attr-defined]
REMOTE = ("doctor", "plan", "provision")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with Bench(tmp_path) as bench:
        yield bench


def run(bench: Bench, *words: str, **environment: str) -> tuple[int, str]:
    """A command without --host."""
    done = lyncarr(*words, cwd=bench.folder, **{**bench.environment, **environment})
    return done.returncode, done.stdout + done.stderr


# Which host.


def test_the_host_is_an_argument_an_option_a_variable_or_the_only_one(bench: Bench) -> None:
    for words, environment in (
        (["plan", "rp01"], {}),
        (["plan", "--host", "RP01"], {}),
        (["plan", "rp01", "--host", "rp01"], {}),
        (["plan"], {"LYNCARR_HOST": "rp01"}),
        (["plan"], {}),
    ):
        code, text = run(bench, *words, **environment)
        assert code == 2, text
        assert "lyncarr provision --host rp01" in text


def test_the_variable_names_the_configuration_file(bench: Bench) -> None:
    (bench.folder / "lyncarr.toml").rename(bench.folder / "other.toml")
    assert run(bench, "plan", "rp01", LYNCARR_SITE="other.toml")[0] == 2
    code, text = run(bench, "plan", "rp01", "--site", "absent.toml", LYNCARR_SITE="other.toml")
    assert code == 65
    assert "absent.toml" in text
    assert run(bench, "check", LYNCARR_SITE="other.toml")[0] == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["plan", "--host", "rp01", "--host", "rp02"], "--host is given 2 times ('rp01', 'rp02')."),
        (["plan", "--host", "rp01", "--host", "rp01"], "--host is given 2 times ('rp01', 'rp01')."),
        (["plan", "rp01", "--host", "rp02"], "The command line names two hosts, 'rp01' and 'rp02'."),
        (["plan", "rp01", "rp02"], "Unexpected argument: rp02."),
        (["doctor", "rp01", "rp02"], "Unexpected argument: rp02."),
    ],
)
def test_two_hosts_are_refused(words: list[str], message: str, tmp_path: Path) -> None:
    (tmp_path / "lyncarr.toml").write_text(SITE)
    done = lyncarr(*words, cwd=tmp_path)
    assert done.returncode == 64
    assert done.stderr.splitlines() == [f"error: {message}", done.stderr.splitlines()[1]]
    assert done.stderr.splitlines()[1].startswith("hint: ")


def test_the_variable_never_chooses_the_host_of_a_write_without_a_question(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    with (bench.folder / "lyncarr.toml").open("a") as file:
        file.write('\n[hosts.rp02]\naddress = "192.0.2.2"\nuser = "x"\npassword = "env:LYNCARR_TEST_PASSWORD"\n')
    code, text = run(bench, "provision", "--yes", LYNCARR_HOST="rp01")
    assert code == 64
    assert "--yes needs the host on the command line; LYNCARR_HOST ('rp01') does not choose it." in text
    assert bench.writes == []
    assert run(bench, "provision", "rp01", "--yes", LYNCARR_HOST="rp02")[0] == 0
    assert run(bench, "provision", "--dry-run", "--yes", LYNCARR_HOST="rp01")[0] == 0
    one, two = {"rp01": 0}, {"rp01": 0, "rp02": 0}
    monkeypatch.delenv("LYNCARR_HOST", raising=False)
    assert host_of(None, one, unattended=True) == "rp01"
    for hosts in (two, {}):
        with pytest.raises(UsageError):
            host_of(None, hosts, unattended=True)
    monkeypatch.setenv("LYNCARR_HOST", "rp02")
    with pytest.raises(UsageError, match="LYNCARR_HOST"):
        host_of(None, one, unattended=True)
    assert host_of(None, two, unattended=False) == "rp02"
    assert host_named(None, None) is None


# Help.


@pytest.mark.parametrize("command", COMMANDS)
def test_each_option_has_one_line_at_80_columns(command: str, tmp_path: Path) -> None:
    """Also no type behind a switch, and no boxes."""
    text = lyncarr(command, "--help", cwd=tmp_path, COLUMNS="80").stdout
    options = text.partition("Options:\n")[2].partition("\n\n")[0]
    lines = options.splitlines()
    assert all(re.match(r"  -", line) for line in lines), options
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "<bool>" not in text
    assert not set("│╭╰─") & set(text)


def test_the_root_help_fits_into_80_columns(tmp_path: Path) -> None:
    text = lyncarr("--help", cwd=tmp_path, COLUMNS="80").stdout
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "..." not in text.partition("\n")[2], "no summary is cut"
    assert "  lyncarr plan rp01 " in text


# Completion.


def completed(words: str, folder: Path) -> list[str]:
    """What bash gets for a command line, whose last word is unfinished."""
    done = lyncarr(cwd=folder, _LYNCARR_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=str(words.count(" ")))
    assert "Traceback" not in done.stderr
    return done.stdout.split()


def test_commands_options_hosts_steps_and_words_are_completed(tmp_path: Path) -> None:
    (tmp_path / "lyncarr.toml").write_text(SITE)
    assert completed("lyncarr pro", tmp_path) == ["provision"]
    assert completed("lyncarr plan --log", tmp_path) == ["--log-file"]
    assert completed("lyncarr plan r", tmp_path) == ["rp01"]
    assert completed("lyncarr plan --host ", tmp_path) == ["rp01"]
    assert completed("lyncarr plan --step proxy", tmp_path) == ["proxy-timeout"]
    assert completed("lyncarr plan --view n", tmp_path) == ["names"]
    assert completed("lyncarr explain far", tmp_path) == ["farms"]
    (tmp_path / "lyncarr.toml").write_text("hosts = 1")
    assert completed("lyncarr plan r", tmp_path) == []


def test_completion_can_be_shown_for_a_shell(tmp_path: Path) -> None:
    # Typer looks for the shell among the parents of the process, which in a test run can be any program.
    done = lyncarr("--show-completion", "bash", cwd=tmp_path, HOME=str(tmp_path), _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert "_LYNCARR_COMPLETE" in done.stdout


# Commands and options that do not exist.


@pytest.mark.parametrize(("name", "instead"), INSTEAD.items())
def test_a_command_of_a_similar_tool_is_answered_with_ours(name: str, instead: str, tmp_path: Path) -> None:
    done = lyncarr(name, "rp01", cwd=tmp_path)
    assert done.returncode == 64
    assert done.stderr == f"error: Unknown command '{name}'.\nhint: Did you mean lyncarr {instead}?\n"
    assert instead.split()[0] in COMMANDS
    assert name not in COMMANDS, "the command exists now: remove its entry of INSTEAD"


def test_a_suggestion_is_dropped_once_its_command_exists() -> None:
    for name, instead in INSTEAD.items():
        assert instead not in _nearest_command(name, {*COMMANDS, name})


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["plam"], "error: Unknown command 'plam'.\nhint: Did you mean lyncarr plan?\n"),
        (["plan", "--hots", "x"], "error: Unknown option '--hots'.\nhint: Did you mean --host?\n"),
        (["xyzzy"], "error: Unknown command 'xyzzy'.\nhint: lyncarr --help lists"),
        (["plan", "--port"], "error: --port needs a value.\n"),
        (["explain"], "error: The argument STEP is missing.\n"),
    ],
)
def test_what_cannot_be_parsed(words: list[str], text: str, tmp_path: Path) -> None:
    done = lyncarr(*words, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (64, "")
    assert done.stderr.startswith(text)


# Values.


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["plan", "--port", "70000"], "--port must be a number from 1 to 65535, not 70000."),
        (["plan", "--port", "0"], "--port must be a number from 1 to 65535, not 0."),
        (["plan", "--port", "-1"], "--port must be a number from 1 to 65535, not -1."),
        (["plan", "--port", "https"], "--port must be a number from 1 to 65535, not 'https'."),
        (["bootstrap", "--port", "70000"], "--port must be a number from 1 to 65535, not 70000."),
        (["plan", "--timeout", "0"], "--timeout must be a number from 1 to 3600, not 0."),
        (["plan", "--timeout", "nan"], "--timeout must be a number from 1 to 3600, not 'nan'."),
        (["plan", "--timeout", "inf"], "--timeout must be a number from 1 to 3600, not 'inf'."),
        (["plan", "--auth", "digest"], "--auth must be negotiate, ntlm, kerberos, sspi, basic or certificate, not 'digest'."),
        (["plan", "--transport", "ssh"], "--transport must be psrp or winrs, not 'ssh'."),
        (["plan", "--view", "farms"], "--view must be steps or names, not 'farms'."),
        (["check", "--output", "yaml"], "--output must be text or json, not 'yaml'."),
    ],
)
def test_a_wrong_value_is_named_with_the_right_ones(words: list[str], message: str, tmp_path: Path) -> None:
    done = lyncarr(*words, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (64, f"error: {message}\n")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_with_a_range_or_a_choice_has_our_sentence(command: str) -> None:
    """A number or a word of a list is read by our own parser; the library's sentences have no value in them."""
    for parameter in COMMANDS[command].params:
        kind = parameter.type_descriptor.annotation
        if kind in (int, float) or hasattr(kind, "__members__"):
            assert parameter.type_descriptor.parameter_info.parser is not None, parameter.name


# Errors on a terminal.


def test_errors_are_wrapped_at_the_width_of_the_terminal(bench: Bench) -> None:
    environment = bench.environment | {"TERM": "xterm"}
    command = bench.command("plan", "--tls", "verify", "--port", str(bench.lab.https_port))
    with Terminal(command, bench.folder, environment, 60) as terminal:
        assert terminal.end() == 77
    lines = terminal.text[terminal.text.index("error: ") :].splitlines()
    assert all(len(line) <= 60 for line in lines if bench.lab.pin not in line), lines
    assert lines[-1].strip().endswith(f'"pin:sha256:{bench.lab.pin}"'), "unbroken"
    assert any(line.startswith("  ") for line in lines)
    unwrapped = bench.run("plan", "--tls", "verify").err.splitlines()
    assert len(unwrapped) < len(lines), "not wrapped in a log"


def test_words_are_not_broken_and_lines_to_copy_stand_alone() -> None:
    text = f"Compare the SHA-256 of the certificate on the host, then add this line to its table:\n{'A' * 90}"
    lines = list(labelled("hint", text, 40, 2_000))
    assert lines[-1] == "A" * 90
    assert all(len(line) <= 40 for line in lines[:-1])
    assert " ".join(line.strip() for line in lines[:-1]) == f"hint: {text.partition(chr(10))[0]}"
    assert list(labelled("hint", text, None, 2_000)) == [f"hint: {text.partition(chr(10))[0]}", "A" * 90]
    assert list(labelled("hint", "", None, 2_000)) == []


def test_the_sha256_of_doctor_is_not_broken(bench: Bench) -> None:
    for words in (["doctor"], ["doctor", "--tls", "verify"]):
        with bench.terminal(*words) as terminal:
            terminal.end()
        assert re.search(rf"^ *\S*{bench.lab.pin}\S*$", terminal.text, re.MULTILINE), "alone on its line"
        assert all(len(line) <= 80 for line in terminal.text.splitlines() if bench.lab.pin not in line)


def test_the_terminal_of_the_tests_has_no_variables_of_its_own() -> None:
    assert "LYNCARR_SITE" not in os.environ
    assert "LYNCARR_HOST" not in os.environ


@pytest.mark.parametrize("encoded", [lambda text: text.encode(), lambda text: b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode()])
def test_the_hosts_of_a_file_of_any_editor_are_completed(
    encoded: Callable[[str], bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Editors of Windows write a byte order mark and CRLF."""
    (tmp_path / "lyncarr.toml").write_bytes(encoded('[hosts.rp01]\naddress = "192.0.2.10"\n'))
    monkeypatch.chdir(tmp_path)
    assert options._hosts("RP") == ["rp01"]
    monkeypatch.setenv(options.SITE_VARIABLE, str(tmp_path))
    assert options._hosts("") == []
