"""The public API: jobs of two hosts in two threads at once, and what they leave of the process's own state."""

from __future__ import annotations

import logging
import math
import os
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import lyncarr
from lyncarr import HostResult, LyncarrError, Plan, open_job
from lyncarr.core.errors import ConfigurationError, SiteError, UsageError
from lyncarr.core.interrupts import StopNow
from tests.lab.console import Bench

pytestmark = pytest.mark.usefixtures("secret")
TOGETHER_S = 60.0


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LYNCARR_TEST_PASSWORD", Bench.password)


class Together:
    """A Listener that holds each run at its plan until the others are there too, so that the runs overlap."""

    def __init__(self, barrier: threading.Barrier | None = None) -> None:
        self.names: list[tuple[str, str]] = []
        self._barrier = barrier

    def event(self, host: str, name: str, data: Mapping[str, Any]) -> None:
        self.names.append((host, name))
        if name == "hello" and self._barrier is not None:
            self._barrier.wait(TOGETHER_S)
            self._barrier = None


def state_of_the_process() -> dict[str, Any]:
    return {
        "warnings": list(warnings.filters),
        "showwarning": warnings.showwarning,
        "loggers": {
            name: (logger.level, logger.propagate, tuple(logger.handlers))
            for name, logger in logging.Logger.manager.loggerDict.items()
            if isinstance(logger, logging.Logger)
        },
        "root": (logging.root.level, tuple(logging.root.handlers), logging.raiseExceptions),
        "signals": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)],
        "streams": (sys.stdin, sys.stdout, sys.stderr, sys.excepthook),
        "environment": dict(os.environ),
        "folder": Path.cwd(),
        "timeout": socket.getdefaulttimeout(),
    }


def test_two_jobs_run_in_two_threads_without_disturbing_each_other(tmp_path: Path) -> None:
    with Bench(_folder(tmp_path, "a")) as first, Bench(_folder(tmp_path, "b"), auth="negotiate") as second:
        first.machine.computer, second.machine.computer = "ALPHA", "BETA"
        second.transport = "winrs"  # type: ignore[misc]
        second.write_site()
        second.finish().machine.states["proxy-timeout"]["meet.contoso.com"]["timeout_s"] = 30
        # The libraries are imported once, which is not a run's doing.
        open_job(first.folder / "lyncarr.toml").plan()
        open_job(second.folder / "lyncarr.toml").plan()
        before = state_of_the_process()
        barrier = threading.Barrier(2)
        listeners = [Together(barrier), Together(barrier)]
        jobs = [
            open_job(bench.folder / "lyncarr.toml", "rp01", listener=one) for bench, one in zip((first, second), listeners, strict=True)
        ]
        with ThreadPoolExecutor(2) as threads:
            results = list(threads.map(lambda job: job.converge(), jobs))
        assert state_of_the_process() == before
        assert [(result.result, result.exit_code, result.computer) for result in results] == [
            ("applied", 0, "ALPHA"),
            ("applied", 0, "BETA"),
        ]
        assert [result.error for result in results] == [None, None]
        assert {step.step.name for step in results[1].steps if step.result == "applied"} == {"proxy-timeout"}
        assert [len(steps) for steps in first.writes] == [1, 1, 6]
        assert second.writes == [["proxy-timeout"]]
        assert all(("rp01", "plan") in listener.names for listener in listeners)
        # Each job counts its own traffic.
        assert sum(len(bench.lab.requests) for bench in (first, second)) >= sum(job.traffic.requests for job in jobs)
        assert jobs[0].traffic.requests > jobs[1].traffic.requests > 0


def test_one_host_that_hangs_or_refuses_does_not_hold_the_other(tmp_path: Path) -> None:
    with Bench(_folder(tmp_path, "a")) as first, Bench(_folder(tmp_path, "b")) as second:
        first.faults.refuse_authentication = True
        with ThreadPoolExecutor(2) as threads:
            results = list(threads.map(lambda bench: open_job(bench.folder / "lyncarr.toml").plan(), (first, second)))
        assert [(result.result, result.exit_code) for result in results] == [("refused", 77), ("pending", 2)]
        assert isinstance(results[0].error, LyncarrError)


def test_a_job_plans_asks_and_converges(tmp_path: Path) -> None:
    with Bench(_folder(tmp_path, "a")) as bench:
        job = open_job(str(bench.folder / "lyncarr.toml"), steps=["disk-cache"])
        assert [step.name for stage in job.stages for step in stage.steps] == ["disk-cache"]
        job = open_job(bench.folder / "lyncarr.toml")
        planned = job.plan()
        assert isinstance(planned, HostResult)
        assert isinstance(planned.plan, Plan)
        assert planned.plan.pending
        assert planned.elapsed_s > 0
        asked: list[Plan] = []
        refused = job.converge(lambda plan, notes: bool(asked.append(plan)))
        assert (refused.result, bench.writes, len(asked)) == ("pending", [], 1)
        assert asked[0] == planned.plan
        assert job.converge().result == "applied"
        assert job.converge().result == "in-place"
        assert job.plan().result == "in-place"


def test_overrides_replace_keys_of_the_table(tmp_path: Path) -> None:
    with Bench(_folder(tmp_path, "a")) as bench:
        site, there = bench.folder / "lyncarr.toml", ("127.0.0.1", bench.lab.https_port)
        assert open_job(site, "127.0.0.1", user=bench.lab.user, port=there[1], tls=f"ca:{bench.folder / 'ca.pem'}",
                        password_from="env:LYNCARR_TEST_PASSWORD", auth="basic").plan().exit_code == 2  # fmt: skip
        nowhere = open_job(site, port=1).plan()
        assert (nowhere.result, nowhere.exit_code, nowhere.plan) == ("unreachable", 69, None)
        with pytest.raises(UsageError, match="'rp02'"):
            open_job(site, "rp02")
        with pytest.raises(UsageError, match="'farm'"):
            open_job(site, steps=["farm"])
        with pytest.raises(UsageError, match=r"--address: must not be empty"):
            open_job(site, address="")
        for seconds in (0.0, -1.0, 3601.0, math.nan, math.inf):
            with pytest.raises(UsageError, match=f"timeout_s is {seconds:g}"):
                open_job(site, timeout_s=seconds)
        assert [step.name for stage in open_job(site, steps="farms").stages for step in stage.steps] == ["farms"]
        with pytest.raises(SiteError, match=r"nowhere\.toml"):
            open_job(bench.folder / "nowhere.toml")
        with pytest.raises(ConfigurationError):
            open_job(site, password_from="prompt")
        assert bench.writes == []


def test_an_interrupt_ends_the_run_and_not_the_job(tmp_path: Path) -> None:
    with Bench(_folder(tmp_path, "a")) as bench:

        class Pressing(Together):
            def event(self, host: str, name: str, data: Mapping[str, Any]) -> None:
                super().event(host, name, data)
                if name == "plan" and len(self.names) < 10:
                    job.interrupt()

        job = open_job(bench.folder / "lyncarr.toml", listener=(listener := Pressing()))
        assert (job.plan().result, bench.writes) == ("interrupted", [])
        listener.names += [("", "")] * 10
        assert job.plan().result == "pending"
        assert not job.interrupt(), "after a run it does nothing"


def test_before_a_run_an_interrupt_ends_its_caller(tmp_path: Path) -> None:
    with Bench(_folder(tmp_path, "a")) as bench, pytest.raises(StopNow):
        open_job(bench.folder / "lyncarr.toml").interrupt()


def test_the_exports_are_what_the_page_names() -> None:
    assert all(getattr(lyncarr, name) is not None for name in lyncarr.__all__)
    with pytest.raises(AttributeError, match="nothing_such"):
        _ = lyncarr.nothing_such


def _folder(parent: Path, name: str) -> Path:
    folder = parent / name
    folder.mkdir()
    return folder
