"""JSON lines for programs: each event as it happens, one line for each host, and a summary. Nothing else goes to standard output."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TextIO

from lyncarr.core.errors import LyncarrError
from lyncarr.core.model import Change
from lyncarr.core.outcome import Failure, HostResult, Note
from lyncarr.core.plan import Plan

SCHEMA = 1
LIVE = {
    "connecting": "opens a remote shell",
    "hello": "facts of the host: computer, os, build, powershell and more",
    "note": "kind, step (or null), item (or null): what the note is about, text",
    "plan": "pending: step -> number of changes; script_sha256: bundle of the script -> its SHA-256",
    "applying": "step",
    "progress": "step, text, percent (or null)",
    "reconnecting": "cause: why the connection was lost during a write",
}
"""Event -> its members and meaning, for docs/output.md. Each line is written as the event happens."""


class JsonReport:
    """A Listener and Report that writes JSON lines to `stream`. `script_sha256`: kind of bundle -> its SHA-256."""

    def __init__(self, stream: TextIO, script_sha256: Mapping[str, str]) -> None:
        self._stream = stream
        self._script_sha256 = script_sha256

    def event(self, host: str, name: str, data: Mapping[str, Any]) -> None:
        if name == "plan":
            plan: Plan = data["plan"]
            pending = {step.step.name: len(step.changes) for step in plan.steps if step.changes}
            self._line({"event": "plan", "host": host, "script_sha256": self._script_sha256, "pending": pending})
        elif name in LIVE:
            self._line({"event": name, "host": host, **data})

    def finish(self, result: HostResult) -> None:
        """The host's line and the summary, the last line of every run that began to connect."""
        self._line(host_line(result))
        self._line({"event": "summary", "exit_code": result.exit_code, "hosts": {result.host: result.result}})

    def _line(self, members: Mapping[str, Any]) -> None:
        self._stream.write(json_line(members) + "\n")
        self._stream.flush()


def json_line(members: Mapping[str, Any]) -> str:
    """One line, without its end."""
    return json.dumps({"schema": SCHEMA, **members}, separators=(",", ":"), default=_plain)


def host_line(result: HostResult) -> dict[str, Any]:
    """The `host` event of docs/output.md."""
    return {
        "event": "host",
        "host": result.host,
        "computer": result.computer,
        "result": result.result,
        "steps": [
            {
                "step": step.step.name,
                "result": step.result,
                "changes": [change_members(change) for change in step.changes],
                "error": None if step.error is None else error_members(step.error),
            }
            for step in result.steps
        ],
        "notes": [_note(note) for note in result.notes],
        "backup": None if result.backup is None else {"name": result.backup, "restore": restore_line(result.backup)},
        "error": None if result.error is None else error_members(result.error),
    }


def error_members(error: LyncarrError | Failure) -> dict[str, str]:
    """An error in JSON: `message` says what is wrong, `hint` what to do ("" where there is nothing)."""
    return {"code": error.code, "message": error.message, "hint": error.hint}


def restore_line(backup: str) -> str:
    """The command line that restores a backup, for an elevated command prompt on the host."""
    return f'xcopy /y "%windir%\\System32\\inetsrv\\backup\\{backup}\\*.config" "%windir%\\System32\\inetsrv\\config"'


def change_members(change: Change) -> dict[str, Any]:
    """A change in JSON."""
    return {"item": change.item, "attribute": change.attribute, "before": change.before, "after": change.after}


def _note(note: Note) -> dict[str, Any]:
    return {"kind": note.kind, "step": note.step, "item": note.item, "text": note.text}


def _plain(value: object) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} cannot be part of a report")
