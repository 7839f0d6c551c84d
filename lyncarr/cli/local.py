"""`lyncarr init`, `check` and `lab`: what runs on this machine only."""

from __future__ import annotations

import json
from pathlib import Path

from lyncarr.cli.ask import asker
from lyncarr.cli.options import Output
from lyncarr.core.errors import UsageError


def init_site(domain: str, path: Path) -> None:
    from lyncarr.config.template import write_template

    write_template(domain, path)
    print(f"Wrote {path}. Fill in the server addresses and certificates, then: lyncarr check --site {path}")


def check_site(path: Path, output: Output) -> None:
    from lyncarr.config.check import check
    from lyncarr.config.loader import load_site

    report = check(load_site(path), asker())
    if output is Output.json:
        print(json.dumps({"schema": 1, "event": "check", "warnings": report.warnings, "facts": report.facts}))
        return
    for fact in report.facts:
        print(f"  {fact}")
    for warning in report.warnings:
        print(f"warning: {warning}")
    print(f"{path} is good. lyncarr plan --host NAME shows what would change.")


def run_lab(preset: str, powershell: str | None, folder: Path, address: str, output: Output) -> int:
    try:
        from lyncarr.lab.command import run
    except ModuleNotFoundError as missing:
        raise UsageError(f"The lab needs the package {missing.name}: install lyncarr[lab].") from missing
    return run(preset, powershell, folder, address, output.value)
