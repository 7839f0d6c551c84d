"""What the command line prints about itself on standard error: errors with their hints, and single lines."""

from __future__ import annotations

import sys
import traceback

from lyncarr.core.errors import FaultError, LyncarrError, Problem, SiteError
from lyncarr.core.text import safe

MAX_ERROR_CHARS = 2_000


def print_error(error: LyncarrError, *, verbose: bool, hint: str = "") -> None:
    """The message and the hint of `error`, then `hint`; with `verbose` also the technical cause.

    An error and its cause may contain text of a hostile host.
    """
    if isinstance(error, FaultError):
        traceback.print_exception(error.__cause__)
    problems = error.problems if isinstance(error, SiteError) else (Problem("", error.message, error.hint),)
    for problem in problems:
        print_line(f"error: {safe(problem, MAX_ERROR_CHARS)}")
        _print_hint(problem.hint)
    _print_hint(hint)
    if verbose and error.detail:
        print_line(f"cause: {safe(error.detail, MAX_ERROR_CHARS)}")


def _print_hint(text: str) -> None:
    """A hint. Its lines after the first are to be copied, so each is printed as it is."""
    if text:
        first, *lines = text.splitlines()
        print_line(f"hint: {safe(first, MAX_ERROR_CHARS)}")
        for line in lines:
            print_line(safe(line, MAX_ERROR_CHARS))


def print_line(text: str) -> None:
    print(text, file=sys.stderr)
