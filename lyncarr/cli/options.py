"""The options that several commands share, each with its help."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from lyncarr.config.sources import REFERENCES


class Output(StrEnum):
    text = "text"
    json = "json"


class Auth(StrEnum):
    negotiate = "negotiate"
    ntlm = "ntlm"
    basic = "basic"
    certificate = "certificate"


SiteFile = Annotated[Path, typer.Option("--site", metavar="FILE", help="The site file.")]
Host = Annotated[str | None, typer.Option("--host", metavar="NAME", help="A host of the site file, or any address.")]
Address = Annotated[str | None, typer.Option("--address", metavar="ADDRESS", help="Connect to this address instead of the file's.")]
User = Annotated[str | None, typer.Option("--user", metavar="NAME", help="Log on as this user instead of the file's.")]
AuthBy = Annotated[Auth | None, typer.Option("--auth", help="How to log on; basic only under TLS.")]
Port = Annotated[int | None, typer.Option("--port", metavar="PORT", min=1, max=65535, help="WinRM's port: 5986, or 5985 with --tls off.")]
Tls = Annotated[
    str | None,
    typer.Option("--tls", metavar="MODE", help="verify, ca:FILE, pin:sha256:HEX, or off (then only with message encryption)."),
]
PasswordFrom = Annotated[
    str | None,
    typer.Option("--password-from", metavar="SCHEME", help=f"{REFERENCES}. There is no option for a password itself."),
]
Steps = Annotated[
    list[str] | None,
    typer.Option("--step", metavar="STEP", help="Only this step (repeatable), with the steps that are written together with it."),
]
Timeout = Annotated[float, typer.Option("--timeout", metavar="SECONDS", help="The longest time that a plan may take.")]
OutputAs = Annotated[Output, typer.Option("--output", help="text for people, json for programs: JSON lines and nothing else.")]
Verbose = Annotated[bool, typer.Option("--verbose", help="Add the technical cause to errors, and the cost on the wire.")]
