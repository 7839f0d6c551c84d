"""The documents of this project, and what is written in code in them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = tuple(sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *DOCS.rglob("*.md")]))

_FENCE = re.compile(r"^```(?P<kind>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^(?P<level>#+) (?P<title>.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block: its kind (toml, console, ...), its text, and the block that follows it with nothing between but blank lines."""

    page: Path
    kind: str
    text: str
    answer: Block | None = None

    def __str__(self) -> str:
        return f"{self.page.name}: {self.text.splitlines()[0] if self.text else ''}"


@dataclass(frozen=True)
class Line:
    """A command of a console block, its comment taken off, and what the block shows below it."""

    page: str
    command: str
    shown: str

    def __str__(self) -> str:
        return f"{self.page}: {self.command}"


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def text_of(name: str) -> str:
    """The text of a page of docs/."""
    return (DOCS / name).read_text(encoding="utf-8")


def blocks(page: Path, kind: str) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    found = list(_FENCE.finditer(text))
    made: list[Block] = []
    for number, match in enumerate(found):
        if match["kind"] != kind:
            continue
        after = found[number + 1] if number + 1 < len(found) else None
        follows = after is not None and not text[match.end() : after.start()].strip()
        answer = Block(page, after["kind"], after["text"]) if after is not None and follows else None
        made.append(Block(page, kind, match["text"], answer))
    return made


def all_blocks(kind: str) -> list[Block]:
    return [block for page in PAGES for block in blocks(page, kind)]


def lines(page: Path) -> list[Line]:
    """The commands of a page's console blocks in their order. AssertionError for a block that begins with something else."""
    found = []
    for block in blocks(page, "console"):
        head, *commands = re.split(r"^\$ ", block.text, flags=re.MULTILINE)
        assert not head, f"{block}: a console block begins with $ and a command"
        for text in commands:
            command, _, shown = text.partition("\n")
            found.append(Line(name_of(page), command.partition(" #")[0].strip(), shown.strip("\n")))
    return found


def code_in(page: Path) -> list[str]:
    """The code within the sentences and tables of a page."""
    return re.findall(r"`([^`\n]+)`", prose(page))


def kinds(page: Path) -> set[str]:
    """The kinds of a page's fenced blocks."""
    return {match["kind"] for match in _FENCE.finditer(page.read_text(encoding="utf-8"))}


def prose(page: Path) -> str:
    """The text of a page without its fenced blocks."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def sections(text: str, level: int = 2) -> dict[str, str]:
    """Title -> text of the sections of one level, those below them included."""
    text = _FENCE.sub(lambda match: match[0].replace("\n#", "\n "), text)
    heads = [match for match in _HEADING.finditer(text) if len(match["level"]) <= level]
    found = {}
    for number, match in enumerate(heads):
        end = heads[number + 1].start() if number + 1 < len(heads) else len(text)
        if len(match["level"]) == level:
            found[match["title"]] = text[match.end() : end]
    return found


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    found = set()
    for match in _HEADING.finditer(prose(page)):
        title = match["title"].replace("`", "").lower()
        found.add(re.sub(r"[^\w\- ]", "", title).replace(" ", "-"))
    return found


def table_row(text: str, key: str) -> list[str]:
    """The cells of the table row whose first cell is `key` in backticks; AssertionError where there is none."""
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and f"`{key}`" in re.findall(r"`[^`]*`", cells[0]):
            return cells
    raise AssertionError(f"no table row begins with `{key}`")
