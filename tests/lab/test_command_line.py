"""Command lines and code pages of the simulated host's WinRS shells."""

from __future__ import annotations

import pytest

from lyncarr.lab.real.codepage import from_utf8, to_utf8
from lyncarr.lab.real.command_line import asks_for_cmd, powershell_arguments, split

BYPASS = ["-ExecutionPolicy", "Bypass"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", []),
        ("  one \t two  ", ["one", "two"]),
        ('one "two  three" ""', ["one", "two  three", ""]),
        ('a"b c"d', ["ab cd"]),
        (r'say "a \"quoted\" word"', ["say", 'a "quoted" word']),
        (r'"C:\with blanks\\" C:\without\ \\server\share', ["C:\\with blanks\\", "C:\\without\\", r"\\server\share"]),
        (r'a\\\"b c\\"d e"', ['a\\"b', "c\\d e"]),
        ('"left open', ["left open"]),
        ('say "one ""quoted"" word"', ["say", 'one "quoted', "word"]),
        ('"a""" b', ['a" b']),
    ],
)
def test_words(line: str, words: list[str]) -> None:
    assert split(line) == words


@pytest.mark.parametrize(
    ("line", "arguments"),
    [
        ("powershell -encodedcommand QQA=", [*BYPASS, "-EncodedCommand", "QQA="]),
        (
            r'"C:\Windows\System32\WindowsPowerShell\v1.0\PowerShell.exe" -nop -noni -ex RemoteSigned -enc QQA=',
            ["-NoProfile", "-NonInteractive", "-ExecutionPolicy", "RemoteSigned", "-EncodedCommand", "QQA="],
        ),
        ("powershell -NoLogo -sta -if None -OutputFormat Text -w hidden -ec QQA=", [*BYPASS, "-NoLogo", "-EncodedCommand", "QQA="]),
        ('powershell Get-Item "C:\\a b" -Force', [*BYPASS, "-Command", "Get-Item", "C:\\a b", "-Force"]),
        ("POWERSHELL -NoP -C Get-Item -NoP", [*BYPASS, "-NoProfile", "-Command", "Get-Item", "-NoP"]),
        ("powershell -f a.ps1 -Name x", [*BYPASS, "-File", "a.ps1", "-Name", "x"]),
        ("powershell -", [*BYPASS, "-Command", "-"]),
        ("powershell.exe -NoProfile", [*BYPASS, "-NoProfile", "-Command", "-"]),
        ("powershell -NoSuchSwitch", [*BYPASS, "-NoSuchSwitch"]),
        ("powershell -ep", ["-ExecutionPolicy", "", "-Command", "-"]),
        ("powershell.exe.config", None),
        ("notpowershell -c x", None),
        ("cmd /c powershell", None),
        ("", None),
    ],
)
def test_arguments_of_powershell(line: str, arguments: list[str] | None) -> None:
    assert powershell_arguments(line) == arguments


def test_operators_count_outside_of_quotes() -> None:
    for line in ("a & b", "a|b", "a > b", 'a "b" ^c', "a\nb"):
        assert asks_for_cmd(line)
    for line in ('a "b & c" d', 'powershell -Command "a | b > c"', "a ; b"):
        assert not asks_for_cmd(line)


def test_a_character_may_come_in_pieces() -> None:
    data = "ü€".encode()
    translate = from_utf8(1252)
    assert b"".join(translate(data[at : at + 1]) for at in range(len(data))) == b"\xfc\x80"
    assert from_utf8(437)(data) == b"\x81?"
    translate = from_utf8(437)
    assert translate(b"a\xc3") + translate(b"", True) == b"a\xc3"
    assert to_utf8(437)(b"\x81") == "ü".encode()
    assert from_utf8(65001)(b"\xff") == to_utf8(65001)(b"\xff") == b"\xff"
