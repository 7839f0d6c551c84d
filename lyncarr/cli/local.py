"""`lyncarr init`, `check`, `schema` and `lab`: the commands that run on this machine only."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from lyncarr.cli.ask import asker
from lyncarr.cli.options import DEFAULT_SITE, Output
from lyncarr.cli.paste import command_line
from lyncarr.core.errors import UsageError
from lyncarr.core.text import safe
from lyncarr.report.events import SCHEMA


def init_site(domains: Sequence[str], path: Path) -> None:
    from lyncarr.config.template import write_template
    from lyncarr.secrets.program import line_of

    write_template(domains, path)
    words = ["lyncarr", "check", *([] if path == DEFAULT_SITE else ["--site", str(path)])]
    print(f"Wrote {safe(path)}. Fill in the server addresses and certificates, then run:\n  {line_of(words)}")


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
    # With several hosts only the user knows which one is next.
    host = next(iter(site.hosts)) if len(site.hosts) == 1 else None
    print(f"{safe(path)} is valid. Next, run:\n  {command_line('doctor', path, host)}")


def show_schema(path: Path | None) -> None:
    from lyncarr.config.schema import schema_text, write_schema

    if path is None:
        print(schema_text(), end="")
        return
    write_schema(path)
    print(f"Wrote {safe(path)}. To use it in an editor, make this the first line of the configuration file:\n  #:schema {_from_here(path)}")


def _from_here(path: Path) -> str:
    """The form that Taplo reads: a path that begins with a dot, or an absolute path as a URL."""
    return path.as_uri() if path.is_absolute() else f"./{path.as_posix()}"


def run_lab(preset: str, powershell: str | None, folder: Path, address: str, output: Output) -> int:
    try:
        from lyncarr.lab.command import run
    except ModuleNotFoundError as missing:
        raise UsageError(
            f"lyncarr lab needs the package {missing.name}.",
            hint="Install the extra packages of the lab, in lyncarr's checkout:\n  pipx install --force '.[lab]'\n  pip install '.[lab]'",
        ) from missing
    return run(preset, powershell, folder, address, output.value)
