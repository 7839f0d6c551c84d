"""Runs lint.ps1: one engine process for any number of bundles."""

from __future__ import annotations

import json
import subprocess
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lyncarr.powershell.protocol import FAILURE_KINDS, NOTE_KINDS

FOLDER = Path(__file__).resolve().parent
SHARED_FILE = "_sample.ps1"
DICTIONARY = "[Collections.IDictionary]"
GETTER = ", ".join(f"{DICTIONARY}${name}" for name in ("Desired", "Parameters", "Context"))
SETTER = f"{GETTER}, {DICTIONARY}$Secrets"


@dataclass(frozen=True)
class Finding:
    """One violation. `excuse` is the reason of data/exceptions.json that allows it, or None."""

    bundle: str
    file: str
    line: int
    rule: str
    subject: str
    text: str
    excuse: str | None

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.rule}: {self.text}"


@dataclass(frozen=True)
class Report:
    """What one run found. `rules` are the names of all rules, in their order."""

    rules: tuple[str, ...]
    findings: tuple[Finding, ...]

    def of(self, bundle: str) -> list[Finding]:
        """Violations of a bundle that no exception allows."""
        return [finding for finding in self.findings if finding.bundle == bundle and finding.excuse is None]


@dataclass(frozen=True)
class Sample:
    """A text that breaks exactly the rules `expected` (none: a text that passes)."""

    name: str
    rule: str
    file: str
    text: str
    expected: frozenset[str]


KINDS = {"Stop-Lyncarr": sorted(FAILURE_KINDS), "Add-LyncarrNote": sorted(NOTE_KINDS)}
"""Function -> the kinds that its -Kind may be."""


def run_lint(powershell: str, bundles: Mapping[str, Mapping[str, str]], scratch: Path) -> Report:
    """Lint `bundles`, bundle name -> file name -> text. `scratch` is a folder for the request."""
    wanted = [{"name": name, "files": [{"name": file, "text": text} for file, text in files.items()]} for name, files in bundles.items()]
    request = scratch / "request.json"
    request.write_text(json.dumps({"bundles": wanted, "kinds": KINDS}), encoding="ascii")
    command = [powershell, "-NoProfile", "-NonInteractive", "-File", str(FOLDER / "lint.ps1"), str(request)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", stdin=subprocess.DEVNULL, timeout=120, check=False)
    if done.returncode != 0 or done.stderr.strip():
        raise RuntimeError(f"lint.ps1 ended with {done.returncode}: {done.stderr.strip()}")
    first, *rest = (json.loads(line) for line in done.stdout.splitlines())
    return Report(tuple(first["rules"]), tuple(Finding(**line) for line in rest))


def read_samples() -> Iterator[Sample]:
    """The samples of samples/*.toml; what their keys mean stands in syntax.toml."""
    for path in sorted((FOLDER / "samples").glob("*.toml")):
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
