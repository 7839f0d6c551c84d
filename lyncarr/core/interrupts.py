"""What Ctrl-C means at each moment: at once while only looking, after the running unit while writing, at once when pressed again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class StopNow(BaseException):
    """Ctrl-C that must not wait. A BaseException, as KeyboardInterrupt is: no handler for errors may take it."""


class Interrupts:
    """Counts presses. `pressed()` is the signal handler's body; `writing()` surrounds a unit that should be finished."""

    def __init__(self) -> None:
        self.requested = False
        self._writing = False

    def pressed(self) -> None:
        """Raise StopNow, or only remember the wish where a unit is being written for the first press."""
        if self._writing and not self.requested:
            self.requested = True
            return
        self.requested = True
        raise StopNow

    @contextmanager
    def writing(self) -> Iterator[None]:
        self._writing = True
        try:
            yield
        finally:
            self._writing = False
