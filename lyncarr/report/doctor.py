"""The findings of lyncarr doctor: a line for each check, for people or as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from lyncarr.core.text import safe
from lyncarr.report.events import error_members, json_line
from lyncarr.report.outcome import NOTHING_WRITTEN
from lyncarr.report.text import labelled, wrapped

if TYPE_CHECKING:
    from lyncarr.runs.doctor import Finding

NAME_CHARS = 8
WORD_CHARS = 8
TEXT_COLUMN = NAME_CHARS + WORD_CHARS + 4
MAX_CHARS = 2_000


def text_lines(finding: Finding, width: int | None) -> Iterator[str]:
    """The line of a check, wrapped to `width` characters unless that is None; the hint of a failed one stands below it."""
    line = f"{finding.check:<{NAME_CHARS}} {finding.word:<{WORD_CHARS}} {safe(finding.text, MAX_CHARS)}".rstrip()
    lines = [f"  {line}"]
    if width is not None:
        lines = wrapped(line, width, 2, TEXT_COLUMN - 2, break_long_words=False).splitlines()
    if finding.error is not None:
        hints = labelled("hint", finding.error.hint, None if width is None else width - TEXT_COLUMN, MAX_CHARS)
        lines += [f"{' ' * TEXT_COLUMN}{hint}" for hint in hints]
    yield from (_fitting(line, width) for line in lines)


def _fitting(line: str, width: int | None) -> str:
    """A line with less indentation where it is too long, such as one with a SHA-256, which is never broken."""
    surplus = 0 if width is None else max(0, len(line) - width)
    return line[min(surplus, len(line) - len(line.lstrip())) :]


def closing_lines(host: str, failed: Finding | None, following: str | None, width: int | None) -> Iterator[str]:
    """The last lines. `following` is the command line to run next, None where the host is in no configuration file."""
    name = safe(host)
    if failed is not None:
        text = f"{name}: The check {failed.check} failed. Fix the cause and run the command again. {NOTHING_WRITTEN}"
    elif following is None:
        text = (
            f"{name}: All connection checks passed. {NOTHING_WRITTEN} Next: add the host to a configuration file "
            "(lyncarr init DOMAIN writes one), then run lyncarr plan."
        )
    else:
        text = f"{name}: All connection checks passed. {NOTHING_WRITTEN} Next, run:"
    yield text if width is None else wrapped(text, width, 0)
    if failed is None and following is not None:
        yield f"  {following}"


def finding_members(host: str, finding: Finding) -> dict[str, Any]:
    """The `finding` event of docs/output.md."""
    error = None if finding.error is None else error_members(finding.error)
    return {"event": "finding", "host": host, "check": finding.check, "result": finding.word, "text": finding.text, "error": error}


def json_finding(host: str, finding: Finding) -> str:
    return json_line(finding_members(host, finding))


def json_summary(host: str, failed: Finding | None, exit_code: int) -> str:
    return json_line({"event": "summary", "exit_code": exit_code, "hosts": {host: "ok" if failed is None else "failed"}})
