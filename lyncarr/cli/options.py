"""The options that several commands share. Each help text fits on one line of a terminal with 80 columns; docs/cli.md explains more."""

from __future__ import annotations

import math
import os
import tomllib
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from lyncarr.core.errors import UsageError
from lyncarr.core.files import read_file
from lyncarr.core.kinds import AuthMethod, TransportKind
from lyncarr.core.limits import MAX_TIMEOUT_S, MIN_TIMEOUT_S, PLAN_DEADLINE_S
from lyncarr.core.text import quoted


class Output(StrEnum):
    text = "text"
    json = "json"


class View(StrEnum):
    steps = "steps"
    names = "names"


HIGHEST_PORT = 65_535
DEFAULT_SITE = Path("lyncarr.toml")
MAX_SITE_BYTES = 1024 * 1024
SITE_VARIABLE = "LYNCARR_SITE"
HOST_VARIABLE = "LYNCARR_HOST"
"""The environment variables with the default of --site and of the host."""


def choice(option: str, kind: type[StrEnum], *, metavar: str, help: str) -> Any:
    """An option that takes one word of `kind`. A wrong word ends with a UsageError that names it and the right ones."""
    words = [word.value for word in kind]

    def parsed(text: str) -> StrEnum:
        if text not in words:
            raise UsageError(f"{option} must be {', '.join(words[:-1])} or {words[-1]}, not {quoted(text)}.")
        return kind(text)

    def completed(incomplete: str) -> list[str]:
        return [word for word in words if word.startswith(incomplete)]

    return typer.Option(option, metavar=metavar, parser=parsed, autocompletion=completed, show_default=False, help=help)


def number(option: str, lowest: int, highest: int, kind: type[int] | type[float] = int) -> Callable[[str], float]:
    """Reads a number from `lowest` to `highest`. Anything else ends with a UsageError that names it."""

    def parsed(text: str) -> float:
        try:
            found = kind(text)
        except ValueError:
            found = math.nan
        if not lowest <= found <= highest:
            shown = text if text.lstrip("-").isdecimal() and text.isascii() else quoted(text)
            raise UsageError(f"{option} must be a number from {lowest} to {highest}, not {shown}.")
        return found

    return parsed


def port(option: str, *, help: str) -> Any:
    """An option that takes a TCP port."""
    return typer.Option(option, metavar="PORT", parser=number(option, 1, HIGHEST_PORT), show_default=False, help=help)


def _hosts(incomplete: str) -> list[str]:
    """The hosts of the configuration file, for shell completion. Nothing where it cannot be read."""
    try:
        text = read_file(Path(os.environ.get(SITE_VARIABLE) or DEFAULT_SITE), MAX_SITE_BYTES).decode("utf-8-sig")
        tables = tomllib.loads(text).get("hosts", {})
    except (OSError, ValueError):
        return []
    return [name for name in tables if name.casefold().startswith(incomplete.casefold())] if isinstance(tables, dict) else []


def step_names(incomplete: str) -> list[str]:
    """The steps, for shell completion."""
    from lyncarr.steps import STEPS

    return [step.name for step in STEPS if step.name.startswith(incomplete)]


SiteFile = Annotated[
    Path,
    typer.Option(
        "--site",
        metavar="FILE",
        envvar=SITE_VARIABLE,
        show_envvar=False,
        show_default=False,
        help=f"Configuration file. Default: {DEFAULT_SITE}.",
    ),
]
HostArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="HOST",
        autocompletion=_hosts,
        show_default=False,
        help="Target host: a [hosts.NAME] table, or an address.",
    ),
]
HostOption = Annotated[
    list[str] | None,
    typer.Option("--host", metavar="NAME", autocompletion=_hosts, help="The same as the argument HOST."),
]
Address = Annotated[str | None, typer.Option("--address", metavar="ADDRESS", help="Connect to this DNS name or IP address.")]
User = Annotated[str | None, typer.Option("--user", metavar="NAME", help="Log on with this account.")]
AuthBy = Annotated[
    AuthMethod | None,
    choice("--auth", AuthMethod, metavar="METHOD", help="Logon method, such as negotiate, kerberos or sspi."),
]
Port = Annotated[int | None, port("--port", help="WinRM port. Default: 5986, or 5985 with --tls off.")]
Tls = Annotated[str | None, typer.Option("--tls", metavar="MODE", help="How to verify the host's TLS certificate.")]
TransportBy = Annotated[
    TransportKind | None, choice("--transport", TransportKind, metavar="KIND", help="psrp (PowerShell remoting) or winrs.")
]
PasswordFrom = Annotated[str | None, typer.Option("--password-from", metavar="SOURCE", help="Where the password comes from.")]
Steps = Annotated[
    list[str] | None,
    typer.Option("--step", metavar="STEP", autocompletion=step_names, help="Only this step and its transaction. Repeatable."),
]
ViewBy = Annotated[View, choice("--view", View, metavar="VIEW", help="Group the plan by steps or names. Default: steps.")]
Timeout = Annotated[
    float,
    typer.Option(
        "--timeout",
        metavar="SECONDS",
        parser=number("--timeout", int(MIN_TIMEOUT_S), int(MAX_TIMEOUT_S), float),
        show_default=False,
        help=f"Time limit to read the state. Default: {PLAN_DEADLINE_S:.0f}.",
    ),
]
OutputAs = Annotated[Output, choice("--output", Output, metavar="FORMAT", help="text, or json for programs. Default: text.")]
Verbose = Annotated[bool, typer.Option("--verbose", help="Show causes of errors, all items, and statistics.")]
LogFile = Annotated[
    Path | None,
    typer.Option("--log-file", metavar="FILE", help="Append a log with time stamps to this file."),
]

CONNECTION = (
    "The connection options override the [hosts.NAME] table of the configuration file. --tls takes verify, ca:FILE, pin:sha256:HEX "
    "or off; --password-from takes prompt, env:NAME, file:PATH, keyring:SERVICE or command:LINE. Paths start at the working folder. "
    f"The variable {SITE_VARIABLE} has the default of --site, {HOST_VARIABLE} that of HOST. Without both, the only host of the "
    "configuration file is the target host. An address that is not in the file needs --user."
)
"""Epilog of the commands that contact a host."""
