"""The samples of the lint: for each rule texts that break it and no other, and texts that break none."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "samples"
SHARED_FILE = "_sample.ps1"
DICTIONARY = "[Collections.IDictionary]"
GETTER = ", ".join(f"{DICTIONARY}${name}" for name in ("Desired", "Parameters", "Context"))
SETTER = f"{GETTER}, {DICTIONARY}$Secrets"


@dataclass(frozen=True)
class Sample:
    """A text that breaks exactly the rules `expected` (none: a text that passes)."""

    name: str
    rule: str
    file: str
    text: str
    expected: frozenset[str]


def read_samples() -> Iterator[Sample]:
    """The samples of samples/*.toml; what their keys mean stands in syntax.toml."""
    for path in sorted(FOLDER.glob("*.toml")):
        for place, entry in enumerate(tomllib.loads(path.read_text(encoding="utf-8"))["rule"]):
            broken = frozenset([entry["name"], *entry.get("also", ())])
            for kind, expected in (("fires", broken), ("passes", frozenset[str]())):
                for number, text in enumerate(entry[kind]):
                    name = f"{path.stem}-{place}-{entry['name']}-{kind}-{number}"
                    yield Sample(name, entry["name"], entry.get("file", SHARED_FILE), _whole_text(entry, text), expected)


def _whole_text(entry: Mapping[str, Any], text: str) -> str:
    if entry.get("whole", False):
        return text.replace("@get", GETTER).replace("@set", SETTER)
    return f"function Get-LyncarrSample {{\nparam([psobject]$Value)\n{text}\n}}\n"
