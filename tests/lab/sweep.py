"""One fault at one message of one run, what became of it, and what must be true of that: see docs/faults.md.

The mechanics are the same on every engine. A Ground is a machine behind the wire that can be put back to where an operation begins.
"""

from __future__ import annotations

import contextlib
import html
import re
import signal
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

from lyncarr.core import converge
from lyncarr.hosts.http import transport
from lyncarr.hosts.shell import RemoteShell
from lyncarr.lab.site import write_site
from lyncarr.lab.wire.connection import RequestRecord
from lyncarr.lab.wire.faults import At
from lyncarr.lab.wire.wsman import CMD_RESOURCE, NAMESPACES, Message, decode
from lyncarr.powershell.lines import RUN
from lyncarr.steps import STAGES
from tests.lab.console import Bench, Done
from tests.patience import HANG_S

Operation = Literal["plan", "farms", "install"]

WORDS: dict[Operation, tuple[str, ...]] = {"plan": ("plan",), "farms": ("provision", "--yes"), "install": ("provision", "--yes")}
"""`farms` has one unit to write, `install` all of them, with packages and a certificate."""
FARM_STEPS = tuple(step.name for step in STAGES[-1].steps)
READS = ("Receive", "Delete")
"""Messages that may be sent again."""
IDLE_S = 0.2
"""The idle time-out from the controller's end on, in the place of what is left of a minute: short enough to end a write in the middle."""
GRACE_S = HANG_S
"""Beyond the idle timeout, until a shell without a controller must be gone. On a quiet machine it is gone at once; but its process has
to be ended, and where Create was under way also begun, which takes a PowerShell on Wine some seconds, and more on a busy machine."""
SECOND_PRESS_S = 0.15
KILLED = -signal.SIGKILL
HEAD = re.compile(r'"run":"([^"]+)","operation":"(\w+)","lock":(true|false),"steps":\[')
STEP = re.compile(r'"name":"([\w-]+)","desired":')
PIECE = re.compile(r'"file":"([^"]+)","offset":(\d+),')


@dataclass(frozen=True)
class Fault:
    """`knob` is the field of the lab's Faults that gets the message's number; `signals` go to the controller's process."""

    name: str
    knob: str | None = None
    signals: tuple[signal.Signals, ...] = ()
    carried_out: bool = True
    """Whether the host does what the message asks for."""
    answered: bool = False
    """Whether the controller learns it."""


FAULTS = (
    Fault("reset before", "cut_request", carried_out=False),
    Fault("reset after", "cut_answer"),
    Fault("torn answer", "torn"),
    Fault("closed after", "cut_after", answered=True),
    Fault("503", "unavailable_at", carried_out=False),
    Fault("stall", "stall"),
    Fault("Ctrl-C", signals=(signal.SIGINT,), answered=True),
    Fault("Ctrl-C twice", signals=(signal.SIGINT, signal.SIGINT)),
    Fault("killed", signals=(signal.SIGKILL,)),
)


def by_name(name: str) -> Fault:
    return next(fault for fault in FAULTS if fault.name == name)


@dataclass(frozen=True)
class Sent:
    """A request of the contract as it stood in a Command, or over WinRS in a Send: what it asks for, and of an upload which piece."""

    run: str
    operation: str
    lock: bool
    steps: tuple[str, ...]
    piece: tuple[str, int] | None = None

    @property
    def writes(self) -> bool:
        return self.operation != "observe"

    def __str__(self) -> str:
        return f"{self.operation} {'/'.join(map(str, self.piece)) if self.piece else '+'.join(self.steps)}"


@dataclass(frozen=True)
class Arrival:
    """A message that reached the host, counted from 1 in its run; `sent` where a request begins in it, `last` where none goes on."""

    index: int
    action: str
    sent: Sent | None
    last: bool = True

    def __str__(self) -> str:
        return f"{self.action} ({self.sent})" if self.sent and self.sent.writes else self.action


def arrival_of(index: int, action: str, message: Message) -> Arrival:
    """Over PSRP a request is in a Command, and its secrets in a Send, which is not looked at; over WinRS it is in one Send or several."""
    if message.resource_uri == CMD_RESOURCE:
        given = decode(message.body.findtext("rsp:Send/rsp:Stream", "", NAMESPACES)).decode("utf-8", "replace")
        return Arrival(index, action, _request(given), action != "Send" or given.endswith(f"\n{RUN}\n"))
    arguments = message.body.findtext("rsp:CommandLine/rsp:Arguments", None, NAMESPACES)
    if arguments is None:
        return Arrival(index, action, None)
    sent = _request(html.unescape(decode(arguments).decode("utf-8", "replace")))
    assert sent is not None, "a Command without a request"
    return Arrival(index, action, sent)


def _request(text: str) -> Sent | None:
    head = HEAD.search(text)
    if head is None:
        return None
    piece = PIECE.search(text, head.end())
    return Sent(
        head[1],
        head[2],
        head[3] == "true",
        tuple(STEP.findall(text, head.end())),
        (piece[1], int(piece[2])) if piece and head[2] == "upload" else None,
    )


class Ground(Bench):
    """A Bench that begins each run at the same place, and knows what must never be seen on its machine."""

    operation: Operation = "plan"
    engine_name = "replay"

    def begin(self) -> None:
        """Put the machine to where the operation begins; no shell is open then."""
        raise NotImplementedError

    def seen(self) -> list[str]:
        """What is wrong on the machine after a run, however it ended. It may look while the run is under way."""
        raise NotImplementedError

    def settled(self, first: int) -> list[str]:
        """What is wrong on the machine once a second run has ended well; `first` is the exit code of the first."""
        raise NotImplementedError

    def watch(self) -> contextlib.AbstractContextManager[list[str]]:
        """Look at the machine while something runs; the list gets what was wrong at any moment."""
        return contextlib.nullcontext([])


@dataclass
class ReplayGround(Ground):
    """Stored states. `materials` is a folder that write_site has filled, for `install`."""

    operation: Operation = "plan"
    materials: Path | None = None

    def __post_init__(self) -> None:
        self.faults.retry_after_s = 0
        if self.materials is not None:
            self.farms = link_site(self.materials, self.folder)

    def begin(self) -> None:
        self.machine.exchanges.clear()
        if self.operation == "install":
            self.machine.states = {}
        else:
            self.finish()
            for name in FARM_STEPS:
                self.machine.states[name] = {}

    def seen(self) -> list[str]:
        rules = self.machine.states.get("ssl-offload", {}).get("rules", {}).get("order", [])
        bound = self.machine.states.get("host-conditions", {})
        carried_out = Counter(
            (exchange.request["run"], tuple(step["name"] for step in exchange.request["steps"]))
            for exchange in self.machine.exchanges
            if exchange.request["operation"] == "apply"
        )
        return [f"rule {name} without its host condition" for name in rules if name not in bound] + [
            f"{'+'.join(steps)} was applied {count} times in one run" for (_, steps), count in carried_out.items() if count > 1
        ]

    def settled(self, first: int) -> list[str]:
        return [] if self.machine.holder is None else ["the lock is held"]


def make_materials(folder: Path) -> Path:
    """The lab's own site, with keys, certificates and packages: they take a second to make."""
    write_site(folder, host="rp01", address="127.0.0.1", port=1, user="x", password="x", authority=b"")
    return folder


def link_site(materials: Path, folder: Path) -> str:
    """Bring the site of `materials` into `folder`; returns the tables of its site file, without the host's."""
    for part in ("certs", "media"):
        (folder / part).symlink_to(materials / part)
    text = (materials / "lyncarr.toml").read_text(encoding="utf-8")
    return text[text.index("[certificates]") :]


@contextlib.contextmanager
def hurried(*, operation_s: int = 1, grace_s: float = 1.0) -> Iterator[None]:
    """The waits of a run in this process, made as short as a host on loopback allows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(converge, "LOCK_POLL_S", 0.05)
        patch.setattr(transport, "GRACE_S", grace_s)
        defaults = RemoteShell.__init__.__kwdefaults__
        assert defaults is not None
        patch.setitem(defaults, "operation_timeout_s", operation_s)
        yield


@dataclass(frozen=True)
class Outcome:
    """What became of one run and of the one after it."""

    engine: str
    transport: str
    operation: Operation
    fault: Fault | None
    hit: Arrival | None
    """The message that met the fault; None where the run ended before."""
    code: int
    word: str
    steps: dict[str, str]
    """Step -> its result, empty where the controller was killed."""
    drifted: frozenset[str]
    """Steps that the report has changes of."""
    arrivals: tuple[Arrival, ...]
    wrong: tuple[str, ...]
    """What was wrong on the machine."""
    freed_s: float
    """How long a shell stayed open after the controller's end."""
    again: int
    again_word: str
    redone: frozenset[str]
    """Steps that the next run found drifted."""

    @property
    def writes(self) -> list[Sent]:
        return [arrival.sent for arrival in self.arrivals if arrival.sent is not None and arrival.sent.writes]


class Tap:
    """Listens to the messages of one run, and strikes once, when the one that is meant has arrived and before it is carried out."""

    def __init__(self, ground: Ground, fault: Fault | None, at: int | str) -> None:
        self._lab = ground.lab
        self._first = ground.lab.message_count
        self._fault = fault
        self._at = at
        self.process: Any = None
        self.arrivals: list[Arrival] = []
        self.hit: Arrival | None = None

    def __enter__(self) -> Tap:
        self._lab.on_message = self._arrived
        return self

    def __exit__(self, *exc: object) -> None:
        self._lab.on_message = lambda record, message: None
        if self._fault is not None and self._fault.knob is not None:
            setattr(self._lab.faults, self._fault.knob, None)

    def _arrived(self, record: RequestRecord, message: Message) -> None:
        assert record.message is not None
        arrival = arrival_of(record.message - self._first, str(record.action), message)
        self.arrivals.append(arrival)
        if self._fault is None or self.hit is not None or self._at not in (arrival.index, str(arrival)):
            return
        self.hit = arrival
        if self._fault.knob is not None:
            setattr(self._lab.faults, self._fault.knob, At(record.message))
        for press, number in enumerate(self._fault.signals):
            if press:
                time.sleep(SECOND_PRESS_S)
            self.process.send_signal(number)


def strike(ground: Ground, fault: Fault | None = None, at: int | str = 0) -> Outcome:
    """Run the ground's operation with the fault at one message, and then `provision` without one.

    `at` is the message's number from 1, or its text as Arrival has it: then the first that has it.
    """
    ground.begin()
    words = WORDS[ground.operation]
    with ground.watch() as wrong, Tap(ground, fault, at) as tap:
        if fault is not None and fault.signals:
            tap.process = ground.start(*words, "--output", "json")
            out, err = tap.process.communicate(timeout=180)
            # A press after the report finds a Python that is going already. A shell calls both 130.
            code = 130 if tap.process.returncode == -signal.SIGINT else tap.process.returncode
            done = Done(code, out, err).quiet()
        else:
            done = ground.here(*words)
        freed_s = _freed(ground)
        # After the shell's end: until then its pipeline may write.
        wrong.extend(ground.seen())
    again = ground.here("provision", "--yes")
    host: dict[str, Any] = {"result": "killed", "steps": []} if done.code == KILLED else done.host
    return Outcome(
        engine=ground.engine_name,
        transport=ground.transport,
        operation=ground.operation,
        fault=fault,
        hit=tap.hit,
        code=done.code,
        word=host["result"],
        steps={step["step"]: step["result"] for step in host["steps"]},
        drifted=frozenset(step["step"] for step in host["steps"] if step["changes"]),
        arrivals=tuple(tap.arrivals),
        wrong=(*wrong, *ground.seen(), *ground.settled(done.code)),
        freed_s=freed_s,
        again=again.code,
        again_word=again.host["result"],
        redone=frozenset(step["step"] for step in again.host["steps"] if step["changes"]),
    )


def _freed(ground: Ground) -> float:
    """Wait until no shell is open, and with it no lock held; seconds."""
    begun = time.monotonic()
    while ground.lab.shells.open_shells and time.monotonic() - begun < 2 * (IDLE_S + GRACE_S):
        # Again and again: the shell of a Create whose client is gone may be made only now.
        ground.lab.shells.hurry(IDLE_S)
        time.sleep(0.02)
    return time.monotonic() - begun


def allowed_codes(outcome: Outcome) -> set[int]:
    """Which exit codes are right."""
    fault, hit = outcome.fault, outcome.hit
    well = 2 if outcome.operation == "plan" else 0
    if fault is None or hit is None:
        return {well}
    if fault.signals:
        return {KILLED if signal.SIGKILL in fault.signals else 130}
    if fault.answered or hit.action in READS:
        return {well}
    if hit.action == "Create":
        # 503: nothing was begun, so it is tried again.
        return {well if fault.knob == "unavailable_at" else 69}
    if not fault.carried_out:
        return {69}
    if outcome.transport == "winrs":
        # The start of the bootstrap has no id before its answer comes. A request that is not whole is not begun; of a whole one the
        # output is received all the same.
        return {well} if hit.action == "Send" and hit.last else {69}
    if hit.sent is None or (hit.sent.writes and "certificate" in hit.sent.steps):
        # Secrets follow in a message of their own, so that it is not known how much of the request has arrived. The shell is ended, and
        # what is seen then is either the write done, or not.
        return {0, 69}
    # The output is received all the same.
    return {well}


RESULTS = {0: {"applied", "in-place"}, 2: {"pending"}, 69: {"unreachable"}, 130: {"interrupted"}, KILLED: {"killed"}}


def broken(outcome: Outcome) -> list[str]:
    """All that must be true of a run with a fault and of the next one; returns what is not."""
    found = list(outcome.wrong)
    if outcome.code not in allowed_codes(outcome):
        found.append(f"exit code {outcome.code}, not {' or '.join(map(str, sorted(allowed_codes(outcome))))}")
    if outcome.word not in RESULTS.get(outcome.code, set()):
        found.append(f"exit code {outcome.code} is called {outcome.word}")
    twice = [str(sent) for sent, count in Counter(outcome.writes).items() if count > 1]
    found += [f"sent twice: {name}" for name in twice]
    if outcome.operation == "plan" and any(arrival.sent and (arrival.sent.writes or arrival.sent.lock) for arrival in outcome.arrivals):
        found.append("a plan wrote, or took the lock")
    if outcome.freed_s > IDLE_S + GRACE_S:
        found.append(f"a shell stayed for {outcome.freed_s:.1f} s")
    if outcome.again != 0:
        found.append(f"the next run ended with {outcome.again} ({outcome.again_word})")
    found += [f"{step}: {what}" for step, what in _untrue(outcome)]
    return found


def _untrue(outcome: Outcome) -> Iterator[tuple[str, str]]:
    """Steps of which the report said what the next run did not find."""
    tried = {step for sent in outcome.writes for step in sent.steps}
    for step, word in outcome.steps.items():
        if word in ("applied", "in-place") and step in outcome.redone:
            yield step, f"was called {word}, and the next run found it drifted"
        elif word == "applied" and step not in tried:
            yield step, "was called applied without a write"
        elif word == "skipped" and step in tried and outcome.drifted:
            yield step, "was called skipped, and it was written"
        elif word == "unknown" and outcome.code not in (69, 130):
            yield step, f"is unknown after exit code {outcome.code}"
        elif word == "failed" and step not in outcome.redone:
            yield step, "was called failed, and the next run found it in place"
        elif word in ("pending", "skipped") and step in outcome.drifted and step not in outcome.redone:
            yield step, f"was called {word}, and the next run found it in place"
