"""The report for people: what happens now, the plan as old -> new, the outcome and what to do next. Plain ASCII but for names."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, urlsplit

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from lyncarr.core.outcome import HostResult, Note
from lyncarr.core.plan import Plan
from lyncarr.core.text import safe
from lyncarr.report.events import restore_line
from lyncarr.report.text import GLUE, change_line, wrapped
from lyncarr.steps import STEPS

SAID = {
    "in-place": "Everything is in place; nothing to do.",
    "pending": "Changes are pending; {provision} applies them.",
    "applied": "Applied, and seen in place.",
    "failed": "Stopped at the step that failed. Mend the cause and run this again: what is in place costs nothing.",
    "changed": "The host changed since the plan was shown; the plan above is the new one. Run this again.",
    "reboot-needed": "The host must be restarted before the rest. Restart it, then run this again: it goes on from here.",
    "busy": "Another run holds the host.",
    "refused": "Refused.",
    "unreachable": "The host does not answer.",
    "untrusted": "The host's answers cannot be trusted; the run ended there.",
    "interrupted": "Interrupted.",
    "fault": "Stopped by a fault in lyncarr itself.",
}
SAID_OF_SOME = {"in-place": "The steps looked at are in place", "applied": "Applied, and seen in place"}
MAY_HAVE_WRITTEN = frozenset({"busy", "refused", "unreachable", "untrusted", "interrupted", "fault"})
NOTHING_WRITTEN = "Nothing was written."
RUN_AGAIN = "Run this again: what is in place costs nothing."
FAILED_AROUND = "Failed before any step did; see the error. Nothing was written."
STEP_SAID = {
    "pending": "pending",
    "applied": "applied",
    "failed": "failed",
    "skipped": "not tried",
    "unknown": "unknown: its answer never came; run this again to see",
    "reboot-needed": "done, and needs a restart of the host",
}
HTTP, HTTPS = 80, 443
NAME_CHARS = 16
MIN_WIDTH = 40
SHOW_SECONDS_AFTER_S = 2
REFRESH_PER_S = 8


class _Now:
    """What happens at the moment, and for how long."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._since = time.monotonic()

    def __rich__(self) -> Text:
        seconds = int(time.monotonic() - self._since)
        return Text(f"{self._text} ({seconds} s)" if seconds >= SHOW_SECONDS_AFTER_S else self._text)


class ConsoleReport:
    """A Listener and Report for a terminal or a log. `out` gets the report, `err` what happens now: live where it is a terminal.

    `provision` is the command line that applies what is pending; it is never broken, so that it can be pasted.
    """

    def __init__(self, out: Console, err: Console, provision: str) -> None:
        self._out = out
        self._err = err
        self._provision = provision
        self._live: Live | None = None
        self._greeted = False
        self._planned = False
        self._told: set[str] = set()

    def event(self, host: str, name: str, data: Mapping[str, Any]) -> None:
        if name == "connecting":
            self._now(f"{host}: connecting and looking")
        elif name == "reconnecting":
            self._now(f"{host}: the connection was lost; waiting for the host to let go, then looking again")
        elif name == "hello" and not self._greeted:
            self._greeted = True
            self._line(f"{host} is {safe(data['computer'])}, {safe(data['os'])}, PowerShell {safe(data['powershell'])}", "bold")
        elif name == "plan":
            self._quiet()
            self._plan(data["plan"], data["notes"])
        elif name == "applying":
            self._now(f"{host}: applying {data['step']}")
        elif name == "progress":
            percent = "" if data["percent"] is None else f" {data['percent']} %"
            self._now(f"{host}: {data['step']}: {safe(data['text'])}{percent}")
        elif name == "note" and self._planned and data["kind"] != "backup":
            self._note(data["text"])

    def finish(self, result: HostResult, published: Mapping[str, str]) -> None:
        """The outcome. `published` maps the rules to their URLs, shown where the rule or its farm came or changed in this run."""
        self._quiet()
        for note in result.notes:
            if note.kind != "warning":
                self._note(note.text)
        if any(one.result not in ("in-place", "pending", "skipped") for one in result.steps):
            self._line("Outcome:", "bold")
            for one in result.steps:
                if one.result != "in-place":
                    self._line(f"  {one.step.name:<{NAME_CHARS}} {STEP_SAID[one.result]}", _STYLE.get(one.result, ""))
        if result.backup is not None:
            self._words(f"Configuration backup {result.backup} on the host. To restore it, in an elevated command prompt there:")
            self._line(f"  {restore_line(result.backup)}")
        self._words(f"{result.host}: {_verdict(result, self._provision)}", "bold")
        # The binding, the certificate or a rule may be missing where only some steps were looked at.
        if result.result == "applied" and not _partial(result):
            self._addresses(result, published)

    def _addresses(self, result: HostResult, published: Mapping[str, str]) -> None:
        changes = [change for one in result.steps if one.result == "applied" for change in one.changes]
        changed = {change.item for change in changes}
        made = {change.item for change in changes if change.attribute is None}
        urls = [urlsplit(url) for rule, url in published.items() if rule in changed or urlsplit(url).hostname in made]
        if urls:
            self._line("Now try from outside (lyncarr does not reach there):")
            for url in urls:
                self._line(f"  {url.geturl()}")
            self._words(f"What stands outside this server: the names in external DNS, and {_ports(urls)} from the internet to it.")

    def _plan(self, plan: Plan, notes: list[Note]) -> None:
        self._planned = True
        for one in plan.steps:
            if not one.changes:
                self._line(f"  {one.step.name:<{NAME_CHARS}} in place", "dim")
                continue
            self._line(f"  {one.step.name:<{NAME_CHARS}} {_counted(len(one.changes), 'change')}", "yellow")
            for change in one.changes:
                self._words(change_line(change), indent=" " * 6)
        for note in notes:
            self._note(note.text)

    def _note(self, text: str) -> None:
        """Once a run, however often the host says it."""
        if text not in self._told:
            self._told.add(text)
            self._words(f"note: {safe(text)}", "cyan", "  ")

    def _words(self, text: str, style: str = "", indent: str = "") -> None:
        """A line that may be broken between words: on a terminal where that is needed, elsewhere never, for those who grep."""
        if self._out.is_terminal:
            self._line(wrapped(text, max(self._out.width, MIN_WIDTH), indent), style)
        else:
            self._line(indent + text.replace(GLUE, " "), style)

    def _now(self, text: str) -> None:
        if not self._err.is_terminal:
            self._err.print(Text(text), soft_wrap=True)
            return
        self._quiet()
        spinner = Spinner("line", text=_Now(text))
        self._live = Live(
            spinner, console=self._err, refresh_per_second=REFRESH_PER_S, transient=True, redirect_stdout=False, redirect_stderr=False
        )
        self._live.start()

    def _quiet(self) -> None:
        """Take what happens now off the screen, as before a question."""
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


_STYLE = {"applied": "green", "failed": "red", "unknown": "red", "skipped": "dim", "reboot-needed": "yellow"}


def _partial(result: HostResult) -> bool:
    return len(result.steps) < len(STEPS)


def _verdict(result: HostResult, provision: str) -> str:
    """The outcome in a sentence or two, with what became of the host."""
    words = {one.result for one in result.steps}
    wrote = bool(words & {"applied", "failed", "unknown", "reboot-needed"})
    if result.result == "failed" and not wrote:
        return FAILED_AROUND
    if result.result in ("pending", "changed") or (result.result in MAY_HAVE_WRITTEN and not wrote):
        said = SAID[result.result].format(provision=provision.replace(" ", GLUE))
        return f"{said} {NOTHING_WRITTEN}"
    if result.result in MAY_HAVE_WRITTEN:
        return f"{SAID[result.result]} {RUN_AGAIN}"
    if _partial(result) and result.result in SAID_OF_SOME:
        names = ", ".join(one.step.name for one in result.steps)
        return f"{SAID_OF_SOME[result.result]} ({names}); without --step lyncarr looks at all {len(STEPS)}."
    return SAID[result.result]


def _ports(urls: list[SplitResult]) -> str:
    """The ports of `urls`, and which names need the one without TLS where not all do."""
    secure = {url.port or HTTPS for url in urls if url.scheme == "https"}
    plain = [url.netloc for url in urls if url.scheme == "http"]
    ports = [*map(str, sorted(secure)), *([str(HTTP)] if plain else [])]
    which = f" ({HTTP} for: {', '.join(plain)})" if secure and plain else ""
    return f"TCP {' and '.join(ports)}{which}"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
