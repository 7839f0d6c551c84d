"""JSON lines for programs: what happens as it happens, one line for each host, and a summary. Nothing else goes to standard output."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TextIO

from lyncarr.core.errors import LyncarrError
from lyncarr.core.model import Change
from lyncarr.core.outcome import HostResult, Note
from lyncarr.core.plan import Plan

SCHEMA = 1
LIVE = {
    "connecting": "a remote shell is being opened",
    "hello": "what the host is: computer, os, build, powershell and more",
    "note": "kind, step (or null), item (or null): what the note is about, text",
    "plan": "pending: step -> number of changes; script_sha256: of each bundle of the script, `look` and `write`",
    "applying": "step",
    "progress": "step, text, percent (or null)",
    "reconnecting": "cause: the connection was lost while something was being written",
}
"""Event -> what it tells, as docs/output.md has it. Each goes out as it happens."""


class JsonReport:
    """A Listener and Report that writes JSON lines to `stream`. `script_sha256`: kind of bundle -> its SHA-256."""

    def __init__(self, stream: TextIO, script_sha256: Mapping[str, str]) -> None:
        self._stream = stream
        self._script_sha256 = script_sha256

    def event(self, host: str, name: str, data: Mapping[str, Any]) -> None:
        if name == "plan":
            plan: Plan = data["plan"]
            pending = {one.step.name: len(one.changes) for one in plan.steps if one.changes}
            self._line({"event": "plan", "host": host, "script_sha256": self._script_sha256, "pending": pending})
        elif name in LIVE:
            self._line({"event": name, "host": host, **data})

    def finish(self, result: HostResult, published: Mapping[str, str]) -> None:
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
                "step": one.step.name,
                "result": one.result,
                "changes": [_change(change) for change in one.changes],
                "error": None if one.error is None else {"code": one.error.code, "message": one.error.message, "hint": one.error.hint},
            }
            for one in result.steps
        ],
        "notes": [_note(note) for note in result.notes],
        "backup": None if result.backup is None else {"name": result.backup, "restore": restore_line(result.backup)},
        "error": None if result.error is None else error_members(result.error),
    }


def error_members(error: LyncarrError) -> dict[str, str]:
    """An error in JSON: `message` says what is wrong, `hint` what to do ("" where there is nothing)."""
    return {"code": error.code, "message": error.message, "hint": error.hint}


def restore_line(backup: str) -> str:
    """The line that brings a backup back, for an elevated command prompt on the host."""
    return f'xcopy /y "%windir%\\System32\\inetsrv\\backup\\{backup}\\*.config" "%windir%\\System32\\inetsrv\\config"'


def _change(change: Change) -> dict[str, Any]:
    return {"item": change.item, "attribute": change.attribute, "before": change.before, "after": change.after}


def _note(note: Note) -> dict[str, Any]:
    return {"kind": note.kind, "step": note.step, "item": note.item, "text": note.text}


def _plain(value: object) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no place in a report")
