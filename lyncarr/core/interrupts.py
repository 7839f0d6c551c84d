"""What Ctrl-C does: it stops a reading run at once, and a writing run after the present transaction. A second Ctrl-C stops at once."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

STOP_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGBREAK") if hasattr(signal, name))
"""Ctrl-C, the request to end, and on Windows Ctrl-Break."""


def heeded() -> list[signal.Signals]:
    """The signals of STOP_SIGNALS that this process should handle: a shell starts background jobs with Ctrl-C ignored."""
    return [number for number in STOP_SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]


class StopNow(BaseException):
    """Ctrl-C that stops at once. A BaseException like KeyboardInterrupt, so that no handler for errors catches it."""


class Interrupts:
    """Counts presses of Ctrl-C. A signal handler calls `pressed()`; `writing()` surrounds a transaction that should be finished.

    After `end()` a press does nothing: the run is over, and its report must not be lost.
    """

    def __init__(self) -> None:
        self.requested = False
        self._writing = False
        self._over = False

    def pressed(self) -> bool:
        """Raise StopNow. While a transaction is being written, the first press only sets `requested` and returns True."""
        if self._over:
            return False
        first, self.requested = not self.requested, True
        if self._writing and first:
            return True
        raise StopNow

    def end(self) -> None:
        self._over = True

    @contextmanager
    def writing(self) -> Iterator[None]:
        self._writing = True
        try:
            yield
        finally:
            self._writing = False
