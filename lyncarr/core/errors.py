"""Errors that people see, and the exit code of each. A message says what is wrong, a hint says what to do next."""

from __future__ import annotations

from dataclasses import dataclass

IN_PLACE = 0
STEP_FAILED = 1
PENDING = 2
REBOOT = 3
MISUSE = 64
BAD_INPUT = 65
UNREACHABLE = 69
FAULT = 70
BUSY = 75
PROTOCOL = 76
REFUSED = 77
OWN_CONFIGURATION = 78
INTERRUPTED = 130

EXIT_CODES = {
    IN_PLACE: "no changes pending; or the changes were applied and verified",
    STEP_FAILED: "a step failed",
    PENDING: "changes pending: a plan, a question answered with no, or a host that changed after the plan was shown. Nothing was written",
    REBOOT: "stopped for a restart of the host; the next run continues",
    MISUSE: "wrong command line, or no terminal and no `--yes`; no host was contacted",
    BAD_INPUT: "an error in the configuration file, a certificate or an installer file; no host was contacted",
    UNREACHABLE: "the host cannot be reached, or the connection was lost and could not be restored",
    FAULT: "an internal error of lyncarr",
    BUSY: "another run holds the host; the message names who and since when",
    PROTOCOL: "the host's answer does not follow the protocol, or cannot be trusted",
    REFUSED: "refused: logon, rights, the host's certificate, or a host that lyncarr does not support",
    OWN_CONFIGURATION: "a secret reference cannot be used",
    INTERRUPTED: "interrupted with Ctrl-C",
}
"""Exit code -> its meaning, as docs/output.md shows it."""


class LyncarrError(Exception):
    """A foreseen error.

    `message` is one sentence: what is wrong, where, and the value found unless it is secret. `hint` is the next command or action,
    "" where there is none; the lines after its first are to be copied (a command, a SHA-256). `str()` gives the message
    alone. `code` is a stable word for JSON, `exit_code` the exit code of the process. `detail` is the technical cause, shown with
    --verbose only; it never holds a secret.
    """

    code = "error"
    exit_code = STEP_FAILED

    def __init__(self, message: str, *, hint: str = "", detail: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.detail = detail


class UsageError(LyncarrError):
    """The command line is wrong."""

    code = "usage"
    exit_code = MISUSE


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with the configuration file, or with a file that it names.

    `location` is the file, with the line where it is known: "lyncarr.toml:14" or "lyncarr.toml:14:8", "" where the message names the
    file. `message` is one sentence. `hint` is the next action, "" where there is none; lines after its first are to be copied.
    """

    location: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.location}: {self.message}" if self.location else self.message


class SiteError(LyncarrError):
    """The configuration file, a certificate or an installer file is not usable.

    `problems` has all that is wrong, at least one. `message` has one line for each, `hint` is that of the first problem that has one.
    """

    code = "site"
    exit_code = BAD_INPUT

    def __init__(self, *problems: Problem | str, hint: str = "", detail: str | None = None) -> None:
        self.problems = tuple(Problem("", problem, hint) if isinstance(problem, str) else problem for problem in problems)
        hints = (problem.hint for problem in self.problems if problem.hint)
        super().__init__("\n".join(map(str, self.problems)), hint=next(hints, ""), detail=detail)


class ConfigurationError(LyncarrError):
    """A secret reference cannot be used."""

    code = "configuration"
    exit_code = OWN_CONFIGURATION


class UnreachableError(LyncarrError):
    """There is no connection, it was lost, or the host did not answer in time."""

    code = "unreachable"
    exit_code = UNREACHABLE


class LostConnectionError(UnreachableError):
    """The connection ended during a request; whether the host carried out the request is unknown."""

    code = "lost"


class BusyError(LyncarrError):
    """Another run holds the host."""

    code = "busy"
    exit_code = BUSY


class ProtocolError(LyncarrError):
    """The host's answer does not follow the protocol, or cannot be trusted."""

    code = "protocol"
    exit_code = PROTOCOL


class RefusedError(LyncarrError):
    """The host refused the logon or the rights, or lyncarr does not support the host."""

    code = "refused"
    exit_code = REFUSED


class UntrustedError(RefusedError):
    """The host's certificate is expired, untrusted, has another name, or is not the pinned one. No HTTP request was sent."""

    code = "untrusted"


class UnfitError(RefusedError):
    """The host reports that it does not support what a step requires; `step` names the step."""

    code = "unfit"

    def __init__(self, message: str, *, hint: str = "", step: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.step = step


class FaultError(LyncarrError):
    """An unforeseen exception in lyncarr itself. `__cause__` is that exception; its traceback is shown."""

    code = "fault"
    exit_code = FAULT

    def __init__(self, cause: Exception) -> None:
        kind = type(cause).__name__
        super().__init__(
            f"lyncarr failed with an internal error ({kind}).",
            hint="Report this error with the lines above. To see the state of the host, run lyncarr plan.",
        )
        self.__cause__ = cause


class StepFailedError(LyncarrError):
    """A step could not be applied, or the host did not have the desired state afterwards.

    `step` names the step where the host reported it, `kind` is one of the contract's failure kinds.
    """

    code = "failed"
    exit_code = STEP_FAILED

    def __init__(
        self, message: str, *, hint: str = "", step: str | None = None, kind: str | None = None, detail: str | None = None
    ) -> None:
        super().__init__(message, hint=hint, detail=detail)
        self.step = step
        self.kind = kind
