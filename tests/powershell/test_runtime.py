"""The script's own conversation: the lock, failures of every kind, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lyncarr.core.model import Event, Request, StepRequest
from tests.powershell.engine import Engine, HostDisk
from tests.powershell.hosts import configuration

pytestmark = pytest.mark.powershell

RUN = "11111111-2222-3333-4444-555555555555"
TIMEOUT = (StepRequest("proxy-timeout", {"dialin.contoso.com": {"timeout_s": 900}}),)


class Shell:
    def __init__(self, engine: Engine, machine: HostDisk) -> None:
        self.engine, self.machine, self.fresh = engine, machine, True

    def send(
        self, operation: str, steps: tuple[StepRequest, ...] = TIMEOUT, *, lock: bool = True, who: str | None = "me@here"
    ) -> list[Event]:
        fresh, self.fresh = self.fresh, False
        request = Request(RUN, operation, steps, lock, {"who": who})
        return self.engine.send(self.machine, request, fresh=fresh)


@pytest.fixture
def machine(tmp_path: Path) -> HostDisk:
    return HostDisk(tmp_path / "host", configuration())


@pytest.fixture
def shell(engine: Engine, machine: HostDisk) -> Shell:
    return Shell(engine, machine)


def failure(events: list[Event]) -> dict[str, object]:
    (found,) = [dict(event.data) for event in events if event.name == "failed"]
    return found


def test_hello_comes_once(shell: Shell) -> None:
    assert [event.name for event in shell.send("observe")] == ["hello", "note", "observed", "done"]
    assert [event.name for event in shell.send("observe")] == ["note", "observed", "done"]


def test_a_held_lock_is_busy_with_its_holder(shell: Shell) -> None:
    holder = {"run": "x", "since": "2026-11-24T10:00:00Z", "who": "alice@pc"}
    (shell.machine.programdata / "holder.json").write_text(json.dumps(holder, separators=(",", ":")))
    assert failure(shell.send("observe")) == {
        "step": None,
        "kind": "busy",
        "text": "held by alice@pc since 2026-11-24T10:00:00Z",
        "hint": "Wait until that run ends, then run the command again.",
    }
    notes = [event.data["text"] for event in shell.send("observe", lock=False) if event.name == "note"]
    assert "the host is held by alice@pc since 2026-11-24T10:00:00Z" in notes


def test_a_holder_of_another_make_is_still_told(shell: Shell) -> None:
    (shell.machine.programdata / "holder.json").write_text("{}")
    assert failure(shell.send("observe"))["text"] == "held by another run since an unknown time"


def test_a_member_of_the_request_that_is_null_is_nothing(shell: Shell) -> None:
    assert [event.name for event in shell.send("observe", who=None)] == ["hello", "note", "observed", "done"]


def test_a_holder_with_a_domain_and_an_umlaut_is_told(shell: Shell) -> None:
    holder = {"run": "x", "since": "2026-11-24T10:00:00Z", "who": 'CONTOSO\\j\u00fcrgen "j"@pc'}
    (shell.machine.programdata / "holder.json").write_text(json.dumps(holder, separators=(",", ":")))
    assert failure(shell.send("observe"))["text"] == f"held by {holder['who']} since 2026-11-24T10:00:00Z"


def test_apply_without_the_lock_is_refused(shell: Shell) -> None:
    assert "without the lock" in str(failure(shell.send("apply", lock=False))["text"])


def test_unknown_words_are_refused(shell: Shell) -> None:
    assert "unknown operation 'rollback'" in str(failure(shell.send("rollback"))["text"])
    step = (StepRequest("no-such-step", {}),)
    assert "unknown step 'no-such-step'" in str(failure(shell.send("observe", step))["text"])
    assert "unknown step 'no-such-step'" in str(failure(shell.send("apply", step))["text"])


def test_a_broken_configuration_is_an_error_and_no_absence(shell: Shell) -> None:
    shell.machine.configuration.write_text("<configuration>")
    found = failure(shell.send("observe"))
    assert (found["step"], found["kind"]) == ("proxy-timeout", "error")
    assert "line" in str(found["text"])


def test_access_denied_is_no_absence(shell: Shell) -> None:
    (shell.machine.programdata / "denied").touch()
    assert failure(shell.send("observe"))["kind"] == "denied"


def test_a_value_that_the_contract_does_not_know_is_not_sent(shell: Shell) -> None:
    (shell.machine.programdata / "stray").touch()
    assert "System.Double cannot be sent" in str(failure(shell.send("observe", lock=False))["text"])


def test_odd_characters_arrive_as_they_are(shell: Shell) -> None:
    odd = "a'‘’‚‛“”„`$(x)&<>]]>\\\"\r\n\t\x07é中😀"
    assert f"unknown operation '{odd}'" in str(failure(shell.send(odd))["text"])
