"""`lyncarr bootstrap`: the script for the host's console, and the command line that runs it there. Contacts nobody."""

from __future__ import annotations

import hashlib
import ipaddress
import re
import sys
from pathlib import Path
from typing import TextIO

from lyncarr.core.errors import UsageError
from lyncarr.core.files import write_new
from lyncarr.hosts.target import HTTPS_PORT
from lyncarr.powershell.bootstrap import script

FILE_NAME = "lyncarr-bootstrap.ps1"
UNKNOWN_CONTROLLER = "ADDRESS-OF-THE-CONTROLLER"


def print_script(controller: str | None, name: str | None, port: int, file: Path | None) -> None:
    """The script on standard output, or in `file`, which must not exist yet; how to run it where it does not disturb.

    The values stand in the command line only, never in the script: who reviewed one script of a release has reviewed all of them.
    Raises UsageError (exit 64) for values that the script would refuse, SiteError (exit 65) for a file that cannot be written.
    """
    command = _command_line(controller, name, port, file.name if file else FILE_NAME)
    if file is None:
        print(script(), end="")
        _explain(command, f"save it on the server as {FILE_NAME}", sys.stderr)
        return
    # With the line ends of Windows, where it will be read, whatever this machine writes.
    text = script().replace("\n", "\r\n").encode("ascii")
    write_new(file, text, "--file")
    print(f"Wrote {file}, SHA-256 {hashlib.sha256(text).hexdigest()}.")
    _explain(command, "carry it to the server", sys.stdout)


def _command_line(controller: str | None, name: str | None, port: int, file: str) -> str:
    addresses = ",".join(_addresses(controller)) if controller is not None else UNKNOWN_CONTROLLER
    words = ["powershell -ExecutionPolicy Bypass -File", f'"{file}"' if " " in file else file, "-Controller", addresses]
    if name is not None:
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,63}", name):
            raise UsageError("--name takes letters, digits, - and _, as in [hosts.rp01] of the site file.")
        words += ["-Name", name]
    if port != HTTPS_PORT:
        words += ["-Port", str(port)]
    return " ".join(words)


def _addresses(text: str) -> list[str]:
    found = []
    for part in text.split(","):
        try:
            address = ipaddress.ip_address(part.strip())
        except ValueError:
            address = None
        if address is None or address.is_unspecified or "%" in part:
            raise UsageError(
                "--controller takes the address of this machine as the server sees it, such as 192.0.2.50; several with commas."
            )
        found.append(str(address))
    return found


def _explain(command: str, how: str, to: TextIO) -> None:
    lines = [
        f"Read it, {how}, and run there, at its own console, in an elevated PowerShell:",
        "",
        f"  {command}",
        "",
        "It shows what it would change and asks. At the end it prints the table for the site file.",
        "It never ran on a real Windows server so far.",
    ]
    print("\n".join(lines), file=to)
