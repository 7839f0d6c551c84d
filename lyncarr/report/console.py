"""The report for people: what happens now, the plan as old -> new, the outcome and what to do next. Plain ASCII but for names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.status import Status
from rich.text import Text

from lyncarr.core.plan import HostResult, Note, Plan
from lyncarr.report.events import restore_line
from lyncarr.report.text import change_line, clean

SAID = {
    "in-place": "Everything is in place; nothing to do.",
    "pending": "Changes are pending; nothing was written. lyncarr provision applies them.",
    "applied": "Applied, and seen in place.",
    "failed": "Stopped at the step that failed. Mend the cause and run this again: what is in place costs nothing.",
    "changed": "The host changed since the plan was shown: nothing was written. The plan above is the new one; run this again.",
    "reboot-needed": "The host must be restarted before the rest. Restart it, then run this again: it goes on from here.",
    "busy": "Another run holds the host; nothing was written.",
    "refused": "Refused; nothing was written.",
    "unreachable": "No answer from the host.",
    "untrusted": "The host's answers cannot be trusted; the run ended there.",
    "interrupted": "Interrupted. Run this again: what is in place costs nothing.",
}


class ConsoleReport:
    """A Listener and Report for a terminal or a log. `out` gets the report, `err` the live status where it is a terminal."""

    def __init__(self, out: Console, err: Console) -> None:
        self._out = out
        self._err = err
        self._status: Status | None = None

    def event(self, host: str, name: str, data: Mapping[str, Any]) -> None:
        if name == "connecting":
            self._now(f"{host}: connecting and looking")
        elif name == "reconnecting":
            self._now(f"{host}: the connection was lost; waiting for the host to let go, then looking again")
        elif name == "hello":
            self._line(f"{host} is {clean(data['computer'])}, {clean(data['os'])}, PowerShell {clean(data['powershell'])}", "bold")
        elif name == "plan":
            self.quiet()
            self._plan(data["plan"], data["notes"])
        elif name == "applying":
            self._now(f"{host}: applying {data['step']}")
        elif name == "progress":
            percent = "" if data["percent"] is None else f" {data['percent']} %"
            self._now(f"{host}: {data['step']}: {clean(data['text'])}{percent}")

    def quiet(self) -> None:
        """Take the live status off the screen, as before a question."""
        if self._status is not None:
            self._status.stop()
            self._status = None

    def finish(self, result: HostResult, names: tuple[str, ...]) -> None:
        """The outcome. `names` are the published names, shown where their farms were made in this run."""
        self.quiet()
        for one in result.steps:
            if result.result not in ("in-place", "pending", "changed"):
                self._line(f"  {one.step.name:<16} {one.result}", _STYLE.get(one.result, ""))
        if result.backup is not None:
            self._line(f"Configuration backup {result.backup} on the host. To restore it, in an elevated command prompt there:")
            self._line(f"  {restore_line(result.backup)}")
        self._line(f"{result.host}: {SAID[result.result]}", "bold")
        made = {change.item for one in result.steps if one.result == "applied" for change in one.changes if change.attribute is None}
        first = [name for name in names if name in made]
        if first:
            self._line("Now try from outside (lyncarr does not reach there):")
            for name in first:
                self._line(f"  https://{name}/")
            self._line(
                "What stands outside this server: the names in external DNS, and TCP 443 from the internet through the firewall to it."
            )

    def _plan(self, plan: Plan, notes: list[Note]) -> None:
        for one in plan.steps:
            if not one.changes:
                self._line(f"  {one.step.name:<16} in place", "dim")
                continue
            self._line(f"  {one.step.name:<16} {_counted(len(one.changes), 'change')}", "yellow")
            for change in one.changes:
                self._line(f"      {change_line(change)}")
        for note in notes:
            self._line(f"  note: {clean(note.text)}", "cyan")

    def _now(self, text: str) -> None:
        if not self._err.is_terminal:
            self._err.print(Text(text), soft_wrap=True)
            return
        if self._status is None:
            self._status = self._err.status(Text(text), spinner="line")
            self._status.start()
        else:
            self._status.update(Text(text))

    def _line(self, text: str, style: str = "") -> None:
        self._out.print(Text(text, style=style), soft_wrap=True)


_STYLE = {"applied": "green", "failed": "red", "unknown": "red", "skipped": "dim", "reboot-needed": "yellow"}


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
