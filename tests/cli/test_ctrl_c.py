"""Ctrl-C while lyncarr waits for a host that no longer answers, as it arrives on Windows: a signal that wakes no wait."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lyncarr.cli.signals import stop_signals
from lyncarr.core import waits
from lyncarr.core.interrupts import STOP_SIGNALS, Interrupts
from lyncarr.hosts import shell
from lyncarr.hosts.http import transport
from lyncarr.lab.wire.faults import every
from lyncarr.runs.job import open_job
from tests.lab.console import Bench
from tests.patience import HANG_S

NOTICE = b"lyncarr finishes the transaction that is being written"


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_the_notice_comes_while_the_host_is_silent_and_the_second_press_stops(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waits, "SLICE_S", 0.2)
    # An answer may take longer than this test may.
    monkeypatch.setattr(transport, "GRACE_S", 4 * HANG_S)
    monkeypatch.setattr(shell, "STOP_S", 0.5)
    monkeypatch.setattr(shell, "CLOSE_S", 0.5)
    real_write, real_writing = os.write, Interrupts.writing
    noticed, began = threading.Event(), threading.Event()

    def write(descriptor: int, data: bytes) -> int:
        if NOTICE in data:
            noticed.set()
            return len(data)
        return real_write(descriptor, data)

    @contextmanager
    def writing(self: Interrupts) -> Iterator[None]:
        bench.lab.faults.stall = every()
        began.set()
        with real_writing(self):
            yield

    def press() -> None:
        assert began.wait(HANG_S)
        time.sleep(0.5)
        signal.raise_signal(number)
        assert noticed.wait(HANG_S)
        signal.raise_signal(number)

    monkeypatch.setattr(os, "write", write)
    monkeypatch.setattr(Interrupts, "writing", writing)
    with Bench(tmp_path) as bench:
        for name, value in bench.environment.items():
            monkeypatch.setenv(name, value)
        job = open_job(bench.folder / "lyncarr.toml", "rp01")
        presser = threading.Thread(target=press)
        presser.start()
        started = time.monotonic()
        # A shell that runs the tests in the background has made them ignore Ctrl-C, and lyncarr keeps that.
        before = signal.signal(number, signal.default_int_handler)
        try:
            with stop_signals(job):
                result = job.converge()
        finally:
            signal.signal(number, before)
        presser.join()
    assert result.result == "interrupted"
    assert noticed.is_set()
    assert time.monotonic() - started < HANG_S
