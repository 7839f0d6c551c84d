"""The lines between lyncarr and the WinRS bootstrap, ps_snippets/_winrs.ps1, which serves all requests of a run. See docs/contract.md.

lyncarr sends the lines of a bundle or none, the request, its secrets or an empty line, and RUN. The bootstrap sends the lines of events,
and lines that begin with MARK: the version at the start, END or ERROR after each request.
"""

from __future__ import annotations

import base64
import codecs
import json
from collections.abc import Mapping

from lyncarr.powershell.bundle import winrs_bootstrap
from lyncarr.powershell.protocol import MAX_EVENT_CHARS

# The full path, so that the PATH of the account does not choose the program that runs as an administrator.
PROGRAM = r"%SystemRoot%\System32\WindowsPowerShell\v1.0\powershell.exe"
LONGEST_LINE = 8191
"""The most characters that cmd.exe accepts: https://learn.microsoft.com/troubleshoot/windows-client/shell-experience/command-line-string-limitation."""

MARK = "#"
"""No event begins with this character: events are JSON objects."""
VERSION = "#powershell "
END = "#end"
ERROR = "#error "
INCOMPLETE = "#incomplete"
RUN = "#run"
ASK = "#ask "


def command_line() -> str:
    """The command line for cmd.exe that starts the bootstrap, constant for a release. -ExecutionPolicy is not needed: it is for files."""
    encoded = base64.b64encode(winrs_bootstrap().encode("utf-16-le")).decode("ascii")
    return f"{PROGRAM} -NoLogo -NoProfile -NonInteractive -EncodedCommand {encoded}"


def encode(script: str | None, request: str, secrets: Mapping[str, str]) -> bytes:
    """The bytes of one request; `request` is the result of protocol.encode_request. `script` gets a line feed at its end if it has none."""
    text = f"{script}\n" if script and not script.endswith("\n") else script or ""
    return f"{text}{request}\n{json.dumps(secrets) if secrets else ''}\n{RUN}\n".encode()


def pieces(request: bytes, size: int) -> list[bytes]:
    """A request in pieces of at most `size` bytes. The line RUN stays in one piece.

    If a piece ended before the line feed of RUN, the end of standard input would complete the line and start an abandoned request.
    """
    order = f"{RUN}\n".encode("ascii")
    body, each = request.removesuffix(order), size - len(order)
    made = [body[at : at + each] for at in range(0, len(body), each)]
    return [*made[:-1], made[-1] + order]


def ask(number: int) -> bytes:
    """Asks whether request `number` of the process, counted from 1, arrived completely. The answer is INCOMPLETE if it did not."""
    return f"{ASK}{number}\n".encode("ascii")


class LineReader:
    """Joins the pieces of standard output to lines. Raises ValueError for text that is not UTF-8 and for a line that is too long."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._begun = ""

    def feed(self, data: bytes) -> list[str]:
        """The lines that end in `data`, without their line feeds."""
        *lines, self._begun = (self._begun + self._decoder.decode(data)).split("\n")
        if len(self._begun) > MAX_EVENT_CHARS:
            raise ValueError(f"a line has more than {MAX_EVENT_CHARS} characters")
        return lines
