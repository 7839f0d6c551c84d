"""What the command line prints about itself on standard error: errors with their hints, and single lines."""

from __future__ import annotations

import sys
import traceback

from lyncarr.core.errors import FaultError, LyncarrError, SiteError
from lyncarr.core.text import safe

MAX_ERROR_CHARS = 2_000


def print_error(error: LyncarrError, *, verbose: bool, hint: str = "") -> None:
    """The message and the hint of `error`, then `hint`; with `verbose` also the technical cause.

    An error and its cause may contain text of a hostile host.
    """
    if isinstance(error, FaultError):
        traceback.print_exception(error.__cause__)
    # Only errors of local files have several lines.
    lines = error.message.splitlines() if isinstance(error, SiteError) else [error.message]
    for line in lines:
        print_line(f"error: {safe(line, MAX_ERROR_CHARS)}")
    for text in filter(None, (error.hint, hint)):
        print_line(f"hint: {safe(text, MAX_ERROR_CHARS)}")
    if verbose and error.detail:
        print_line(f"cause: {safe(error.detail, MAX_ERROR_CHARS)}")


def print_line(text: str) -> None:
    print(text, file=sys.stderr)
