"""What Ctrl-C means at each moment: at once while only looking, after the running unit while writing, at once when pressed again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class StopNow(BaseException):
    """Ctrl-C that must not wait. A BaseException, as KeyboardInterrupt is: no handler for errors may take it."""


class Interrupts:
    """Counts presses. `pressed()` is the signal handler's body; `writing()` surrounds a unit that should be finished.

    After `end()` a press does nothing: the run is over, and its report must not be lost.
    """

    def __init__(self) -> None:
        self.requested = False
        self._writing = False
        self._over = False

    def pressed(self) -> bool:
        """Raise StopNow; only remember the wish, and return True, where a unit is being written and this is the first press."""
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
