"""The lines between lyncarr and its bootstrap, ps_snippets/_winrs.ps1: one process, many requests. The contract: docs/contract.md.

Out: the lines of a script or none, the request, its secrets or an empty line, and RUN. Back: the lines of events, and one that begins
with MARK: the version at the start, END or ERROR behind each request.
"""

from __future__ import annotations

import base64
import codecs
import json
from collections.abc import Mapping

from lyncarr.powershell.bundle import winrs_bootstrap
from lyncarr.powershell.protocol import MAX_EVENT_CHARS

# In full: which PowerShell is run by an administrator is not left to the account's PATH.
PROGRAM = r"%SystemRoot%\System32\WindowsPowerShell\v1.0\powershell.exe"
LONGEST_LINE = 8191
"""What cmd.exe takes: https://learn.microsoft.com/troubleshoot/windows-client/shell-experience/command-line-string-limitation."""

MARK = "#"
"""No event begins with it: events are JSON objects."""
VERSION = "#powershell "
END = "#end"
ERROR = "#error "
INCOMPLETE = "#incomplete"
RUN = "#run"
ASK = "#ask "


def command_line() -> str:
    """What starts the bootstrap through cmd.exe; constant for a release. No -ExecutionPolicy: policies are for files."""
    encoded = base64.b64encode(winrs_bootstrap().encode("utf-16-le")).decode("ascii")
    return f"{PROGRAM} -NoLogo -NoProfile -NonInteractive -EncodedCommand {encoded}"


def encode(script: str | None, request: str, secrets: Mapping[str, str]) -> bytes:
    """One request, which is of protocol.encode_request. Without a last line feed `script` gets one: it is lines here."""
    text = f"{script}\n" if script and not script.endswith("\n") else script or ""
    return f"{text}{request}\n{json.dumps(secrets) if secrets else ''}\n{RUN}\n".encode()


def pieces(request: bytes, size: int) -> list[bytes]:
    """A request in pieces of at most `size` bytes. The line that begins it is not cut.

    Cut before its line feed, the end of standard input would make a line of it as well, and begin what was given up.
    """
    order = f"{RUN}\n".encode("ascii")
    body, each = request.removesuffix(order), size - len(order)
    made = [body[at : at + each] for at in range(0, len(body), each)]
    return [*made[:-1], made[-1] + order]


def ask(number: int) -> bytes:
    """Asks whether request `number`, counted from 1 in its process, has arrived in whole; answered by INCOMPLETE where it has not."""
    return f"{ASK}{number}\n".encode("ascii")


class LineReader:
    """Puts the pieces of standard output together to lines. Raises ValueError for what is no UTF-8, or for a line without an end."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._begun = ""

    def feed(self, data: bytes) -> list[str]:
        """The lines that end in `data`, without their ends."""
        *lines, self._begun = (self._begun + self._decoder.decode(data)).split("\n")
        if len(self._begun) > MAX_EVENT_CHARS:
            raise ValueError(f"a line of more than {MAX_EVENT_CHARS} characters")
        return lines
