"""`lyncarr bootstrap`: the script for the host's console, and the command line that runs it there. Contacts no host."""

from __future__ import annotations

import hashlib
import ipaddress
import re
import sys
from pathlib import Path
from typing import TextIO

from lyncarr.core.errors import UsageError
from lyncarr.core.files import is_reserved, write_new
from lyncarr.core.text import quoted
from lyncarr.hosts.target import HTTPS_PORT
from lyncarr.powershell.bootstrap import script
from lyncarr.secrets.words import join

FILE_NAME = "lyncarr-bootstrap.ps1"
UNKNOWN_CONTROLLER = "ADDRESS-OF-THE-CONTROLLER"


def print_script(controller: str | None, name: str | None, port: int, file: Path | None) -> None:
    """Print the script, or write it to `file`, which must not exist yet; then explain how to run it.

    The values are in the command line only, so the script of a release is always the same and is reviewed once.
    Raises UsageError (exit code 64) for values that the script would refuse, SiteError (65) for a file that cannot be written.
    """
    if file is not None and is_reserved(Path(file.name), windows=True):
        # On every system: the server to which the script is copied runs Windows.
        raise UsageError(f"--file: {quoted(file.name)} is the name of a Windows device.", hint="Choose another name with --file FILE.")
    command = _command_line(controller, name, port, file.name if file else FILE_NAME)
    if file is None:
        print(script(), end="")
        _explain(command, f"Save it on the server as {FILE_NAME}.", sys.stderr)
        return
    # The script is read on Windows, so it gets the line ends of Windows on every controller.
    text = script().replace("\n", "\r\n").encode("ascii")
    write_new(file, text, "--file")
    print(f"Wrote {file}. SHA-256:\n\n  {hashlib.sha256(text).hexdigest()}\n")
    _explain(command, "Copy it to the server.", sys.stdout)


def _command_line(controller: str | None, name: str | None, port: int, file: str) -> str:
    addresses = ",".join(_addresses(controller)) if controller is not None else UNKNOWN_CONTROLLER
    words = ["powershell -ExecutionPolicy Bypass -File", join([file], windows=True), "-Controller", addresses]
    if name is not None:
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,63}", name):
            raise UsageError(
                f"--name must be 1 to 63 letters, digits, - or _, not {quoted(name)}.", hint="Use the name of the [hosts.NAME] table."
            )
        words += ["-Name", name]
    if port != HTTPS_PORT:
        words += ["-Port", str(port)]
    return " ".join(words)


def _addresses(text: str) -> list[str]:
    addresses = []
    for part in text.split(","):
        try:
            address = ipaddress.ip_address(part.strip())
        except ValueError:
            address = None
        if address is None or address.is_unspecified or "%" in part:
            raise UsageError(
                f"--controller must be an IP address, not {quoted(part.strip())}.",
                hint="Use the address of this machine as the server sees it, such as 192.0.2.50; several with commas.",
            )
        addresses.append(str(address))
    return addresses


def _explain(command: str, first: str, to: TextIO) -> None:
    lines = [
        f"Read the script. {first} Run it at the server's own console, in an elevated PowerShell:",
        "",
        f"  {command}",
        "",
        "The script shows what it would change and asks. At the end it prints the host's table for the configuration file.",
        "The script has not been run on a real Windows server yet.",
    ]
    print("\n".join(lines), file=to)
