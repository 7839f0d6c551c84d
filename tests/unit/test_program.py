"""Programs that return a secret: real child processes."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from lyncarr.core.errors import ConfigurationError
from lyncarr.secrets import program
from tests.patience import HANG_S
from tests.platforms import own_python, posix

POSIX = posix("signals")
PRINTED = b"secret" + os.linesep.encode()


def run(folder: Path, code: str, *words: str, interactive: bool = False, limit: int = 100) -> bytes:
    script = folder / "give.py"
    script.write_text(f"import os, signal, subprocess, sys, time\nfrom pathlib import Path\n{code}\n", encoding="utf-8")
    line = program.line_of([own_python(folder), str(script), *words])
    return program.output_of(line, folder=folder, interactive=interactive, label="the password", limit=limit)


def test_a_program_receives_the_words_as_written(tmp_path: Path) -> None:
    words = ["a b", "$HOME", "`id`", "~", "*", "x;y", "", '"', "\\"]
    assert run(tmp_path, "print(ascii(sys.argv[1:]))", *words).decode().strip() == ascii(words)


def test_a_program_runs_in_the_folder_with_empty_standard_input(tmp_path: Path) -> None:
    assert run(tmp_path, "print(os.getcwd(), sys.stdin.read())", limit=1000).decode().strip() == str(tmp_path)


def test_standard_error_is_shown_escaped_and_standard_output_is_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = r"print('secret'); sys.stderr.buffer.write('gpg:\tkey \x1b[2J expired\r\nsee \u202ethere'.encode() + b'\xff')"
    assert run(tmp_path, code) == PRINTED
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == "gpg:    key \\x1b[2J expired\nsee \\u202ethere\ufffd\n"


def test_standard_error_is_shown_up_to_a_limit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, "sys.stderr.write('x' * 1_000_000); print('secret')") == PRINTED
    assert capsys.readouterr().err.count("x") == program.MAX_SHOWN_CHARS


def test_a_question_is_shown_before_the_program_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Answering:
        """Standard error, whose reader answers."""

        def write(self, text: str) -> int:
            if text == "Passphrase: ":
                (tmp_path / "answer").touch()
            return len(text)

        def flush(self) -> None:
            pass

    monkeypatch.setattr(sys, "stderr", Answering())
    code = "sys.stderr.write('Passphrase: '); sys.stderr.flush()\nwhile not Path('answer').exists(): time.sleep(0.01)\nprint('secret')"
    assert run(tmp_path, code) == PRINTED


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("print('secret'); sys.exit(3)", r"The program python[0-9.]*(?:\.exe)? for the password failed with exit code 3"),
        pytest.param("print('secret', flush=True); os.kill(os.getpid(), 9)", r"was ended by signal 9", marks=POSIX),
        ("print('secret' * 100)", r"writes more than 100 bytes"),
        # A program that continues without a reader does not delay the result.
        ("sys.stdout.buffer.write(b'secret' * 1_000_000); time.sleep(60)", r"writes more than 100 bytes"),
    ],
)
def test_a_program_that_fails(code: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=reason) as caught:
        run(tmp_path, code)
    assert "secret" not in f"{caught.value}{caught.value.detail}"


@pytest.mark.parametrize(
    "code",
    [
        "time.sleep(60)",
        "print('secret', flush=True); sys.stdout.close(); os.close(1); time.sleep(60)",
        pytest.param("signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)", marks=POSIX),
    ],
    ids=["silent", "closed output", "ignores SIGTERM"],
)
def test_a_program_that_does_not_end_is_ended(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "LONGEST_S", 2.0)
    monkeypatch.setattr(program, "GRACE_S", 0.2)
    with pytest.raises(ConfigurationError, match=r"did not return the password within 2 seconds, and was ended"):
        run(tmp_path, f"Path('pid').write_text(str(os.getpid()))\n{code}")
    if os.name == "posix":
        with pytest.raises(ProcessLookupError):
            os.kill(int((tmp_path / "pid").read_text()), 0)


@POSIX
def test_a_child_that_keeps_the_output_open_does_not_delay_the_result(tmp_path: Path) -> None:
    """Such as an agent that the program starts once."""
    began = time.monotonic()
    child = "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])"
    code = f"print('secret', flush=True); {child}; Path('child').write_text(str(child.pid))"
    assert run(tmp_path, code).strip() == b"secret"
    assert time.monotonic() - began < HANG_S
    os.kill(int((tmp_path / "child").read_text()), signal.SIGKILL)


@pytest.mark.parametrize("line", ["no-such-program show rp01", "./no-such-program show rp01", "give.py show rp01"])
def test_a_missing_program(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unlike on Windows, a bare name is not looked up in the working folder."""
    (tmp_path / "give.py").write_text("#!/bin/sh\n")
    (tmp_path / "give.py").chmod(0o700)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match=r"was not found") as caught:
        program.output_of(line, folder=tmp_path, interactive=False, label="the password", limit=100)
    assert "show rp01" not in str(caught.value)


@POSIX
def test_a_file_that_is_not_a_program_does_not_start(tmp_path: Path) -> None:
    (tmp_path / "give").write_bytes(b"\x7fELF")
    (tmp_path / "give").chmod(0o700)
    with pytest.raises(ConfigurationError, match="The program give for the password does not start"):
        program.output_of("./give", folder=tmp_path, interactive=False, label="the password", limit=100)


@POSIX
def test_a_path_is_relative_to_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "give").write_text("#!/bin/sh\necho secret\n")
    (tmp_path / "tools" / "give").chmod(0o700)
    monkeypatch.chdir("/")
    assert program.output_of("tools/give", folder=tmp_path, interactive=False, label="the password", limit=100) == b"secret\n"


def test_windows_adds_an_extension(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "_WINDOWS", True)
    monkeypatch.setenv("PATHEXT", os.pathsep.join([".EXE", ".CMD"]))
    monkeypatch.setenv("PATH", os.pathsep.join([".", str(tmp_path)]))
    for name in ("op", "op.CMD", "v1.2.EXE"):
        (tmp_path / name).touch(0o700)
    assert program.find("op", tmp_path) == tmp_path / "op.CMD"
    assert program.find("op.CMD", tmp_path) == tmp_path / "op.CMD"
    assert program.find("v1.2", tmp_path) == tmp_path / "v1.2.EXE"
    assert program.find("none", tmp_path) is None
