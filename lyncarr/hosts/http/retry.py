"""What is sent again, and for how long: connection attempts and reads, never a write whose result is unknown."""

from __future__ import annotations

from collections.abc import Callable

from tenacity import RetryCallState, Retrying, retry_if_exception, retry_if_exception_type, stop_after_attempt, wait_fixed

from lyncarr.core import waits
from lyncarr.core.errors import LostConnectionError, UnreachableError
from lyncarr.core.model import Deadline

FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 4.0
ASKS = 3
ASK_PAUSE_S = 3.0
FIRST_ATTEMPTS = 4
"""For a host that has not answered in this run, about 2 seconds: a wrong port always refuses, a lost packet is an exception."""


class TransientError(UnreachableError):
    """There is no connection, but a later attempt may succeed. The host did not act on the message, so sending it again is safe.

    `pause_s` is the pause in seconds that the host requested; None leaves it to the policy below.
    """

    def __init__(self, message: str, *, hint: str = "", detail: str | None = None, pause_s: float | None = None) -> None:
        super().__init__(message, hint=hint, detail=detail)
        self.pause_s = pause_s


class UnavailableError(TransientError):
    """HTTP 503: the host answers, but its service is not available."""


class StaleConnectionError(TransientError):
    """The kept connection was closed while idle. Nothing was sent yet, so lyncarr logs on again and sends at once."""

    def __init__(self) -> None:
        super().__init__("The connection was closed while it was idle.", hint="Run the command again.", pause_s=0.0)


def connecting(deadline: Deadline, sleep: Callable[[float], None] = waits.sleep, *, known: bool = True) -> Retrying:
    """Tenacity's policy for connecting: after a TransientError try again, until the next pause would pass `deadline`.

    `known` is whether the host has answered in this run. One that has not gets FIRST_ATTEMPTS attempts, or more where it reports
    itself that its service is not available yet (UnavailableError).

    Raises the last error unchanged. RefusedError and UntrustedError are not TransientError: a second attempt after a refusal could
    lock the account.
    """
    return Retrying(
        retry=retry_if_exception_type(TransientError),
        wait=_pause,
        stop=lambda state: deadline.passed or _pause(state) >= deadline.left() or not (known or _worth_retrying(state)),
        sleep=sleep,
        reraise=True,
    )


def _worth_retrying(state: RetryCallState) -> bool:
    error = state.outcome.exception() if state.outcome else None
    return isinstance(error, UnavailableError) or state.attempt_number < FIRST_ATTEMPTS


def _pause(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = error.pause_s if isinstance(error, TransientError) else None
    if asked is not None and state.attempt_number == 1:
        return asked
    # From the second failure on, never less than our own pause: a host may request 0 seconds each time.
    return max(asked or 0.0, min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** (state.attempt_number - 1)))


def asking(may_go_on: Callable[[], bool]) -> Retrying:
    """Tenacity's policy for a query that changes nothing: ASKS attempts, ASK_PAUSE_S apart, as long as `may_go_on` returns True."""
    return Retrying(
        retry=retry_if_exception(lambda error: isinstance(error, LostConnectionError) and may_go_on()),
        wait=wait_fixed(ASK_PAUSE_S),
        sleep=waits.sleep,
        stop=stop_after_attempt(ASKS),
        reraise=True,
    )
