"""The machine that the replay engine simulates: stored states, the contract's answers over them, and its faults.

Nothing here knows a step: what each step does is in steps.py. The contract is in docs/contract.md.
"""

from __future__ import annotations

import copy
import difflib
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lyncarr.core.errors import SiteError, UsageError
from lyncarr.lab.replay import steps
from lyncarr.lab.replay.failure import Failed
from lyncarr.lab.replay.server import Request

PRESETS = Path(__file__).parent / "presets"
MAX_ATTEMPTS = 5

JsonState = dict[str, dict[str, Any]]
Wait = Callable[[float], None]


@dataclass
class MachineFaults:
    """Nothing is wrong by default; may be changed while the machine runs."""

    lying: frozenset[str] = frozenset()
    """Steps whose setter changes nothing and reports no error."""
    fail: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Step -> (kind, text): applying it fails, and nothing of its unit is kept."""
    locked: bool = False
    """The configuration file cannot be written."""
    changed_on_disk: int = 0
    """So many attempts to write lose the race for the file; five or more lose it for good."""
    reboot_after: frozenset[str] = frozenset()
    """Steps that need a restart once they are applied."""
    pause_s: float = 0.0
    """How long applying takes; a stop ends it at once, with nothing kept."""
    rewrite: Callable[[list[str]], list[Any]] | None = None
    """Maps the lines of each output object to the objects to put out instead."""


@dataclass
class Holder:
    """The holder of the machine's lock. `shell` None: a run outside this lab."""

    who: str
    since: str
    shell: str | None = None

    def __str__(self) -> str:
        return f"held by {self.who} since {self.since}"


@dataclass
class Exchange:
    """One request that reached the machine, and the names of the secrets that came with it."""

    request: dict[str, Any]
    secrets: tuple[str, ...]


@dataclass
class Machine:
    """What one simulated machine is and has: `states` by step name, as the contract's `observed` says them.

    Notes are tables with step (or None), kind, text and perhaps item, added to each look.

    With `knows_steps` it answers as the script does: each step has prerequisites, and answers for what is in its request. Without it is
    a plain store, which takes any state of any step; tests of the wire need no more.
    """

    knows_steps: bool = False

    computer: str = "RP01"
    os: str = "Windows Server 2012 R2 Standard"
    build: int = 9600
    powershell: str = "4.0"
    bits: int = 64
    elevated: bool = True
    booted: str = "2026-11-20T06:00:00Z"
    pending_reboot: bool = False
    shared_configuration: bool = False
    states: dict[str, JsonState] = field(default_factory=dict)
    notes: list[dict[str, Any]] = field(default_factory=list)
    holder: Holder | None = None
    faults: MachineFaults = field(default_factory=MachineFaults)
    exchanges: list[Exchange] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lock = threading.RLock()
        self._backups: set[str] = set()
        self._store: Path | None = None

    def keep_in(self, store: Path) -> None:
        """Keep the states in a JSON file: it is read before each look and written after each change.

        A person can change a value with an editor while the lab runs.
        """
        self._store = store
        self._save()

    def fill(self, marks: Mapping[str, str]) -> None:
        """Put values into a recorded state, in names and values alike: mark -> text."""
        with self._lock:
            text = json.dumps(self.states)
            for mark, value in marks.items():
                text = text.replace(mark, value)
            self.states = json.loads(text)
            self._save()

    def hello(self, run: str) -> dict[str, Any]:
        return {
            "event": "hello",
            "protocol": 1,
            "run": run,
            "computer": self.computer,
            "os": self.os,
            "build": self.build,
            "powershell": self.powershell,
            "bits": self.bits,
            "elevated": self.elevated,
            "booted": self.booted,
            "pending_reboot": self.pending_reboot,
            "shared_configuration": self.shared_configuration,
        }

    def restart(self) -> None:
        """What a person does after `reboot` was asked for."""
        self.pending_reboot = False

    def release(self, shell: str) -> None:
        """A shell has gone, and its lock with it."""
        with self._lock:
            if self.holder is not None and self.holder.shell == shell:
                self.holder = None

    def answer(self, text: str, secrets: str | None, shell: str, first: bool, wait: Wait) -> Iterator[tuple[list[str], bool]]:
        """The events of one request as bursts of lines, and whether a burst is the last; one is one output object.

        `secrets` is the pipeline's input. `wait` is called for what takes long, and raises to stop.
        """
        count = 0
        held: list[str] = []
        try:
            request = json.loads(text)
            with self._lock:
                self.exchanges.append(Exchange(request, tuple(sorted(json.loads(secrets) if secrets else {}))))
            for event in self._events(request, shell, first, wait):
                if event is None:  # something slow comes: what is held goes out first
                    yield held, False
                    held = []
                    continue
                count += 1
                held.append(_line(event))
        except Failed as error:
            count += 1
            held.append(_line({"event": "failed", "step": error.step, "kind": error.kind, "text": str(error), "hint": error.hint}))
        except (ValueError, KeyError, TypeError) as error:
            count += 1
            text = f"{type(error).__name__}: {error}"
            held.append(_line({"event": "failed", "step": None, "kind": "error", "text": text, "hint": ""}))
        held.append(_line({"event": "done", "count": count}))
        yield held, True

    def _events(self, request: dict[str, Any], shell: str, first: bool, wait: Wait) -> Iterator[dict[str, Any] | None]:
        if first:
            yield self.hello(request["run"])
        if request["lock"]:
            self._take_lock(request, shell)
        if request["operation"] == "observe":
            if not request["lock"] and self.holder is not None:
                yield {"event": "note", "step": None, "kind": "holder", "item": None, "text": f"the host is {self.holder}"}
            yield from self._observe(request)
        elif request["operation"] == "apply":
            yield from self._apply(request, shell, wait)
        elif request["operation"] == "upload":
            self._upload(shell)
        else:
            raise Failed("error", f"unknown operation '{request['operation']}'")

    def _take_lock(self, request: dict[str, Any], shell: str) -> None:
        with self._lock:
            if self.holder is None:
                self.holder = Holder(str(request.get("who", "another run")), self.booted, shell)
            elif self.holder.shell != shell:
                raise Failed("busy", str(self.holder), hint="Wait until that run ends, then run the command again.")

    def _observe(self, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        asked = [step["name"] for step in request["steps"]]
        for note in self.notes:
            if note["step"] is None or note["step"] in asked:
                yield {"event": "note", "item": None, **note}
        yield from self._seen(request, lambda states: {"event": "observed", "steps": states})

    def _seen(self, request: dict[str, Any], event: Callable[[dict[str, JsonState]], dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """The notes about the states of all steps of the request, then the event that holds them."""
        found: dict[str, JsonState] = {}
        notes: list[dict[str, Any]] = []
        with self._lock:
            self._load()
            states = copy.deepcopy(self.states)
        for step in request["steps"]:
            name = step["name"]
            if self.knows_steps:
                asked = _asked(step, request, states)
                with _blamed(name):
                    found[name] = steps.observe(name, asked)
                notes += _notes(name, asked)
            else:
                found[name] = states.get(name, {})
        yield from notes
        yield event(found)

    def _upload(self, shell: str) -> None:
        if not self.knows_steps:
            return
        if self.holder is None or self.holder.shell != shell:
            raise Failed("error", "the request upload came without the lock", hint="Send observe with the lock first.")
        with self._lock:
            self._load()
            Request(copy.deepcopy(self.states), {}, {}, ()).need_iis()

    def _apply(self, request: dict[str, Any], shell: str, wait: Wait) -> Iterator[dict[str, Any] | None]:
        if self.holder is None or self.holder.shell != shell:
            raise Failed("error", "the request apply came without the lock", hint="Send observe with the lock first.")
        names = [step["name"] for step in request["steps"]]
        with self._lock:
            self._load()
            states = copy.deepcopy(self.states)
        for step in request["steps"]:
            name = step["name"]
            yield {"event": "applying", "step": name}
            if name in self.faults.fail:
                kind, text = self.faults.fail[name]
                raise Failed(kind, text, name)
            if name not in self.faults.lying:
                self._set(step, request, states)
        if self.faults.pause_s:
            yield None
            wait(self.faults.pause_s)
        if self.faults.locked or self.faults.changed_on_disk >= MAX_ATTEMPTS:
            raise Failed("locked", "applicationHost.config cannot be written: another process holds it", names[-1])
        for _ in range(self.faults.changed_on_disk):
            text = "another program changed or locked applicationHost.config; lyncarr read it again and retried"
            yield {"event": "note", "step": names[-1], "kind": "retried", "item": None, "text": text}
        yield from self._commit(request, states, shell)
        reboot = bool(self.faults.reboot_after.intersection(names))
        self.pending_reboot = self.pending_reboot or reboot
        backup = f"lyncarr-{request['run']}"

        def applied(seen: dict[str, JsonState]) -> dict[str, Any]:
            return {"event": "applied", "steps": seen, "backup": backup if shell in self._backups else None, "reboot": reboot}

        yield from self._seen(request, applied)

    def _set(self, step: dict[str, Any], request: dict[str, Any], states: dict[str, JsonState]) -> None:
        """Write the desired state of one step over `states`; what it does not name stays."""
        if self.knows_steps:
            asked = _asked(step, request, states)
            with _blamed(step["name"]):
                steps.apply(step["name"], asked)
            return
        state = states.setdefault(step["name"], {})
        for item, attributes in step["desired"].items():
            state.setdefault(item, {}).update(attributes)

    def _commit(self, request: dict[str, Any], states: dict[str, JsonState], shell: str) -> Iterator[dict[str, Any]]:
        """Keep `states`. A shell's first change of the configuration makes a backup of it."""
        names = [step["name"] for step in request["steps"]]
        backup = f"lyncarr-{request['run']}"
        with self._lock:
            changed = _filled(self.states) != _filled(states)
            had_iis = Request(copy.deepcopy(self.states), {}, {}, ()).has_iis
            self.states = states
            self._save()
        if not self.knows_steps and changed:
            self._backups.add(shell)
        if self.knows_steps and shell not in self._backups and had_iis and (names == ["arr"] or (changed and steps.backs_up(names))):
            self._backups.add(shell)
            yield {"event": "note", "step": names[-1], "kind": "backup", "item": None, "text": backup}

    def _load(self) -> None:
        if self._store is None:
            return
        try:
            self.states = json.loads(self._store.read_text(encoding="utf-8-sig"))
        except ValueError as error:
            raise Failed(
                "error", f"{self._store.name} of the lab is not valid JSON ({error})", hint="Correct the file, or start the lab again."
            ) from None

    def _save(self) -> None:
        if self._store is not None:
            self._store.write_text(json.dumps(self.states, indent=2) + "\n", encoding="utf-8")


def _asked(step: dict[str, Any], request: dict[str, Any], states: dict[str, JsonState]) -> Request:
    return Request(states, step["desired"], step["parameters"], tuple(each["name"] for each in request["steps"]))


def _notes(step: str, asked: Request) -> list[dict[str, Any]]:
    return [{"event": "note", "step": step, "kind": note.kind, "item": note.item, "text": note.text} for note in asked.notes]


@contextmanager
def _blamed(step: str) -> Iterator[None]:
    """Name the step in the failure of a block."""
    try:
        yield
    except Failed as error:
        raise Failed(error.kind, str(error), error.step or step, error.hint) from error


def _filled(states: dict[str, JsonState]) -> dict[str, JsonState]:
    return {step: state for step, state in states.items() if state}


def _line(event: Mapping[str, Any]) -> str:
    return json.dumps(event, ensure_ascii=True, separators=(",", ":"))


def preset_names() -> list[str]:
    return sorted(path.stem for path in PRESETS.glob("*.json"))


def load_preset(name: str) -> Machine:
    """The machine recorded as `name`. Raises UsageError for an unknown name, SiteError for a file that is not a preset."""
    if name not in preset_names():
        near = difflib.get_close_matches(name, preset_names(), 1)
        hint = f"Did you mean '{near[0]}'?" if near else f"Use one of {', '.join(preset_names())}."
        raise UsageError(f"Unknown preset '{name}'.", hint=hint)
    path = PRESETS / f"{name}.json"
    try:
        recorded = json.loads(path.read_text(encoding="utf-8"))
        return Machine(
            computer=recorded["computer"],
            os=recorded["os"],
            build=recorded["build"],
            powershell=recorded["powershell"],
            states=recorded["steps"],
            knows_steps=True,
            notes=recorded.get("notes", []),
        )
    except (ValueError, KeyError) as error:
        raise SiteError(f"{path} is not a valid preset: {error}.", hint="Record it again with make presets.") from error
