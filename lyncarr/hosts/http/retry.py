"""What is tried again, and for how long: connecting and reads, never a write whose fate is not known."""

from __future__ import annotations

import time
from collections.abc import Callable

from tenacity import RetryCallState, Retrying, retry_if_exception, retry_if_exception_type, stop_after_attempt, wait_fixed

from lyncarr.core.errors import LostConnectionError, UnreachableError
from lyncarr.core.model import Deadline

FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 4.0
ASKS = 3
ASK_PAUSE_S = 3.0
FIRST_ATTEMPTS = 4
"""To a host that was never there in this run, about two seconds: a wrong port refuses for ever, and a lost packet does not."""


class TransientError(UnreachableError):
    """No connection, and it may come: nothing of the message was carried out, so trying again is safe.

    `pause_s` is how long the host asked to wait; None leaves it to the policy below.
    """

    def __init__(self, message: str, *, detail: str | None = None, pause_s: float | None = None) -> None:
        super().__init__(message, detail=detail)
        self.pause_s = pause_s


class UnavailableError(TransientError):
    """503: the host is there, its service is not."""


class StaleConnectionError(TransientError):
    """The kept connection was closed while idle, seen before anything was sent: log on again and send at once."""

    def __init__(self) -> None:
        super().__init__("The connection was closed while it was idle.", pause_s=0.0)


def connecting(deadline: Deadline, sleep: Callable[[float], None] = time.sleep, *, known: bool = True) -> Retrying:
    """Tenacity's policy for connecting: TransientError is tried again until the next pause would pass `deadline`.

    A host that is not `known` to be there gets FIRST_ATTEMPTS, unless it says itself that its service comes (UnavailableError).

    The last error comes out as it is. RefusedError and UntrustedError are no TransientError: a second attempt after a
    refusal locks accounts.
    """
    return Retrying(
        retry=retry_if_exception_type(TransientError),
        wait=_pause,
        stop=lambda state: deadline.passed or _pause(state) >= deadline.left() or not (known or _hopeful(state)),
        sleep=sleep,
        reraise=True,
    )


def _hopeful(state: RetryCallState) -> bool:
    error = state.outcome.exception() if state.outcome else None
    return isinstance(error, UnavailableError) or state.attempt_number < FIRST_ATTEMPTS


def _pause(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = error.pause_s if isinstance(error, TransientError) else None
    if asked is not None and state.attempt_number == 1:
        return asked
    # From the second failure on never less than our own pause: a host that asks for 0 each time would be hammered.
    return max(asked or 0.0, min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** (state.attempt_number - 1)))


def asking(may_go_on: Callable[[], bool]) -> Retrying:
    """Tenacity's policy for a question that changes nothing: three times, some seconds apart, as long as `may_go_on` says so."""
    return Retrying(
        retry=retry_if_exception(lambda error: isinstance(error, LostConnectionError) and may_go_on()),
        wait=wait_fixed(ASK_PAUSE_S),
        stop=stop_after_attempt(ASKS),
        reraise=True,
    )
