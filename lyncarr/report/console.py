"""The report for people: progress, the plan as old -> new, the result and what to do next. ASCII only, but for names."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import SplitResult, urlsplit

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from lyncarr.core.outcome import HostResult, Note, StepResult
from lyncarr.core.plan import Plan
from lyncarr.core.text import safe
from lyncarr.report.events import restore_line
from lyncarr.report.names import Published, affected, owners, rows_by_name
from lyncarr.report.outcome import STEP_WORDS, begun, verdict
from lyncarr.report.plan import STEP_CHARS, rows_by_step, summary
from lyncarr.report.text import FURTHER, GLUE, LEGEND, MIN_WIDTH, Row, wrapped
from lyncarr.steps import STEPS

HTTP, HTTPS = 80, 443
SHOW_SECONDS_AFTER_S = 2
REFRESH_PER_S = 8
STYLES = {
    "+": "green",
    "~": "yellow",
    "-": "red",
    "heading": "bold",
    "unchanged": "dim",
    "plain": "",
    "applied": "green",
    "failed": "red",
    "unknown": "red",
    "skipped": "dim",
    "reboot-needed": "yellow",
}


class _Now:
    """What happens at the moment, and for how long."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._since = time.monotonic()

    def __rich__(self) -> Text:
        seconds = int(time.monotonic() - self._since)
        return Text(f"{self._text} ({seconds} s)" if seconds >= SHOW_SECONDS_AFTER_S else self._text)


class _Clock:
    """How long each step took: from its first event to the next step's, or to its result."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._running: tuple[str, float] | None = None

    def start(self, step: str) -> None:
        if self._running is None or self._running[0] != step:
            self.stop()
            self._running = (step, time.monotonic())

    def stop(self) -> None:
        if self._running is not None:
            step, since = self._running
            self._seconds[step] = self._seconds.get(step, 0.0) + time.monotonic() - since
            self._running = None

    def seconds(self, step: str) -> int | None:
        """Whole seconds; None for a step that did not begin."""
        return round(self._seconds[step]) if step in self._seconds else None


class ConsoleReport:
    """A Listener and Report for a terminal or a log: `out` gets the report, `err` the progress.

    `names` are the published names of the configuration file. `by_name` groups the plan by them, `full` folds and shortens nothing.
    `next_command` is the command line that applies the plan; empty where this run itself can apply it.
    """

    def __init__(
        self,
        out: Console,
        err: Console,
        *,
        names: Sequence[Published] = (),
        by_name: bool = False,
        full: bool = False,
        next_command: str = "",
    ) -> None:
        self._out = out
        self._err = err
        self._names = names
        self._by_name = by_name
        self._full = full
        self._next_command = next_command
        self._live: Live | None = None
        self._greeted = False
        self._planned = False
        self._shown: set[str] = set()
        self._clock = _Clock()
        self._steps: list[str] = []
        """Names of the steps that the plan changes, in order."""
        self._reported: set[str] = set()

    def event(self, host: str, name: str, data: Mapping[str, Any]) -> None:
        if name == "connecting":
            self._now(f"{host}: connecting, reading the current state")
        elif name == "reconnecting":
            self._now(f"{host}: connection lost; waiting for the host to release its lock, then reading its state")
        elif name == "hello" and not self._greeted:
            self._greeted = True
            self._words(f"{host} is {safe(data['computer'])}, {safe(data['os'])}, PowerShell {safe(data['powershell'])}", "bold")
        elif name == "plan":
            self._quiet()
            self._plan(data["plan"], data["notes"])
        elif name == "applying":
            self._clock.start(data["step"])
            self._now(f"{host}: applying {data['step']}")
        elif name == "progress":
            self._clock.start(data["step"])
            percent = "" if data["percent"] is None else f" {data['percent']} %"
            self._now(f"{host}: {data['step']}: {safe(data['text'])}{percent}")
        elif name in ("applied", "failed"):
            self._clock.stop()
        elif name == "step":
            self._clock.stop()
            self._step(data["result"])
        elif name == "note" and self._planned and data["kind"] != "backup":
            self._note(data["text"])

    def finish(self, result: HostResult) -> None:
        """The result, with its sentence last."""
        self._quiet()
        for note in result.notes:
            if note.kind != "warning":
                self._note(note.text)
        if begun(result):
            for step in result.steps:
                self._step(step)
        if result.backup is not None:
            self._words(f"Backup of the IIS configuration on the host: {result.backup}. To restore it, run there as administrator:")
            self._line(f"  {restore_line(result.backup)}")
        partial = len(result.steps) < len(STEPS)
        if result.result == "applied" and not partial:
            self._addresses(result)
        if result.result == "pending" and self._next_command and result.plan is not None:
            self._line("To apply these changes:")
            self._line(f"  {self._next_command}")
            self._words(summary(result.plan), "bold")
        else:
            self._words(verdict(result, partial=partial), "bold")

    def _plan(self, plan: Plan, notes: Iterable[Note]) -> None:
        self._planned = True
        self._steps = [step.step.name for step in plan.steps if step.changes]
        if plan.pending:
            self._rows(rows_by_name(plan, self._names, full=self._full) if self._by_name else self._by_step(plan))
        for note in notes:
            self._note(note.text)
        if plan.pending and not self._next_command:
            self._words(summary(plan), "bold")

    def _by_step(self, plan: Plan) -> Iterable[Row]:
        return rows_by_step(plan, owners(self._names), full=self._full)

    def _rows(self, rows: Iterable[Row]) -> None:
        if self._out.no_color or self._out.color_system is None:
            self._line(f"Changes ({LEGEND}):")
        for row in rows:
            self._words(row.line, STYLES[row.kind], row.indent)

    def _step(self, result: StepResult) -> None:
        """`[5/11] farms  done (3 s)`, once for each step that the plan changes."""
        name = result.step.name
        if name in self._reported or result.result in ("in-place", "pending"):
            return
        self._reported.add(name)
        if name not in self._steps:
            self._steps.append(name)
        number, total = self._steps.index(name) + 1, len(self._steps)
        seconds = self._clock.seconds(name)
        duration = "" if seconds is None or result.result == "skipped" else f" ({seconds} s)"
        place = f"[{number}/{total}]"
        self._line(
            f"{place:<{len(f'[{total}/{total}]')}} {name:<{STEP_CHARS}} {STEP_WORDS[result.result]}{duration}", STYLES[result.result]
        )

    def _addresses(self, result: HostResult) -> None:
        items = {change.item for step in result.steps if step.result == "applied" for change in step.changes}
        urls = [urlsplit(url) for published in affected(self._names, items) for url in published.addresses]
        if urls:
            self._words(f"Test from the internet ({_ports(urls)}):")
            for url in urls:
                self._line(f"  {url.geturl()}")
            self._words(
                "Not managed by lyncarr: the public DNS records of these names, and the firewalls between the internet and the host."
            )

    def _note(self, text: str) -> None:
        """Once per run, however often the host sends it."""
        if text not in self._shown:
            self._shown.add(text)
            self._words(f"note: {safe(text)}", "cyan", 2)

    def _words(self, text: str, style: str = "", indent: int = 0) -> None:
        """A line that may be broken between words: on a terminal where it is too long, elsewhere never, for those who search a log."""
        if self._out.is_terminal:
            self._line(wrapped(text, max(self._out.width, MIN_WIDTH), indent, FURTHER), style)
        else:
            self._line(" " * indent + text.replace(GLUE, " "), style)

    def _now(self, text: str) -> None:
        if not self._err.is_terminal or self._err.is_dumb_terminal:
            self._err.print(Text(text), soft_wrap=True)
            return
        self._quiet()
        spinner = Spinner("line", text=_Now(text))
        self._live = Live(
            spinner, console=self._err, refresh_per_second=REFRESH_PER_S, transient=True, redirect_stdout=False, redirect_stderr=False
        )
        self._live.start()

    def _quiet(self) -> None:
        """Take the progress line off the screen, as before a question."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _line(self, text: str, style: str = "") -> None:
        live = self._live
        if live is not None:
            live.stop()
        self._out.print(Text(text, style=style), soft_wrap=True)
        if live is not None:
            live.start()


def _ports(urls: Sequence[SplitResult]) -> str:
    """The ports of `urls`, and which names need the one without TLS where not all do."""
    secure = {url.port or HTTPS for url in urls if url.scheme == "https"}
    plain = [url.netloc for url in urls if url.scheme == "http"]
    ports = [*map(str, sorted(secure)), *([str(HTTP)] if plain else [])]
    only = f"; {HTTP} for {', '.join(plain)}" if secure and plain else ""
    return f"TCP {' and '.join(ports)}{only}"
