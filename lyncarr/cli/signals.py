"""Ctrl-C, Ctrl-Break and SIGTERM during a run."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from lyncarr.core.interrupts import heeded
from lyncarr.runs.job import Job


@contextmanager
def stop_signals(job: Job) -> Iterator[None]:
    """The signals of STOP_SIGNALS interrupt the job's run, until its report is complete."""

    def pressed(number: int, frame: FrameType | None) -> None:
        if job.interrupt():
            with suppress(OSError):
                # Not print: the signal may have arrived in the middle of one.
                os.write(2, b"\nlyncarr finishes the transaction that is being written, then stops. Press Ctrl-C again to stop at once.\n")

    before = {number: signal.signal(number, pressed) for number in heeded()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
