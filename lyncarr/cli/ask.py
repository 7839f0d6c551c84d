"""Questions to the user at the terminal, if there is a terminal."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lyncarr.cli.streams import is_terminal
from lyncarr.core.interrupts import StopNow


def terminal() -> bool:
    """Whether standard input is a terminal at which a user can answer."""
    return is_terminal(sys.stdin)


def asker() -> Callable[[str], str] | None:
    """A function that asks for a secret without showing it; None where there is no terminal."""
    return _ask_secret if terminal() else None


def agree(question: str) -> bool:
    """True for y or yes. Everything else is no, also the end of input."""
    with _own_line():
        print(f"{question} [y/N] ", end="", flush=True, file=sys.stderr)
        answer = sys.stdin.readline()
    if not answer.endswith("\n"):
        print(file=sys.stderr)
    return answer.strip().lower() in ("y", "yes")


def _ask_secret(question: str) -> str:
    with _own_line():
        try:
            return getpass.getpass(question)
        except EOFError:
            print(file=sys.stderr)
            return ""
        except KeyboardInterrupt:
            # On Windows getpass reads the key Ctrl-C itself, and no signal arrives.
            raise StopNow from None


@contextmanager
def _own_line() -> Iterator[None]:
    """After Ctrl-C at a question, the next message begins on a new line."""
    try:
        yield
    except StopNow:
        print(file=sys.stderr)
        raise
