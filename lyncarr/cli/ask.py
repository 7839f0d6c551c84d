"""Questions to the person at the terminal, where there is one."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lyncarr.core.interrupts import StopNow


def terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


def asker() -> Callable[[str], str] | None:
    """Asks for a secret without showing it; None where there is no terminal."""
    return _secretly if terminal() else None


def agree(question: str) -> bool:
    """True for y or yes; everything else, end of input included, is no."""
    with _own_line():
        print(f"{question} [y/N] ", end="", flush=True, file=sys.stderr)
        answer = sys.stdin.readline()
    if not answer.endswith("\n"):
        print(file=sys.stderr)
    return answer.strip().lower() in ("y", "yes")


def _secretly(question: str) -> str:
    with _own_line():
        try:
            return getpass.getpass(question)
        except EOFError:
            print(file=sys.stderr)
            return ""


@contextmanager
def _own_line() -> Iterator[None]:
    """After Ctrl-C at a question the next sentence begins on a line of its own."""
    try:
        yield
    except StopNow:
        print(file=sys.stderr)
        raise
