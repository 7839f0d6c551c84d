"""Requests and events as JSON, as docs/contract.md defines them.

The host may be hostile: the type of every member and the place of every event are checked, and every violation raises ProtocolError
(exit code 76). Text from the host is passed on unchanged; report/ makes it safe to show.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from lyncarr.core.errors import ProtocolError
from lyncarr.core.model import Event, Request, State, Value
from lyncarr.core.text import quoted

PROTOCOL = 1
MAX_EVENT_CHARS = 1024 * 1024
MAX_EVENTS = 20_000
MAX_INT = 2**53
MAX_DEPTH_TEXT = "its JSON is nested too deeply"

FAILURE_KINDS = {
    "busy": "another run holds the lock",
    "denied": "Windows refused access, or a file or folder does not belong to an administrator",
    "unfit": "this Windows does not offer what a step requires",
    "needs": "another step, a product or a file must come first",
    "locked": "another program holds applicationHost.config",
    "installer": "a package or an installer failed",
    "foreign": "a rule that lyncarr does not manage takes the requests",
    "feature": "Windows did not install a role or feature",
    "certificate": "a certificate or its private key could not be stored",
    "binding": "the web site, its binding or its certificate in HTTP.sys",
    "restart": "the configuration is written, but IIS did not restart",
    "error": "any other error",
}
"""Kind of the event `failed` -> meaning. docs/contract.md and the lint of the snippets read this declaration."""
NOTE_KINDS = {
    "backup": "the name of the configuration backup, as soon as it exists",
    "foreign-rule": "a global rule that lyncarr does not manage and that affects published names",
    "holder": "another run holds the lock",
    "installer": "the source of a product that is not installed",
    "needs": "what apply would stop for",
    "old-certificate": "another certificate of the same name",
    "other-record": "another binding or HTTP.sys record on the same port",
    "other-site": "another web site on the same port",
    "pending-reboot": "why Windows must restart",
    "restart": "IIS restarts after the change; the controller adds this note",
    "retried": "applicationHost.config was read again, because another program changed or locked it",
    "unresolved": "a server name that the host cannot resolve",
    "version": "the version of an installed product",
}
"""Kind of the event `note` -> meaning; see FAILURE_KINDS."""


def encode_request(request: Request) -> str:
    """The request as one line of ASCII JSON. It holds no secret: secrets are the input of the pipeline."""
    body: dict[str, Any] = {
        "protocol": PROTOCOL,
        "run": request.run,
        "operation": request.operation,
        "lock": request.lock,
        "steps": [{"name": s.name, "desired": _plain(s.desired), "parameters": _plain(s.parameters)} for s in request.steps],
    }
    body.update({name: _plain(value) for name, value in request.extra.items()})
    return json.dumps(body, ensure_ascii=True, separators=(",", ":"))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value


class EventReader:
    """Checks the events of one request in the order in which they arrive.

    `asked` are the names of the steps in the request. `first` is true if this shell has not sent its `hello` yet. Pass the text of each
    output object to `feed`. Call `finish` when the pipeline has ended: a request without `done` is never a success. All methods raise
    ProtocolError.
    """

    def __init__(self, run: str, asked: tuple[str, ...], first: bool, operation: str) -> None:
        self._run = run
        self._asked = asked
        self._hello_due = first
        self._operation = operation
        self._count = 0
        self._done = False
        self._verdict: str | None = None

    @property
    def done(self) -> bool:
        return self._done

    def feed(self, text: object) -> list[Event]:
        """The events in one output object, which must be a string of complete lines. The event `done` is one of them."""
        if not isinstance(text, str):
            raise _broken(f"an output object has the type {type(text).__name__}, not text")
        # An empty object counts as an event, which is not valid JSON. Otherwise a host could send empty objects without end.
        return [self._event(line) for line in text.splitlines() or [""]]

    def finish(self) -> None:
        if not self._done:
            raise _broken("the request ended without the event 'done'")

    def _event(self, line: str) -> Event:
        if self._done:
            raise _broken("an event follows 'done'")
        if len(line) > MAX_EVENT_CHARS:
            raise _broken(f"an event has {len(line)} characters, the limit is {MAX_EVENT_CHARS}")
        if self._count >= MAX_EVENTS:
            raise _broken(f"a request has more than {MAX_EVENTS} events")
        members = _parse(line)
        name = members.pop("event", None)
        check = _CHECKS.get(name) if isinstance(name, str) else None
        if check is None:
            raise _broken(f"unknown event {quoted(name)}")
        if self._hello_due != (name == "hello") and not self._failed_at_once(name):
            raise _broken("an event comes before 'hello'" if self._hello_due else "a second 'hello' was sent")
        check(self, members)
        if name == "done":
            self._done = True
        else:
            self._count += 1
        return Event(str(name), members)

    def _failed_at_once(self, name: object) -> bool:
        """A host that cannot send `hello` may send `failed` and `done` instead, because neither makes a request succeed."""
        return self._hello_due and (name == "failed" or (name == "done" and self._verdict == "failed"))

    def _hello(self, m: dict[str, Any]) -> None:
        _shape(
            m,
            protocol=int,
            run=str,
            computer=str,
            os=str,
            build=int,
            powershell=str,
            bits=int,
            elevated=bool,
            booted=str,
            pending_reboot=bool,
            shared_configuration=bool,
        )
        if m["protocol"] != PROTOCOL:
            raise _broken(f"the version of the protocol is {m['protocol']}, not {PROTOCOL}")
        if m["run"] != self._run:
            raise _broken("'hello' is of another run")
        if not m["computer"]:
            raise _broken("'hello' has no computer name")
        self._hello_due = False

    def _observed(self, m: dict[str, Any]) -> None:
        if self._operation != "observe":
            raise _broken(f"'observed' is not an answer to {self._operation}")
        _shape(m, steps=dict)
        self._settle("observed")
        m["steps"] = self._states(m["steps"])

    def _applied(self, m: dict[str, Any]) -> None:
        if self._operation != "apply":
            raise _broken(f"'applied' is not an answer to {self._operation}")
        _shape(m, steps=dict, backup=(str, type(None)), reboot=bool)
        self._settle("applied")
        m["steps"] = self._states(m["steps"])

    def _failed(self, m: dict[str, Any]) -> None:
        _shape(m, step=(str, type(None)), kind=str, text=str, hint=str)
        self._settle("failed")
        self._step_known(m["step"])
        if m["kind"] not in FAILURE_KINDS:
            raise _broken(f"unknown kind of failure {quoted(m['kind'])}")

    def _applying(self, m: dict[str, Any]) -> None:
        _shape(m, step=str)
        self._step_known(m["step"])

    def _progress(self, m: dict[str, Any]) -> None:
        _shape(m, step=str, text=str, percent=(int, type(None)))
        self._step_known(m["step"])

    def _note(self, m: dict[str, Any]) -> None:
        _shape(m, step=(str, type(None)), kind=str, item=(str, type(None)), text=str)
        self._step_known(m["step"])
        if m["kind"] not in NOTE_KINDS:
            raise _broken(f"unknown kind of note {quoted(m['kind'])}")

    def _done_event(self, m: dict[str, Any]) -> None:
        _shape(m, count=int)
        if m["count"] != self._count:
            raise _broken(f"'done' counts {m['count']} events, but {self._count} arrived")
        if self._verdict is None and self._operation in ("observe", "apply"):
            raise _broken(f"'done' comes without an answer to {self._operation}")

    def _settle(self, verdict: str) -> None:
        """Accept the verdict of the request: `observed`, `applied` or `failed`, of which it has one."""
        if self._verdict is not None:
            raise _broken(f"'{verdict}' follows '{self._verdict}'")
        self._verdict = verdict

    def _step_known(self, step: str | None) -> None:
        if step is not None and step not in self._asked:
            raise _broken(f"an event is for step {quoted(step)}, which was not requested")

    def _states(self, steps: dict[str, Any]) -> dict[str, State]:
        if set(steps) != set(self._asked):
            odd = sorted(set(steps) ^ set(self._asked))
            raise _broken(f"the states do not match the requested steps: {quoted(', '.join(odd))}")
        return {name: _state(name, state) for name, state in steps.items()}


_CHECKS: dict[str, Callable[[EventReader, dict[str, Any]], None]] = {
    "hello": EventReader._hello,
    "observed": EventReader._observed,
    "applying": EventReader._applying,
    "progress": EventReader._progress,
    "note": EventReader._note,
    "applied": EventReader._applied,
    "failed": EventReader._failed,
    "done": EventReader._done_event,
}


def _broken(problem: str) -> ProtocolError:
    return ProtocolError(
        f"The host's answer violates the protocol of lyncarr: {problem}. lyncarr sends nothing more to it.",
        hint="Check that the address is that of the right host, and that no other program answers there.",
    )


def _parse(line: str) -> dict[str, Any]:
    try:
        value = json.loads(line, object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_no_float)
    except ProtocolError:
        raise
    except RecursionError:
        raise _broken(MAX_DEPTH_TEXT) from None
    except ValueError as error:
        raise _broken(f"a line is not valid JSON: {quoted(line[:60])}") from error
    if not isinstance(value, dict):
        raise _broken("an event is not a JSON object")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _broken("a JSON object has the same name twice")
    return members


def _no_constant(text: str) -> Any:
    raise _broken(f"{quoted(text)} is not a whole number")


def _no_float(text: str) -> Any:
    raise _broken(f"{quoted(text)} is not a whole number")


def _shape(members: dict[str, Any], **types: type | tuple[type, ...]) -> None:
    """Check that the event has exactly these members, each with its type. A boolean does not count as a number."""
    if set(members) != set(types):
        odd = sorted(set(members) ^ set(types))
        raise _broken(f"an event has missing or unknown members: {quoted(', '.join(odd))}")
    for name, expected in types.items():
        value = members[name]
        allowed = expected if isinstance(expected, tuple) else (expected,)
        if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
            raise _broken(f"the member '{name}' has the type {type(value).__name__}")
        if isinstance(value, int) and abs(value) > MAX_INT:
            raise _broken(f"the member '{name}' is out of range")


def _state(step: str, state: object) -> dict[str, dict[str, Value]]:
    if not isinstance(state, dict) or not all(isinstance(item, dict) for item in state.values()):
        raise _broken(f"the state of step {quoted(step)} is not a table of items")
    return {item: {name: _value(value) for name, value in attributes.items()} for item, attributes in state.items()}


def _value(value: object) -> Value:
    if isinstance(value, bool | str):
        return value
    if isinstance(value, int) and abs(value) <= MAX_INT:
        return value
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    raise _broken(f"a state has a value of the type {type(value).__name__}")
