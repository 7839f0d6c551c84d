"""Texts for people are free of the phrases of phrases.toml: pages, help, messages, docstrings and comments, in Python and PowerShell.

`python -m tests.docs.test_words` prints all complaints.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tools.docs.documents import PAGES, ROOT, name_of

LISTS = tomllib.loads(Path(__file__).with_name("phrases.toml").read_text(encoding="utf-8"))
PYTHON = sorted((ROOT / "lyncarr").rglob("*.py"))
POWERSHELL = sorted((ROOT / "ps_snippets").rglob("*.ps1"))
OTHERS = sorted([*PAGES, *(ROOT / "lyncarr" / "steps" / "texts").glob("*.md"), *(ROOT / "lyncarr" / "config").glob("*.toml")])
FILES = [*OTHERS, *PYTHON, *POWERSHELL]

_CODE = re.compile(r"`[^`\n]*`|[\w./-]+\.(?:md|json|toml)(?:#[\w-]+)?")
"""Code within a sentence, and names of files: machine words stay as they are."""


_POWERSHELL_TEXT = re.compile(r"""#[^\n]*|'(?:[^'\n]|'')*'|"(?:[^"`\n]|""|`.)*\"""")


@dataclass(frozen=True)
class Phrase:
    find: re.Pattern[str]
    use: str
    files: str = ""


PHRASES = [
    Phrase(re.compile(rf"(?<![\w-])(?:{entry['find']})(?![\w-])", re.IGNORECASE), entry["use"], entry.get("files", ""))
    for entry in LISTS["phrases"]
]


def texts(file: Path) -> Iterator[tuple[int, str]]:
    """(line number, text) of what people read in a file: all of a page, strings and comments of Python and PowerShell.

    A string without a space is a word of JSON, of the configuration file or of a protocol, and is not searched.
    """
    content = file.read_text(encoding="utf-8")
    if file.suffix == ".ps1":
        for match in _POWERSHELL_TEXT.finditer(content):
            if match[0].startswith("#") or " " in match[0]:
                yield content.count("\n", 0, match.start()) + 1, match[0]
        return
    if file.suffix != ".py":
        yield 1, content
        return
    for node in ast.walk(ast.parse(content)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield node.lineno, node.value
    for token in tokenize.generate_tokens(io.StringIO(content).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def found(file: Path) -> Iterator[str]:
    """A complaint for each phrase in a file, with its line and the replacement."""
    for number, text in texts(file):
        plain = _CODE.sub(lambda code: " " * len(code[0]), text)
        for phrase in PHRASES:
            if phrase.files and file.suffix != phrase.files:
                continue
            for match in phrase.find.finditer(plain):
                line = number + plain.count("\n", 0, match.start())
                yield f"{name_of(file)}:{line}: {match[0]!r}; use: {phrase.use}"


def names(file: Path) -> Iterator[str]:
    """A complaint for each name in a Python file that contains a word of the list of names."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = node.name
        elif isinstance(node, ast.arg):
            name = node.arg
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            name = node.id if isinstance(node, ast.Name) else node.attr
        else:
            continue
        for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name):
            if use := LISTS["names"].get(word.lower()):
                yield f"{name_of(file)}:{node.lineno}: the name {name!r}; use: {use}"


def complaints(file: Path) -> list[str]:
    return [*found(file), *(names(file) if file.suffix == ".py" else ())]


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_no_phrase_of_the_list(file: Path) -> None:
    assert complaints(file) == []


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("page.md", "One.\n\nSomebody mends it.", ["page.md:3: 'Somebody'", "page.md:3: 'mends'"]),
        ("page.md", "Set `mend` in [the page](mend.md), or `a site file`.", []),
        ("page.md", "The runbook.", []),
        (
            "code.py",
            'KEY = "reboot"\nTEXT = f"The host must {KEY}, reboot it."\n# Mend it.\n',
            ["code.py:2: 'reboot'", "code.py:3: 'Mend'"],
        ),
        ("code.py", '"""The runbook.\n\nA time-out."""\n', ["code.py:1: 'runbook'", "code.py:3: 'time-out'"]),
        ("code.py", "def what_is_told(said): pass", ["code.py:1: the name 'what_is_told'", "code.py:1: the name 'said'"]),
        ("code.ps1", "# It is told.\n$told = 'a time-out', 'told'\n", ["code.ps1:1: 'told'", "code.ps1:2: 'time-out'"]),
    ],
)
def test_what_the_search_finds(name: str, content: str, expected: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / name
    file.write_text(content, encoding="utf-8")
    monkeypatch.setattr("tests.docs.test_words.name_of", lambda path: path.name)
    assert sorted(text.partition(";")[0] for text in complaints(file)) == sorted(expected)


if __name__ == "__main__":
    for file in FILES:
        print(*complaints(file), sep="\n", end="\n" if complaints(file) else "")
