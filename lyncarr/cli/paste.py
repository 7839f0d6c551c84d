"""Command lines that an error or a report shows, ready to be pasted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path

from lyncarr.cli.options import DEFAULT_SITE
from lyncarr.runs.connection import Overrides


def command_line(command: str, site: Path, host: str | None = None, overrides: Overrides | None = None, steps: Iterable[str] = ()) -> str:
    """`lyncarr COMMAND` for the same configuration file, host, connection and steps.

    Without a password source that is a program: its line may contain a secret, and this one is printed.
    """
    from lyncarr.secrets.program import line_of

    given = overrides or Overrides()
    options = [("site", None if site == DEFAULT_SITE else site), ("host", host or "NAME")]
    options += [(field.name, getattr(given, field.name)) for field in fields(given)]
    options += [("step", step) for step in steps]
    words = [
        word
        for name, value in options
        if value is not None and not (name == "password_from" and str(value).startswith("command:"))
        for word in (f"--{name.replace('_', '-')}", str(value))
    ]
    return line_of(["lyncarr", command, *words])
