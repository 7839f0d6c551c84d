"""Errors that people see, and the exit code of each. A message says what is wrong, a hint says what to do next."""

from __future__ import annotations

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
    IN_PLACE: "in place; or applied, and seen in place",
    STEP_FAILED: "a step failed",
    PENDING: "changes pending: a plan, an answered no, or the host changed since the plan was shown (nothing written)",
    REBOOT: "stopped for a restart of the host; the next run goes on",
    MISUSE: "misuse: the command line, or no terminal and no `--yes`; nothing was contacted",
    BAD_INPUT: "the site file, a certificate or an installer file is bad; nothing was contacted",
    UNREACHABLE: "the host cannot be reached, or the connection was lost for good",
    FAULT: "a fault in lyncarr itself",
    BUSY: "another run holds the host: who, and since when",
    PROTOCOL: "the host answered something that is not this protocol, or that cannot be trusted",
    REFUSED: "refused: authentication, rights, its certificate, or a host that is not fit",
    OWN_CONFIGURATION: "a secret reference cannot be used",
    INTERRUPTED: "Ctrl-C",
}
"""Exit code -> what it means, as docs/output.md tells it."""


class LyncarrError(Exception):
    """A foreseen error.

    `message` is one sentence: what is wrong, where, and the value found unless it is secret. `hint` is the next command or action,
    "" where there is none. `str()` gives the message alone. `code` is a stable word for JSON, `exit_code` the exit code of the process.
    `detail` is the technical cause, shown with --verbose only; it never holds a secret.
    """

    code = "error"
    exit_code = STEP_FAILED

    def __init__(self, message: str, *, hint: str = "", detail: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.detail = detail


class UsageError(LyncarrError):
    """The command line cannot be carried out as typed."""

    code = "usage"
    exit_code = MISUSE


class SiteError(LyncarrError):
    """The site file, a certificate or an installer file is not usable."""

    code = "site"
    exit_code = BAD_INPUT


class ConfigurationError(LyncarrError):
    """This tool's own configuration: an unusable secret reference."""

    code = "configuration"
    exit_code = OWN_CONFIGURATION


class UnreachableError(LyncarrError):
    """No connection, or it was lost, or the host did not answer in time."""

    code = "unreachable"
    exit_code = UNREACHABLE


class LostConnectionError(UnreachableError):
    """The connection ended while a request was under way; whether the host carried it out is not known."""

    code = "lost"


class BusyError(LyncarrError):
    """Another run holds the host."""

    code = "busy"
    exit_code = BUSY


class ProtocolError(LyncarrError):
    """The host answered something that is not this protocol, or that cannot be trusted."""

    code = "protocol"
    exit_code = PROTOCOL


class RefusedError(LyncarrError):
    """Authentication, rights, or a host that is not fit for this tool."""

    code = "refused"
    exit_code = REFUSED


class UntrustedError(RefusedError):
    """The host's certificate is expired, of another name, untrusted, or not the pinned one: no HTTP request was sent."""

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
            hint="Report it with the lines above. Run the command again to see the state of the host.",
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
