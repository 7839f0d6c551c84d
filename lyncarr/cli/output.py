"""What the command line prints about itself on standard error: errors with their hints, warnings, and single lines."""

from __future__ import annotations

import os
import sys
import traceback
from typing import TextIO

from lyncarr.cli.streams import is_terminal
from lyncarr.core.errors import FaultError, LyncarrError, Problem, SiteError
from lyncarr.core.text import safe
from lyncarr.report.text import MIN_WIDTH, labelled

MAX_ERROR_CHARS = 2_000


def print_error(error: LyncarrError, *, verbose: bool, hint: str = "") -> None:
    """The message and the hint of `error`, then `hint`; with `verbose` also the technical cause.

    An error and its cause may contain text of a hostile host.
    """
    if isinstance(error, FaultError):
        traceback.print_exception(error.__cause__)
    problems = error.problems if isinstance(error, SiteError) else (Problem("", error.message, error.hint),)
    for problem in problems:
        print_labelled("error", safe(problem, MAX_ERROR_CHARS))
        print_labelled("hint", problem.hint)
    print_labelled("hint", hint)
    if verbose and error.detail:
        print_labelled("cause", safe(error.detail, MAX_ERROR_CHARS))


def print_labelled(label: str, text: str) -> None:
    """`label: text`, wrapped between words where standard error is a terminal; nothing for an empty text.

    The lines of a text after its first are to be copied (a command, a SHA-256): each stands alone and is never broken.
    """
    for line in labelled(label, text, terminal_width(sys.stderr), MAX_ERROR_CHARS):
        print_line(line)


def print_line(text: str) -> None:
    """`text` as it is."""
    print(text, file=sys.stderr)


def terminal_width(stream: TextIO) -> int | None:
    """The width of the terminal that `stream` writes to; None where it is no terminal."""
    try:
        return max(os.get_terminal_size(stream.fileno()).columns, MIN_WIDTH) if is_terminal(stream) else None
    except (OSError, ValueError):
        return None
