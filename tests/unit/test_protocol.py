from __future__ import annotations

import json

import pytest

from lyncarr.core.errors import ProtocolError
from lyncarr.core.model import Request, StepRequest
from lyncarr.powershell.protocol import MAX_EVENT_CHARS, MAX_EVENTS, EventReader, encode_request

RUN = "3d5b0a52-7d8e-4a55-9b46-0f4c5e2f7a11"
HELLO = {
    "event": "hello",
    "protocol": 1,
    "run": RUN,
    "computer": "RP01",
    "os": "Windows Server 2012 R2",
    "build": 9600,
    "powershell": "4.0",
    "bits": 64,
    "elevated": True,
    "booted": "2026-01-01T00:00:00Z",
    "pending_reboot": False,
    "shared_configuration": False,
}
OBSERVED = {"event": "observed", "steps": {"a": {"i": {"x": 1}}}}


def lines(*events: object) -> str:
    return "\n".join(json.dumps(event) for event in events)


def reader(first: bool = True, operation: str = "observe", asked: tuple[str, ...] = ("a",)) -> EventReader:
    return EventReader(RUN, asked, first, operation)


def done(count: int) -> dict[str, object]:
    return {"event": "done", "count": count}


def test_a_plan_in_one_write() -> None:
    one = reader()
    events = one.feed(lines(HELLO, {"event": "note", "step": None, "kind": "holder", "item": None, "text": "x"}, OBSERVED, done(3)))
    one.finish()
    assert [event.name for event in events] == ["hello", "note", "observed", "done"]
    assert events[2].data["steps"] == {"a": {"i": {"x": 1}}}


def test_lists_become_tuples() -> None:
    one = reader(first=False)
    (event,) = one.feed(lines({"event": "observed", "steps": {"a": {"i": {"x": ["p", "q"]}}}}))
    assert event.data["steps"]["a"]["i"]["x"] == ("p", "q")


@pytest.mark.parametrize(
    ("why", "text"),
    [
        ("no JSON", "hello"),
        ("not an object", "[1]"),
        ("an unknown event", lines(HELLO, {"event": "surprise"})),
        ("no name", lines({"x": 1})),
        ("hello missing", lines(OBSERVED)),
        ("second hello", lines(HELLO, HELLO)),
        ("another protocol", lines({**HELLO, "protocol": 2})),
        ("another run", lines({**HELLO, "run": "x"})),
        ("no computer name", lines({**HELLO, "computer": ""})),
        ("a bool for an int", lines({**HELLO, "build": True})),
        ("an int for a bool", lines({**HELLO, "elevated": 1})),
        ("a missing member", lines({k: v for k, v in HELLO.items() if k != "bits"})),
        ("an extra member", lines({**HELLO, "extra": 1})),
        ("a step not asked for", lines(HELLO, {"event": "observed", "steps": {"a": {}, "b": {}}})),
        ("a step missing", lines(HELLO, {"event": "observed", "steps": {}})),
        ("a float", lines(HELLO, {"event": "observed", "steps": {"a": {"i": {"x": 1.5}}}})),
        ("null in a state", lines(HELLO, {"event": "observed", "steps": {"a": {"i": {"x": None}}}})),
        ("a nested value", lines(HELLO, {"event": "observed", "steps": {"a": {"i": {"x": {"y": 1}}}}})),
        ("a list of ints", lines(HELLO, {"event": "observed", "steps": {"a": {"i": {"x": [1]}}}})),
        ("a state that is a list", lines(HELLO, {"event": "observed", "steps": {"a": []}})),
        ("a huge int", lines(HELLO, {"event": "observed", "steps": {"a": {"i": {"x": 2**60}}}})),
        ("observed twice", lines(HELLO, OBSERVED, OBSERVED)),
        ("applied to an observe", lines(HELLO, {"event": "applied", "steps": {"a": {}}, "backup": None, "reboot": False})),
        ("a note of an unknown kind", lines(HELLO, {"event": "note", "step": None, "kind": "x", "item": None, "text": ""})),
        ("a failure of an unknown kind", lines(HELLO, {"event": "failed", "step": None, "kind": "x", "text": "", "hint": ""})),
        ("a failure of a foreign step", lines(HELLO, {"event": "failed", "step": "b", "kind": "error", "text": "", "hint": ""})),
        ("done counts wrong", lines(HELLO, OBSERVED, done(1))),
        ("done without an answer", lines(HELLO, done(1))),
        ("an event after done", lines(HELLO, OBSERVED, done(2), OBSERVED)),
        ("a second done", lines(HELLO, OBSERVED, done(2), done(2))),
        ("the same name twice", '{"event":"done","count":0,"count":0}'),
        ("NaN", '{"event":"done","count":NaN}'),
        ("an endless number", '{"event":"done","count":' + "9" * 5000 + "}"),
        ("nesting", '{"event":' + "[" * 100_000),
        ("too long", '{"event":"' + "x" * MAX_EVENT_CHARS + '"}'),
    ],
)
def test_what_does_not_fit_ends_the_conversation(why: str, text: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        reader().feed(text)
    assert len(str(caught.value)) < 600, "the host decides how long the text is that people see"
    assert str(caught.value).isprintable()


def test_a_host_that_cannot_say_hello_says_why() -> None:
    one = reader()
    events = one.feed(lines({"event": "failed", "step": None, "kind": "error", "text": "no registry here", "hint": ""}, done(1)))
    one.finish()
    assert [event.name for event in events] == ["failed", "done"]


def test_an_output_object_that_is_no_text() -> None:
    with pytest.raises(ProtocolError):
        reader().feed(17)


def test_a_request_without_its_done_is_no_success() -> None:
    one = reader()
    one.feed(lines(HELLO, OBSERVED))
    with pytest.raises(ProtocolError):
        one.finish()


def test_a_flood_of_events_ends() -> None:
    one = reader()
    one.feed(lines(HELLO))
    flood = "\n".join([lines({"event": "note", "step": None, "kind": "holder", "item": None, "text": ""})] * 200_000)
    with pytest.raises(ProtocolError, match=str(MAX_EVENTS)):
        one.feed(flood)


def test_a_request_is_one_line_of_ascii() -> None:
    text = encode_request(Request(RUN, "apply", (StepRequest("a", {"i": {"x": ("é\n’",)}}, {"k": ["$(x)"]}),), True, {"who": "me"}))
    assert text.isascii()
    assert "\n" not in text
    assert json.loads(text) == {
        "protocol": 1,
        "run": RUN,
        "operation": "apply",
        "lock": True,
        "steps": [{"name": "a", "desired": {"i": {"x": ["é\n’"]}}, "parameters": {"k": ["$(x)"]}}],
        "who": "me",
    }
