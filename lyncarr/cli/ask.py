"""Questions to the person at the terminal, where there is one."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable


def terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


def asker() -> Callable[[str], str] | None:
    """Asks for a secret without showing it; None where there is no terminal."""
    return getpass.getpass if terminal() else None


def agree(question: str) -> bool:
    """True for y or yes; everything else, end of input included, is no."""
    print(f"{question} [y/N] ", end="", flush=True, file=sys.stderr)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
