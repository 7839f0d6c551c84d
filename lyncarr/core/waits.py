"""Waits that Ctrl-C can end on every system.

On Windows no signal interrupts select(), nor the wait for a lock, an event, a queue, a thread or a process: Python calls the handler of
Ctrl-C when the wait has ended. So every wait of the main thread is made of slices there. Elsewhere a wait is one call.
"""

from __future__ import annotations

import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Protocol, TypeVar

from lyncarr.core.model import Deadline

T = TypeVar("T")

SLICE_S: float | None = 0.2 if sys.platform == "win32" else None
"""The longest slice in seconds; None where signals interrupt a wait."""


class Lock(Protocol):
    """A lock of threading."""

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool: ...

    def release(self) -> None: ...


def slices(left: Callable[[], float] | None = None) -> Iterator[float]:
    """The seconds of each slice of one wait, until `left()` returns 0; at least one slice. None for `left` never ends."""
    while True:
        seconds = threading.TIMEOUT_MAX if left is None else left()
        yield seconds if SLICE_S is None else min(seconds, SLICE_S)
        if left is not None and left() <= 0:
            return


def sleep(seconds: float) -> None:
    """time.sleep, which only SIGINT interrupts on Windows, and no other signal."""
    for each in slices(Deadline(seconds).left):
        time.sleep(each)


def take(source: queue.SimpleQueue[T], left: Callable[[], float]) -> T:
    """The next entry of a queue. Raises queue.Empty where none arrives in time."""
    for seconds in slices(left):
        with suppress(queue.Empty):
            return source.get(timeout=seconds)
    raise queue.Empty


def wait(event: threading.Event) -> None:
    """Wait until `event` is set."""
    for seconds in slices():
        if event.wait(seconds):
            return


def acquire(lock: Lock, left: Callable[[], float] | None = None) -> bool:
    """Acquire a lock; False where it is not free in time."""
    return any(lock.acquire(timeout=seconds) for seconds in slices(left))


@contextmanager
def holding(lock: Lock) -> Iterator[None]:
    """Hold a lock, however long it takes to get it."""
    acquire(lock)
    try:
        yield
    finally:
        lock.release()


def join(thread: threading.Thread, seconds: float) -> None:
    """Wait until a thread has ended, at most `seconds`."""
    for each in slices(Deadline(seconds).left):
        thread.join(each)
        if not thread.is_alive():
            return
