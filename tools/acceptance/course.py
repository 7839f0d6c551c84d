"""The course: plan, provision, empty plan, drift, plan that shows only the drift, repair, empty plan. By the real console script."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lyncarr.core.errors import IN_PLACE, PENDING, REBOOT

DRIFTED = ("proxy-timeout", "timeout_s")


class CourseError(Exception):
    """The server did not take the course; the text says where it left it."""


@dataclass(frozen=True)
class Outcome:
    """Exit code of one command and its line about the host."""

    code: int
    host: dict[str, Any]

    @property
    def pending(self) -> list[tuple[str, str, str | None, Any, Any]]:
        """(step, item, attribute, before, after) of every change."""
        return [
            (step["step"], change["item"], change["attribute"], change["before"], change["after"])
            for step in self.host["steps"]
            for change in step["changes"]
        ]

    @property
    def results(self) -> dict[str, str]:
        return {step["step"]: step["result"] for step in self.host["steps"]}

    def __str__(self) -> str:
        by_result: dict[str, list[str]] = {}
        for step, result in self.results.items():
            by_result.setdefault(result, []).append(step)
        steps = "; ".join(f"{result}: {', '.join(names)}" for result, names in by_result.items())
        return f"{self.host['result']}, exit code {self.code} ({steps})"


@dataclass(frozen=True)
class Course:
    """One server, one site file. `drift` changes the proxy time-out of a farm on the server: {"before", "after"} in seconds."""

    host: str
    site: Path
    farm: str
    drift: Callable[[str], dict[str, int]]
    tell: Callable[[str], None]

    def lyncarr(self, *words: str) -> Outcome:
        """One command, told as it ends. Its questions and warnings go to the terminal."""
        script = Path(sys.executable).with_name("lyncarr")
        command = [str(script), *words, "--site", str(self.site), "--host", self.host, "--output", "json"]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, encoding="utf-8", check=False)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        if not lines or lines[-1]["event"] != "summary":
            raise CourseError(f"lyncarr {words[0]} ended with {done.returncode} before it reached the server.")
        outcome = Outcome(done.returncode, lines[-2])
        self.tell(f"lyncarr {' '.join(words)}: {outcome}")
        return outcome

    def run(self) -> dict[str, str]:
        """Take the whole course. Returns what the first provision said of each step; raises CourseError."""
        self._expect(self.lyncarr("plan"), IN_PLACE, PENDING)
        first = self.lyncarr("provision", "--yes")
        if first.code == REBOOT:
            raise CourseError(f"{self.host} wants to restart: restart it and begin again; what is done stays done.")
        self._expect(first, IN_PLACE)
        self._empty()
        seconds = self.drift(self.farm)
        self.tell(f"drift: the time-out of {self.farm} was set from {seconds['before']} to {seconds['after']} s")
        broken = self.lyncarr("plan")
        self._expect(broken, PENDING)
        step, attribute = DRIFTED
        if broken.pending != [(step, self.farm, attribute, seconds["after"], seconds["before"])]:
            raise CourseError(f"The plan does not show that change and nothing else, but {broken.pending}.")
        mended = self.lyncarr("provision", "--yes")
        self._expect(mended, IN_PLACE)
        if [name for name, result in mended.results.items() if result != "in-place"] != [step]:
            raise CourseError(f"The repair did not touch {step} alone.")
        self._empty()
        return first.results

    def _empty(self) -> None:
        outcome = self.lyncarr("plan")
        self._expect(outcome, IN_PLACE)
        if outcome.pending or set(outcome.results.values()) != {"in-place"}:
            raise CourseError("The plan after a provision is not empty.")

    def _expect(self, outcome: Outcome, *codes: int) -> None:
        if outcome.code not in codes:
            error = outcome.host["error"] or {"message": "no reason given"}
            raise CourseError(f"Exit code {outcome.code} instead of {' or '.join(map(str, codes))}: {error['message']}")
