"""The text of a configuration file, and the data in it. Errors of the file as a whole, and of TOML itself, are explained here."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from lyncarr.core.errors import Problem, SiteError
from lyncarr.core.files import FileError, in_words, read_file
from lyncarr.core.text import quoted
from lyncarr.secrets.program import line_of

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 64
MAX_LINE_CHARS = 500

_SECRET_KEYS = frozenset({"password"})
_BOOLEANS = {"yes": "true", "on": "true", "true": "true", "no": "false", "off": "false", "false": "false"}
_POSITION = re.compile(r"\(at line (\d+), column (\d+)\)")
_TWICE = re.compile(r"Cannot declare \((?P<key>.*)\) twice")
# The position is reported in another form, and the character that stopped the parser may be one of a secret.
_NOT_TO_SHOW = re.compile(r"\((?:at line \d+, column \d+|at end of document)\)|(?<=haracter) '.*'", re.DOTALL)
_BARE_WORD = re.compile(r"\s*(?P<key>[A-Za-z0-9_.\"' -]+?)\s*=\s*(?P<word>[A-Za-z][^\s#]*)")
# Begins only where a key can begin: else each character of a long word would be a start, and the time would grow with its square.
_DOTTED = re.compile(r"""(?<![A-Za-z0-9_-])(?:(?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')[ \t]*\.[ \t]*)+""")


def read_text(path: Path) -> str:
    """The text of the configuration file at `path`. Raises SiteError (exit 65)."""
    try:
        data = read_file(path, MAX_BYTES, pipe=True)
    except FileError as error:
        raise _unreadable(path, error) from None
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in data[:2]:
        raise SiteError(Problem(str(path), "the file is UTF-16; only UTF-8 is supported.", "Save the file again as UTF-8."))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SiteError(Problem(f"{path}:{line}", "this line is not UTF-8.", "Save the file again as UTF-8.")) from None
    if not text.strip():
        raise SiteError(Problem(str(path), "the configuration file is empty.", f"Remove the file. {_create(path)}"))
    return text


def parse(path: Path, text: str) -> dict[str, Any]:
    """The data in `text`, which is TOML. Raises SiteError (exit 65) with line and column, and never with a value: it may be a password."""
    if any(run[0].count(".") > MAX_DEPTH for run in _DOTTED.finditer(text)):
        # The memory that tomllib takes grows with the square of a dotted key's length: 400 KB of dots are more than a machine has.
        raise SiteError(Problem(str(path), f"a key has more than {MAX_DEPTH} parts."))
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise SiteError(Problem(str(path), "lists or tables are nested too deeply.")) from None
    except ValueError as error:  # A TOMLDecodeError, or a number that is too long for Python.
        raise SiteError(_explained(path, str(error), text)) from None


def _create(path: Path) -> str:
    return f"Create a new one with {line_of(['lyncarr', 'init', 'DOMAIN', '--site', str(path)])}."


def _unreadable(path: Path, error: FileError) -> SiteError:
    if error.reason == "does not exist":
        problem = Problem(str(path), "the configuration file does not exist.", f"{_create(path)} Or name another file with --site FILE.")
    elif error.reason == f"is larger than {in_words(MAX_BYTES)}":
        problem = Problem(str(path), f"the file {error.reason}, which is the maximum.", "Name the configuration file with --site FILE.")
    elif error.reason.startswith("is empty"):
        problem = Problem(str(path), "the configuration file is empty.", f"Remove the file. {_create(path)}")
    else:
        problem = Problem("", f"{path} {error.reason}.", "Name a readable configuration file with --site FILE.")
    return SiteError(problem, detail=error.detail)


def _explained(path: Path, message: str, text: str) -> Problem:
    """A message of tomllib in plain words."""
    found = _POSITION.search(message)
    number = int(found[1]) if found else text.rstrip().count("\n") + 1
    line = text.split("\n")[number - 1]
    location = f"{path}:{number}:{found[2]}" if found else f"{path}:{number}"
    if twice := _TWICE.search(message):
        key = ".".join(part.strip(" '\"") for part in twice["key"].split(",") if part.strip())
        hint = "Write [[farms]] in two pairs of brackets for each farm." if key == "farms" else ""
        return Problem(location, f"the table [{key}] is defined twice; define each table once.", hint)
    if "Cannot overwrite a value" in message:
        key = line.partition("=")[0].strip(" \t[]")
        return Problem(location, f"the key {quoted(key)} is defined twice in its table; define each key once.")
    if message.startswith("Invalid value") and (word := _BARE_WORD.match(line[:MAX_LINE_CHARS])):
        return Problem(location, f"the value of `{word['key']}` has no quotes; {_correction(word['key'], word['word'])}.")
    if "Exceeds the limit" in message:
        return Problem(str(path), "a number has thousands of digits.")
    if "Unescaped" in message or "Invalid hex value" in message:
        return Problem(
            location, "a backslash in double quotes starts an escape sequence; use single quotes around the text, or / in paths."
        )
    reason = _NOT_TO_SHOW.sub("", message).strip()
    if not found:
        return Problem(location, f"the file ends inside a value ({reason}); close every string, list and table.")
    return Problem(location, f"not valid TOML ({reason}); write key = value, [table] or # comment.")


def _correction(key: str, word: str) -> str:
    boolean = _BOOLEANS.get(word.lower())
    if boolean is None or key.rsplit(".", 1)[-1].strip() in _SECRET_KEYS:
        return "put text in quotes"
    return f"use {boolean}, or put text in quotes"
