"""Command lines into words and back, by the rules of the system. There is no shell, so nothing is expanded."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

_PLAIN = re.compile(r"[A-Za-z0-9_.:/\\=+-]+")
"""Words that cmd.exe and PowerShell take as they are."""
_BEFORE_QUOTE = re.compile(r'(\\*)(?="|$)')


def split(line: str, *, windows: bool) -> list[str]:
    """The words of `line`, the program first. Raises ValueError with the reason, which never repeats the line."""
    try:
        words = _windows_words(line) if windows else shlex.split(line)
    except ValueError:
        raise ValueError("a quote is not closed, or nothing follows a backslash") from None
    if not words or not words[0]:
        raise ValueError("the program is missing")
    return words


def join(words: Sequence[str], *, windows: bool) -> str:
    """The command line for a person to enter at a prompt; on Windows one that cmd.exe and PowerShell understand alike.

    Both know double quotes only, in which & | < > ( ) ; , ' @ # mean nothing. No quoting protects %NAME% from cmd.exe and $NAME from
    PowerShell at once, so these stay as they are.
    """
    return " ".join(map(_windows_word, words)) if windows else shlex.join(words)


def _windows_word(word: str) -> str:
    """Backslashes are doubled before a double quote only, as CommandLineToArgvW reads them."""
    if _PLAIN.fullmatch(word):
        return word
    return '"' + _BEFORE_QUOTE.sub(r"\1\1", word).replace('"', '\\"') + '"'


def _windows_words(line: str) -> list[str]:
    """The rules of CommandLineToArgvW, except that an open quote is an error: CommandLineToArgvW closes it at the end of the line.

    https://learn.microsoft.com/cpp/c-language/parsing-c-command-line-arguments
    """
    words: list[str] = []
    letters: list[str] | None = None
    quoted = False
    position = 0
    while position < len(line):
        letter = line[position]
        position += 1
        if letter in " \t" and not quoted:
            if letters is not None:
                words.append("".join(letters))
            letters = None
            continue
        letters = [] if letters is None else letters
        if letter == "\\" and words:
            # Backslashes are special before a quote only, and never in the name of the program.
            end = position
            while line[end : end + 1] == "\\":
                end += 1
            count = end - position + 1
            before_quote = line[end : end + 1] == '"'
            letters.append("\\" * (count // 2 if before_quote else count))
            position = end
            if before_quote and count % 2:
                letters.append('"')
                position += 1
        elif letter != '"':
            letters.append(letter)
        elif quoted and words and line[position : position + 1] == '"':
            letters.append('"')
            position += 1
        else:
            quoted = not quoted
    if quoted:
        raise ValueError
    if letters is not None:
        words.append("".join(letters))
    return words
