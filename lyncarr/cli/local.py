"""`lyncarr init`, `check`, `schema` and `lab`: what runs on this machine only."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from lyncarr.cli.ask import asker
from lyncarr.cli.options import Output
from lyncarr.cli.paste import command_line
from lyncarr.core.errors import UsageError
from lyncarr.report.events import SCHEMA


def init_site(domains: Sequence[str], path: Path) -> None:
    from lyncarr.config.template import write_template
    from lyncarr.secrets.program import line_of

    write_template(domains, path)
    print(f"Wrote {path}. Fill in the server addresses and certificates, then: {line_of(['lyncarr', 'check', '--site', str(path)])}")


def check_site(path: Path, output: Output) -> None:
    from lyncarr.config.loader import load_site
    from lyncarr.materials.prepare import check

    site = load_site(path)
    report = check(site, asker())
    if output is Output.json:
        print(json.dumps({"schema": SCHEMA, "event": "check", "warnings": report.warnings, "facts": report.facts}))
        return
    for fact in report.facts:
        print(f"  {fact}")
    for warning in report.warnings:
        print(f"warning: {warning}")
    # Which of several comes next only the reader knows.
    host = next(iter(site.hosts)) if len(site.hosts) == 1 else None
    print(f"{path} is good. Next: {command_line('doctor', path, host)}")


def show_schema(path: Path | None) -> None:
    from lyncarr.config.schema import schema_text, write_schema

    if path is None:
        print(schema_text(), end="")
        return
    write_schema(path)
    print(f"Wrote {path}. Add it to the configuration file as its first line, for editors: #:schema {_from_here(path)}")


def _from_here(path: Path) -> str:
    """As Taplo wants it: a path that begins with a dot, or an absolute one as a URL."""
    return path.as_uri() if path.is_absolute() else f"./{path.as_posix()}"


def run_lab(preset: str, powershell: str | None, folder: Path, address: str, output: Output) -> int:
    try:
        from lyncarr.lab.command import run
    except ModuleNotFoundError as missing:
        raise UsageError(
            f"The lab needs the package {missing.name}. In lyncarr's checkout: pipx install --force '.[lab]' (or pip install '.[lab]')."
        ) from missing
    return run(preset, powershell, folder, address, output.value)
