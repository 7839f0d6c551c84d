"""Terminals and what only looks like one; the encodings of consoles; questions where nobody can answer."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import lyncarr
from lyncarr.cli import ask, streams
from lyncarr.cli.output import terminal_width
from lyncarr.cli.streams import LastingStream, console_mode, is_terminal, rich_console
from lyncarr.core.interrupts import StopNow
from tests.patience import HANG_S
from tests.platforms import WINDOWS, plain_environment, posix

SITE = """
[hosts.rp01]
address = "127.0.0.1"
port = 9
user = "Administrator"
password = "prompt"

[[farms]]
name = "dialin.contoso.com"
servers = ["fepool.contoso.local"]

[[farms]]
name = "m\u00fcnchen.contoso.com"
servers = ["fepool.contoso.local"]

[[farms]]
name = "\u6771\u4eac.contoso.com"
servers = ["fepool.contoso.local"]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "R&D (\u00fc \u6771\u4eac)"
    folder.mkdir()
    (folder / "lyncarr.toml").write_text(SITE, encoding="utf-8")
    return folder


def run(*words: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """lyncarr with the null device as standard input, as in a scheduled task."""
    return subprocess.run(
        [sys.executable, "-m", "lyncarr", *words],
        cwd=cwd,
        env={**plain_environment(), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=HANG_S,
    )


# What a terminal is.


def test_only_one_function_asks_whether_a_stream_is_a_terminal() -> None:
    files = Path(lyncarr.__file__).parent.rglob("*.py")
    assert [file.name for file in files if re.search(r"\bisatty\(", file.read_text("utf-8"))] == ["streams.py"]


def test_a_pipe_a_file_and_a_closed_stream_are_no_terminals(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    with os.fdopen(reader) as out, os.fdopen(writer, "w") as into, (tmp_path / "file").open("w") as file:
        assert not any(is_terminal(stream) for stream in (out, into, file, None, io.StringIO()))
    assert not is_terminal(file)
    assert terminal_width(file) is None


@posix("pseudo-terminals")
def test_a_pseudo_terminal_is_a_terminal() -> None:
    import pty

    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as stream:
        assert is_terminal(stream)
        assert LastingStream(stream).isatty()
        assert is_terminal(LastingStream(stream))  # type: ignore[arg-type]
        assert console_mode(stream) is None
        assert rich_console(stream).is_terminal
    os.close(ours)


@pytest.mark.skipif(not WINDOWS, reason="what isatty() says of NUL")
def test_nul_is_no_terminal() -> None:
    with Path("NUL").open() as stream:
        assert stream.isatty()
        assert not is_terminal(stream)
    with Path("NUL").open("w") as stream:
        assert not LastingStream(stream).isatty()
        assert terminal_width(stream) is None
        assert not rich_console(stream).is_terminal


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["plan"], 78, b"There is no terminal to ask for the password"),
        (["doctor"], 78, b"There is no terminal to ask for the password"),
        (["provision", "--password-from", "env:SECRET"], 64, b"standard input is not a terminal"),
    ],
)
def test_nothing_is_asked_where_nobody_can_answer(words: list[str], code: int, said: bytes, folder: Path) -> None:
    """On Windows the null device calls itself a terminal: the question would wait for ever."""
    done = run(*words, cwd=folder, SECRET="x")
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert done.stdout == b""


@pytest.mark.parametrize("words", [["steps"], ["explain", "farms"], ["plan", "--password-from", "env:SECRET", "--timeout", "1"]])
def test_output_may_go_to_the_null_device(words: list[str], folder: Path) -> None:
    null = subprocess.DEVNULL
    environment = {**plain_environment(), "SECRET": "x"}
    command = [sys.executable, "-m", "lyncarr", *words]
    done = subprocess.run(command, cwd=folder, env=environment, stdin=null, stdout=null, stderr=null, timeout=HANG_S)
    assert done.returncode == (69 if words[0] == "plan" else 0)


# On Windows rich asks standard output for the abilities of every stream. Windows Terminal understands escape sequences; the console of
# Windows Server 2012 R2 does not, and rich then calls the console that is standard output.


@pytest.mark.parametrize(
    ("mode", "output_is_terminal", "terminal", "legacy"),
    [(0x7, True, True, False), (0x7, False, True, False), (0x3, True, True, True), (0x3, False, False, True)],
    ids=["Windows Terminal", "Windows Terminal, output redirected", "old console", "old console, output redirected"],
)
def test_a_console_has_the_abilities_of_its_own_stream(
    mode: int, output_is_terminal: bool, terminal: bool, legacy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return True

    out, err = Screen() if output_is_terminal else io.StringIO(), Screen()
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(streams, "console_mode", lambda stream: mode if isinstance(stream, Screen) else None)
    monkeypatch.setattr("rich.console.WINDOWS", True)
    monkeypatch.delenv("TERM", raising=False)
    console = rich_console(err)
    assert (console.is_terminal, console.legacy_windows) == (terminal, legacy)


# Encodings.


@pytest.mark.parametrize("encoding", ["cp437", "cp850", "cp1252", "utf-8", "cp65001", "ascii"])
@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["check", "--site", "lyncarr.toml"], 0),
        (["check", "--site", "\u00fc \u6771\u4eac.toml"], 65),
        (["plan", "--host", "\u6771\u4eac"], 64),
        (["explain", "\u00fcber"], 64),
        (["init", "m\u00fcnchen.de", "--site", "neu \u6771\u4eac.toml"], 0),
    ],
)
def test_every_encoding_of_a_console_shows_every_text(encoding: str, words: list[str], code: int, folder: Path) -> None:
    """What it lacks is escaped. Redirected output has the code page of the system."""
    if encoding == "cp65001":
        encoding = "utf-8"  # The name of the code page of Windows for it.
    done = run(*words, cwd=folder, PYTHONIOENCODING=encoding)
    text = (done.stdout + done.stderr).decode(encoding)
    assert done.returncode == code, text
    assert "Traceback" not in text
    assert "Error" not in text
    given = words[-1].removesuffix(".toml")
    assert given in text or given.encode(encoding, "backslashreplace").decode(encoding) in text or code == 0


# Ctrl-C at a question.


def test_ctrl_c_at_a_password_is_the_end_also_where_getpass_reads_the_key(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def pressed(question: str) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("getpass.getpass", pressed)
    with pytest.raises(StopNow):
        ask._ask_secret("The password: ")
    assert capsys.readouterr().err == "\n"
