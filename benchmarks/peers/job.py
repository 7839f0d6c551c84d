"""Shared by the two Python peers: the job that the benchmark wrote, and their output."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Job:
    """The endpoint, and the settings as [script, values]. With `check` nothing is written."""

    address: str
    port: int
    user: str
    password: str
    ca: str
    settings: list[tuple[str, dict[str, Any]]]
    check: bool


def read() -> Job:
    """The job named on the command line: JOB.json [--check]."""
    data = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    return Job(**data, password=os.environ["LYNCARR_BENCH_PASSWORD"], check="--check" in sys.argv)


def text_of(script: str) -> str:
    return (HERE / f"{script}.ps1").read_text(encoding="ascii")


def converge(job: Job, run: Callable[[str, dict[str, Any]], str]) -> None:
    """Run the scripts of the settings one after the other, and restart IIS after a change."""
    changed = sum(run(script, {**values, "Check": job.check}) == "changed" for script, values in job.settings)
    if changed and not job.check:
        run("restart", {})
    print(f"changed={changed}")
