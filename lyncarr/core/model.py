"""The types that all other modules share: states, changes, steps, stages, requests, events, secrets, shells.

Plain data and protocols, no I/O. The contract with the script on the host is in docs/contract.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

Value: TypeAlias = "bool | int | str | tuple[str, ...]"
Attributes: TypeAlias = Mapping[str, Value]
State: TypeAlias = Mapping[str, Attributes]
"""item -> attribute -> value. An item that does not exist is absent. Only attributes that lyncarr manages appear."""


@dataclass(frozen=True)
class Change:
    """One difference between the observed and the desired state.

    `attribute` None means a new item: `before` is None and `after` maps its attributes to values.
    Otherwise `before` is the observed value, None where the host reported none, and `after` the desired value.
    """

    item: str
    attribute: str | None
    before: Value | None
    after: Value | Attributes


class Secret:
    """A value that only `reveal()` returns; every other use shows ***.

    `reveal` may be called in hosts/ and materials/certificates.py only; a test greps for it.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> Any:
        raise TypeError("a Secret is not to be pickled or copied into a file")


@dataclass(frozen=True)
class Attribute:
    """How reports show one attribute of a step's items.

    `label` is its name for people ("timeout"), `unit` follows a number ("s"), `true` and `false` are the words for a boolean.
    `quiet` is the value that means "nothing is wrong" (such as an empty list of extra rules): reports do not show it for a new item.
    `entry` is the word for one entry of a list ("server") where an entry that the list loses is something that lyncarr removes from the
    host: reports show each as a removal. It stays empty where losing an entry removes nothing (missing features, an order).
    """

    label: str
    unit: str = ""
    true: str = "yes"
    false: str = "no"
    quiet: Value | None = None
    entry: str = ""


class Step:
    """Declaration of one step. What lyncarr does with a step is derived from its declaration.

    Class attributes: `name` ("proxy-timeout"), `noun` (its functions on the host are Get-<noun>State and Set-<noun>State) and `snippet`
    (its file in ps_snippets/). The texts for people are in lyncarr/steps/texts/<name>.md.
    """

    name: str
    noun: str
    snippet: str
    attributes: Mapping[str, Attribute] = {}
    """Every attribute that `desired` may hold, by its name."""
    unit: str | None = None
    """Steps of one stage with the same value are selected together and written in one transaction."""
    restarts_iis: bool = False
    """A change of this step requires one iisreset /noforce; the plan shows that."""
    unfixable: frozenset[tuple[str, str]] = frozenset()
    """(item, attribute) pairs that lyncarr cannot fix: drift in one of them fails the step before any write."""

    def desired(self, site: Any) -> State:
        """The desired state of this step for `site`. Must not need the host.

        `site` is what the steps are declared for (materials.prepare.Prepared); core does not know that type, and the declarations name it.
        """
        raise NotImplementedError

    def parameters(self, site: Any) -> Mapping[str, Any]:
        """What the host needs to apply the state besides the state, such as installer sources and hashes: data for JSON, no secrets."""
        return {}

    def secrets(self, site: Any, build: int) -> Mapping[str, Secret]:
        """The secrets that applying needs, by name, in the form that the Windows build (such as 9600) supports."""
        return {}

    def files(self, site: Any, items: frozenset[str]) -> Mapping[str, Any]:
        """The files that the host needs before applying, by their name in the snippet. `items` are the items that differ.

        The values are of materials/installers.py; materials/upload.py reads them.
        """
        return {}


@dataclass(frozen=True)
class Stage:
    """A group of steps. With `transaction` all its writes are one commit of the IIS configuration."""

    name: str
    steps: tuple[Step, ...]
    transaction: bool = False
    fresh_shell_after: bool = False
    may_reboot: bool = False


@dataclass(frozen=True)
class StepRequest:
    """One step inside a request: its name, its desired state and the parameters that applying needs."""

    name: str
    desired: State
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    """One request to the script on the host."""

    run: str
    operation: str
    steps: tuple[StepRequest, ...] = ()
    lock: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Event:
    """One event of the script on the host, checked by powershell/protocol.py. `data` has its other members."""

    name: str
    data: Mapping[str, Any]


class Deadline:
    """A point in monotonic time, `seconds` after its construction. A changed wall clock does not move it."""

    __slots__ = ("_end", "seconds")

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self._end = clock() + seconds

    def left(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self._end - time.monotonic())

    @property
    def passed(self) -> bool:
        return self.left() <= 0.0


class Shell(Protocol):
    """One remote shell on one machine, a context manager. After an error or interrupt() it is only good for closing."""

    def __enter__(self) -> Shell: ...

    def __exit__(self, *exc: object) -> None: ...

    def request(self, request: Request, on_event: Callable[[Event], None], deadline: Deadline, secrets: Mapping[str, Secret] = ...) -> None:
        """Send one request, call `on_event` for each event as it arrives, return when its `done` was seen.

        The first request carries the script. Raises the errors of core/errors.py, never a library's own.
        """

    def interrupt(self) -> None:
        """Stop what runs. May be called from a signal handler's thread or from on_event."""
