"""The options that several commands share, each with its help."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from lyncarr.core.kinds import AuthMethod, TransportKind
from lyncarr.secrets.sources import REFERENCES


class Output(StrEnum):
    text = "text"
    json = "json"


DEFAULT_SITE = Path("lyncarr.toml")
SiteFile = Annotated[Path, typer.Option("--site", metavar="FILE", help="The site file. Paths in it start at its folder.")]
Host = Annotated[
    str | None,
    typer.Option(
        "--host",
        metavar="NAME",
        help="The host, which must be given: the name of a `[hosts.NAME]` table of the site file (letter case does not count), or any DNS "
        "name or address, which needs `--user`, and a password from `--password-from` or the prompt.",
    ),
]
Address = Annotated[
    str | None,
    typer.Option("--address", metavar="ADDRESS", help="Connect to this DNS name or address instead of the table's; IPv6 without brackets."),
]
User = Annotated[str | None, typer.Option("--user", metavar="NAME", help="Log on as this account of the host instead of the table's.")]
AuthBy = Annotated[AuthMethod | None, typer.Option("--auth", help="How to log on, instead of the table's `auth`; basic only under TLS.")]
Port = Annotated[
    int | None,
    typer.Option(
        "--port", metavar="PORT", min=1, max=65535, help="WinRM's port instead of the table's; 5986 else, or 5985 with `--tls off`."
    ),
]
Tls = Annotated[
    str | None,
    typer.Option(
        "--tls",
        metavar="MODE",
        help="What makes the host's certificate right, instead of the table's `tls`: verify, ca:FILE (a relative FILE starts at the "
        "working folder), pin:sha256:HEX, or off, which is plain HTTP with sealed messages.",
    ),
]
TransportBy = Annotated[
    TransportKind | None,
    typer.Option(
        "--transport",
        help="How PowerShell is reached, instead of the table's `transport`: psrp is PowerShell remoting; winrs does without its endpoint, "
        "for a server where that is removed, constrained or broken.",
    ),
]
PasswordFrom = Annotated[
    str | None,
    typer.Option(
        "--password-from",
        metavar="SCHEME",
        help=f"Where the password comes from, instead of the table's `password`: {REFERENCES} (a relative PATH starts at the working "
        "folder, where LINE runs). There is no option for a password itself.",
    ),
]
Steps = Annotated[
    list[str] | None,
    typer.Option(
        "--step",
        metavar="STEP",
        help="Only this step; may be given several times. Steps that are written together with it come along, steps that it needs do not.",
    ),
]
Timeout = Annotated[
    float,
    typer.Option(
        "--timeout",
        metavar="SECONDS",
        help="The longest time that a plan may take as a whole, 1 to 3600; connecting ends after 20 s at most.",
    ),
]
OutputAs = Annotated[Output, typer.Option("--output", help="text for people; json for programs: JSON lines and nothing else.")]
Verbose = Annotated[
    bool,
    typer.Option(
        "--verbose",
        help="Add the technical cause to an error, and to a run the SHA-256 of each bundle of its script and its cost on the wire.",
    ),
]
