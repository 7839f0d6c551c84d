"""Runs lint.ps1: one engine process for any number of bundles."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lyncarr.powershell.protocol import FAILURE_KINDS, NOTE_KINDS

FOLDER = Path(__file__).resolve().parent


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
