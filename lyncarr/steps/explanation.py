"""The texts about each step, from texts/<step>.md. Only `lyncarr steps`, `lyncarr explain` and the docs generator read them.

A text is `# <step>`, the title as one paragraph, and the sections of HEADINGS in that order, each with paragraphs and lists of markdown
without links. Lines of a paragraph are joined, so that a terminal can break them at its own width.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).with_name("texts")

HEADINGS = {
    "Sets": "sets",
    "Why": "reason",
    "Source": "source",
    "Never touches": "never_touches",
    "Fails": "fails",
}
"""Heading in the file -> attribute of Explanation, which is also the key in `lyncarr steps --output json`."""

_SECTION = re.compile(r"^## (.+)\n", re.MULTILINE)
_LIST_ITEM = re.compile(r"\n(?=- )")


@dataclass(frozen=True)
class Explanation:
    """What a step does and why, for people.

    `title` is one sentence without markup. The others are markdown: `sets` is what the step writes, with each item that a plan can name;
    `reason` why it has that value; `source` the page of the vendor, or the part of the public procedure; `never_touches` what stays
    unchanged; `fails` when the step fails.
    """

    title: str
    sets: str
    reason: str
    source: str
    never_touches: str
    fails: str

    def section(self, heading: str) -> str:
        """The text below one of HEADINGS."""
        text: str = getattr(self, HEADINGS[heading])
        return text


def explain(step: str) -> Explanation:
    """The text of the step with this name. ValueError, which names the file, for a text that is not of the form above."""
    path = FOLDER / f"{step}.md"
    head, *parts = _SECTION.split(path.read_text(encoding="utf-8"))
    name, _, title = head.partition("\n")
    if name != f"# {step}":
        raise ValueError(f"{path.name}: the first line is {name!r}; expected '# {step}'.")
    headings = parts[::2]
    if headings != list(HEADINGS):
        raise ValueError(f"{path.name}: the headings are {', '.join(headings) or 'missing'}; expected {', '.join(HEADINGS)}.")
    texts = dict(zip(("title", *HEADINGS.values()), map(_joined, (title, *parts[1::2])), strict=True))
    for key, text in texts.items():
        if not text:
            raise ValueError(f"{path.name}: {key} has no text.")
    return Explanation(**texts)


def _joined(text: str) -> str:
    """Each paragraph and each entry of a list on one line; an empty line between paragraphs."""
    paragraphs = re.split(r"\n{2,}", text.strip())
    return "\n\n".join("\n".join(" ".join(entry.split()) for entry in _LIST_ITEM.split(paragraph)) for paragraph in paragraphs)
