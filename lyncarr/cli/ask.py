"""Questions to the user at the terminal, if there is a terminal."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lyncarr.core.interrupts import StopNow


def terminal() -> bool:
    """Whether standard input is a terminal at which a user can answer."""
    if sys.stdin is None or sys.stdin.closed or not sys.stdin.isatty():
        return False
    return sys.platform != "win32" or _is_console(sys.stdin.fileno())


def _is_console(number: int) -> bool:
    """Whether a file descriptor is a console of Windows. isatty() is also True for NUL, which scheduled tasks have as standard input."""
    if sys.platform != "win32":
        return False
    import ctypes
    import msvcrt

    mode = ctypes.c_uint32()
    return bool(ctypes.windll.kernel32.GetConsoleMode(ctypes.c_void_p(msvcrt.get_osfhandle(number)), ctypes.byref(mode)))


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


@contextmanager
def _own_line() -> Iterator[None]:
    """After Ctrl-C at a question, the next message begins on a new line."""
    try:
        yield
    except StopNow:
        print(file=sys.stderr)
        raise
