"""Command lines of Windows, as much as it takes to start a PowerShell 7 where a client asked for powershell.exe."""

from __future__ import annotations

import re

import mslex

PROGRAM = re.compile(r"(?:.*[\\/])?powershell(?:\.exe)?", re.IGNORECASE)
OPERATORS = frozenset("&|<>^\r\n")
# Switch of powershell.exe -> its shortest spelling, the name that every PowerShell 7 takes (None: it has none), whether a value follows.
SWITCHES: dict[str, tuple[str, str | None, bool]] = {
    "noprofile": ("nop", "-NoProfile", False),
    "nologo": ("nol", "-NoLogo", False),
    "noninteractive": ("noni", "-NonInteractive", False),
    "sta": ("s", None, False),
    "mta": ("mta", None, False),
    "executionpolicy": ("ex", "-ExecutionPolicy", True),
    "inputformat": ("i", None, True),
    "outputformat": ("o", None, True),
    "windowstyle": ("w", None, True),
    "encodedcommand": ("e", "-EncodedCommand", True),
}
SHORT = {"ep": "executionpolicy", "ec": "encodedcommand", "if": "inputformat", "of": "outputformat"}
TAKES_THE_REST = {"command": "-Command", "file": "-File"}
POLICY = ("-ExecutionPolicy", "Bypass")
STANDARD_INPUT = ("-Command", "-")


def split(line: str) -> list[str]:
    """Words of a command line as CommandLineToArgvW and the C library of Windows' own programs split it."""
    words: list[str] = mslex.split_msvcrt(line)
    return words


def asks_for_cmd(line: str) -> bool:
    """Whether the line holds what only cmd.exe can do: an operator outside of quotes."""
    return any(character in OPERATORS for part in line.split('"')[::2] for character in part)


def powershell_arguments(line: str) -> list[str] | None:
    """Arguments for a PowerShell 7 where the line starts powershell.exe, None where it starts anything else.

    powershell.exe takes abbreviated switches, takes a first word that is none for a command, and without any reads commands from
    standard input; PowerShell 7 does not. Where no execution policy is given it is Bypass, as for the lab's runspace pools: an
    engine on Wine cannot judge signatures.
    """
    words = split(line)
    if not words or not PROGRAM.fullmatch(words[0]):
        return None
    arguments = _translated(words[1:])
    return arguments if POLICY[0] in arguments else [*POLICY, *arguments]


def _translated(words: list[str]) -> list[str]:
    """Switches of powershell.exe as those of PowerShell 7. One that is unknown stays, for the engine to refuse."""
    arguments: list[str] = []
    complete = False
    rest = iter(words)
    for word in rest:
        name = word[1:].lower() if word.startswith("-") else ""
        if not name:
            return [*arguments, "-Command", word, *rest]
        if whole := next((switch for long, switch in TAKES_THE_REST.items() if long.startswith(name)), None):
            return [*arguments, whole, *rest]
        found = SWITCHES.get(_full_name(name))
        if found is None:
            arguments.append(word)
            complete = True
            continue
        _, switch, valued = found
        value = [next(rest, "")] if valued else []
        if switch is not None:
            arguments += [switch, *value]
        complete = complete or switch == "-EncodedCommand"
    return arguments if complete else [*arguments, *STANDARD_INPUT]


def _full_name(name: str) -> str:
    found = (long for long, (shortest, *_) in SWITCHES.items() if name.startswith(shortest) and long.startswith(name))
    return SHORT.get(name) or next(found, name)
