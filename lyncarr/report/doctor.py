"""What lyncarr doctor says: a line for each check, for people or as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lyncarr.core.text import safe
from lyncarr.report.events import error_members, json_line

if TYPE_CHECKING:
    from lyncarr.runs.doctor import Finding

NAME_CHARS = 8
WORD_CHARS = 8
MAX_CHARS = 2_000


def text_line(found: Finding) -> str:
    """One line for a check; for a failed one its hint is a line of its own."""
    line = f"  {found.check:<{NAME_CHARS}} {found.word:<{WORD_CHARS}} {safe(found.text, MAX_CHARS)}".rstrip()
    hint = "" if found.error is None else found.error.hint
    return f"{line}\n{' ' * (NAME_CHARS + WORD_CHARS + 4)}hint: {safe(hint, MAX_CHARS)}" if hint else line


def verdict(host: str, failed: Finding | None, move: str) -> str:
    """The last line; `move` is the sentence on what comes next where the way is free."""
    if failed is None:
        return f"{host}: The way to it is free. {move} Nothing was written."
    return f"{host}: Stopped at {failed.check}. Mend that, then run this again. Nothing was written."


def json_finding(host: str, found: Finding) -> str:
    error = None if found.error is None else error_members(found.error)
    return json_line({"event": "finding", "host": host, "check": found.check, "result": found.word, "text": found.text, "error": error})


def json_summary(host: str, failed: Finding | None, exit_code: int) -> str:
    return json_line({"event": "summary", "exit_code": exit_code, "hosts": {host: "ok" if failed is None else "failed"}})
