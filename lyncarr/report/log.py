"""The log file: everything that happens, one line each with its time. It holds no secrets, because no event and no error does."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from lyncarr.core.errors import LyncarrError, UsageError
from lyncarr.core.files import is_reserved
from lyncarr.core.outcome import HostResult, StepResult
from lyncarr.core.plan import Plan
from lyncarr.core.text import quoted, safe
from lyncarr.report.events import change_members, error_members, host_line

MODE = 0o600


class LogReport:
    """A Listener and Report that writes `TIME HOST EVENT {members as JSON}` lines; TIME is UTC in ISO 8601.

    A line that cannot be written does not end the run: `lost` is then the reason.
    """

    def __init__(self, stream: TextIO, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._stream = stream
        self._now = now
        self.lost: OSError | None = None

    def event(self, host: str, name: str, data: Mapping[str, Any]) -> None:
        if name == "plan":
            plan: Plan = data["plan"]
            for step in plan.steps:
                self.line(host, "plan", {"step": step.step.name, "changes": [change_members(change) for change in step.changes]})
        elif name == "step":
            result: StepResult = data["result"]
            error = None if result.error is None else error_members(result.error)
            self.line(host, "step", {"step": result.step.name, "result": result.result, "error": error})
        elif name in ("observed", "applied"):
            # The plan and the results of the steps have what matters of the states.
            self.line(host, name, {**data, "steps": list(data["steps"])})
        else:
            self.line(host, name, data)

    def error(self, host: str, error: LyncarrError) -> None:
        self.line(host, "error", {**error_members(error), "detail": error.detail})

    def finish(self, result: HostResult) -> None:
        if result.error is not None:
            self.error(result.host, result.error)
        members = host_line(result)
        self.line(result.host, "result", {**members, "exit_code": result.exit_code, "elapsed_s": round(result.elapsed_s, 1)})

    def line(self, host: str, name: str, data: Mapping[str, Any]) -> None:
        if self.lost is not None:
            return
        time = self._now().strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
        members = json.dumps({key: found for key, found in data.items() if key not in ("event", "host")}, default=_plain)
        try:
            self._stream.write(f"{time} {safe(host).replace(' ', '_')} {name} {members}\n")
            self._stream.flush()
        except OSError as error:
            self.lost = error

    def close(self) -> None:
        with suppress(OSError):
            self._stream.close()


def open_log(path: Path) -> LogReport:
    """Open `path` for appending; a new file gets mode 0600, and so does an existing one. Raises UsageError (exit code 64).

    A link, a device or a pipe is refused: a log that is read by something else could block a run.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    if is_reserved(path):
        raise _refused(path, "it is the name of a Windows device")
    try:
        if path.exists() and (path.is_symlink() or not stat.S_ISREG(path.stat().st_mode)):
            raise _refused(path, "it is not a regular file")
        number = os.open(path, flags, MODE)
    except OSError as error:
        raise _refused(path, error.strerror or str(error)) from None
    try:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            raise _refused(path, "it is not a regular file")
        if hasattr(os, "fchmod"):
            os.fchmod(number, MODE)
    except OSError as error:
        os.close(number)
        raise _refused(path, error.strerror or str(error)) from None
    except UsageError:
        os.close(number)
        raise
    return LogReport(os.fdopen(number, "a", encoding="utf-8"))


def _refused(path: Path, reason: str) -> UsageError:
    return UsageError(f"--log-file {quoted(path)} cannot be written: {reason}.", hint="Name a new file, or a log of an earlier run.")


def _plain(value: object) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    return safe(value)
