"""Command lines into words, by the rules of both systems."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lyncarr.secrets import program
from lyncarr.secrets.words import join, split
from tests.patience import HANG_S

# The cases with a to e are from the table of Microsoft: https://learn.microsoft.com/cpp/c-language/parsing-c-command-line-arguments
WINDOWS = [
    (r"C:\Tools\op.exe read x", ["C:\\Tools\\op.exe", "read", "x"]),
    ('"C:\\Program Files\\op\\op.exe"  read', ["C:\\Program Files\\op\\op.exe", "read"]),
    ('C:\\"Program Files"\\op.exe x', ["C:\\Program Files\\op.exe", "x"]),
    ('"C:\\keys\\" x', ["C:\\keys\\", "x"]),
    ('p "a b c" d e', ["p", "a b c", "d", "e"]),
    (r'p "ab\"c" "\\" d', ["p", 'ab"c', "\\", "d"]),
    (r'p a\\\b d"e f"g h', ["p", "a\\\\\\b", "de fg", "h"]),
    (r"p a\\\"b c d", ["p", 'a\\"b', "c", "d"]),
    (r'p a\\\\"b c" d e', ["p", "a\\\\b c", "d", "e"]),
    ('p "a""b c" d', ["p", 'a"b c', "d"]),
    ('p "" x', ["p", "", "x"]),
    ("p 'a b'", ["p", "'a", "b'"]),
    ("p %PATH% $HOME a&b", ["p", "%PATH%", "$HOME", "a&b"]),
]


@pytest.mark.parametrize(("line", "words"), WINDOWS)
def test_windows(line: str, words: list[str]) -> None:
    assert split(line, windows=True) == words


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("pass show dmz/rp01", ["pass", "show", "dmz/rp01"]),
        ("'my tool' \"a b\" c\\\\ d", ["my tool", "a b", "c\\", "d"]),
        ("p $HOME ~ `id` a;b # x", ["p", "$HOME", "~", "`id`", "a;b", "#", "x"]),
    ],
)
def test_posix(line: str, words: list[str]) -> None:
    assert split(line, windows=False) == words


@pytest.mark.parametrize("windows", [True, False])
@pytest.mark.parametrize("line", ["", "  ", '"" x', 'p "secret', '"secret'])
def test_an_invalid_command_line(line: str, windows: bool) -> None:
    with pytest.raises(ValueError, match=r"the program is missing|a quote is not closed") as caught:
        split(line, windows=windows)
    assert "secret" not in str(caught.value)


WORDS = st.lists(st.text(st.sampled_from("ab \\\"'%\t&|<>();,$`@#=^"), max_size=6), max_size=4)


@given(WORDS)
def test_a_program_on_windows_receives_the_same_words(words: list[str]) -> None:
    """Popen joins them to a line, by the rules by which the program splits it."""
    assert split(subprocess.list2cmdline(["p", *words]), windows=True) == ["p", *words]


@given(WORDS, st.booleans())
def test_a_line_for_a_prompt_has_the_same_words(words: list[str], windows: bool) -> None:
    assert split(join(["keyring", *words], windows=windows), windows=windows) == ["keyring", *words]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["lyncarr", "plan", "--site", r"C:\Lync\lyncarr.toml", "--host", "rp01"], r"lyncarr plan --site C:\Lync\lyncarr.toml --host rp01"),
        (["--site", r"C:\Program Files\lyncarr.toml"], r'--site "C:\Program Files\lyncarr.toml"'),
        (["--site", r"C:\R&D\lyncarr.toml"], r'--site "C:\R&D\lyncarr.toml"'),
        (["--folder", "C:\\my lab\\"], r'--folder "C:\my lab\\"'),
        (["--user", "O'Brien", "--tls", "ca:a,b.pem", ""], '--user "O\'Brien" --tls "ca:a,b.pem" ""'),
        (["(x86)", "@a", "#b", "a;b", "a|b", "a<b>c", "a^b"], '"(x86)" "@a" "#b" "a;b" "a|b" "a<b>c" "a^b"'),
    ],
)
def test_a_line_for_a_prompt_of_windows(words: list[str], line: str) -> None:
    assert join(words, windows=True) == line


PASTED = ["a b", "R&D", "(x86)", "O'Brien", "a;b", "a,b", "@a", "#b", "a|b", "a<b>c", "a^b", "C:\\my lab", "--x=1", "100%", ""]
SHOW = "import sys; print(ascii(sys.argv[1:]))"


def test_a_line_can_be_pasted_into_the_shell_of_this_system(tmp_path: Path) -> None:
    (tmp_path / "show.py").write_text(SHOW)
    line = program.line_of([sys.executable, "show.py", *PASTED])
    done = subprocess.run(line, shell=True, cwd=tmp_path, capture_output=True, text=True, timeout=HANG_S)
    assert done.stdout.strip() == ascii(PASTED), done.stderr


@pytest.mark.powershell
def test_a_line_of_windows_can_be_pasted_into_powershell(pwsh: str, tmp_path: Path) -> None:
    (tmp_path / "show.py").write_text(SHOW)
    line = join(["python", "show.py", *PASTED], windows=True)
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        [pwsh, "-NoProfile", "-NonInteractive", "-Command", line],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=HANG_S,
    )
    assert done.stdout.strip() == ascii(PASTED), done.stderr
