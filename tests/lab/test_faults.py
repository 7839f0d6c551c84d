"""Ctrl-C at every moment, and connections that end at every request: the right outcome, no write twice, and the next run converges."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

import pytest

from lyncarr.core import converge
from lyncarr.hosts import psrp, winrs
from lyncarr.hosts.http import retry
from lyncarr.lab.wire.faults import At
from tests.lab.console import Bench, wait_for
from tests.patience import HANG_S

pytestmark = pytest.mark.usefixtures("transport")

SIGNALS = [signal.SIGINT, signal.SIGTERM]
WAYS = [("basic", "ca"), ("ntlm", "off")]
CUTS = ["cut_request", "cut_answer", "cut_after"]
ASKING = {"psrp": "Command", "winrs": "Send"}
"""The message that carries a request."""
LOOK = {"psrp": ["Create", "Receive", "Command", "Receive"], "winrs": ["Create", "Command", "Receive", "Send", "Receive"]}


def plan(transport: str) -> list[str]:
    return [*LOOK[transport], "Delete"]


def whole_run(transport: str) -> list[str]:
    """Of a host with two units to write, one of them an install, which is followed by a fresh shell."""
    return [*LOOK[transport], ASKING[transport], "Receive", "Delete"] * 2


def is_lost(cut: str, action: str, transport: str) -> bool:
    """Only a message that does something is not sent again: to make a shell, to start what answers there, and to ask it.

    What a request has to say is received although the answer to its start was lost.
    """
    if action == ASKING[transport]:
        return cut == "cut_request"
    return action in ("Create", "Command") and cut in ("cut_request", "cut_answer")


@pytest.fixture
def bench(tmp_path: Path) -> Any:
    with Bench(tmp_path) as made:
        yield made


# Ctrl-C.


@pytest.mark.parametrize("number", SIGNALS)
def test_while_looking_it_ends_at_once_and_nothing_was_written(bench: Bench, number: signal.Signals) -> None:
    bench.faults.latency_s = 1.0
    process = bench.start("provision", "--yes", "--output", "json")
    wait_for(process.stdout, '"connecting"')
    time.sleep(0.3)
    process.send_signal(number)
    out, err = process.communicate(timeout=HANG_S)
    assert process.returncode == 130, err
    assert '"result":"interrupted"' in out
    assert '"exit_code":130' in out
    assert "Traceback" not in err
    assert bench.writes == []


@pytest.mark.parametrize("number", SIGNALS)
def test_once_while_writing_it_finishes_the_transaction_and_reports_what_was_skipped(bench: Bench, number: signal.Signals) -> None:
    bench.machine.faults.pause_s = 3.0
    process = bench.start("provision", "--yes")
    wait_for(process.stderr, "applying iis")
    time.sleep(0.2)
    process.send_signal(number)
    out, err = process.communicate(timeout=HANG_S)
    assert process.returncode == 130, err
    assert "finishes the transaction that is being written" in err
    assert "] iis              done (" in out
    assert "] arr              skipped" in out
    assert "] host-conditions  skipped" in out
    assert bench.writes == [["iis"]]
    assert bench.machine.states["iis"]["W3SVC"] == {"running": True}
    assert bench.machine.holder is None
    bench.machine.faults.pause_s = 0
    assert bench.here("provision", "--yes").code == 0
    assert bench.writes.count(["iis"]) == 1


def test_twice_stops_the_pipeline_deletes_the_shell_and_calls_the_unit_unknown(bench: Bench) -> None:
    bench.machine.faults.pause_s = 10 * HANG_S
    process = bench.start("provision", "--yes")
    wait_for(process.stderr, "applying iis")
    process.send_signal(signal.SIGINT)
    wait_for(process.stderr, "finishes the transaction that is being written")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=HANG_S)
    assert process.returncode == 130, err
    assert "] iis              unknown, because the host did not answer" in out
    assert "] arr              skipped" in out
    assert "Traceback" not in err
    assert [record.action for record in bench.lab.messages][-1] == "Delete"
    assert "Signal" in [record.action for record in bench.lab.messages]
    assert bench.machine.states == {}, "the replayed host had not written yet"
    assert bench.machine.holder is None


def test_on_a_terminal_the_report_comes_all_the_same(bench: Bench) -> None:
    bench.machine.faults.pause_s = 3.0
    with bench.terminal("provision", "--yes") as terminal:
        terminal.wait_for("applying iis")
        terminal.type("\x03")
        assert terminal.end() == 130
    assert "finishes the transaction that is being written" in terminal.text
    assert "] iis              done (" in terminal.text
    assert "Traceback" not in terminal.text


# Connections that end.


def _at_work(bench: Bench) -> None:
    """Two units to write: one of its own, and the transaction of the farms."""
    states = bench.finish().machine.states
    states["iis"]["W3SVC"]["running"] = False
    states["proxy-timeout"]["meet.contoso.com"]["timeout_s"] = 30


def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(converge, "LOCK_POLL_S", 0.05)
    monkeypatch.setattr(converge, "LOCK_WAIT_S", 5.0)


@pytest.mark.parametrize(("auth", "tls"), WAYS)
@pytest.mark.parametrize("cut", CUTS)
def test_a_plan_that_loses_a_connection(tmp_path: Path, transport: str, auth: str, tls: str, cut: str) -> None:
    with Bench(tmp_path, auth=auth, tls=tls) as bench:
        for number, action in enumerate(plan(transport), 1):
            sent = len(bench.lab.messages)
            setattr(bench.faults, cut, At(sent + number))
            done = bench.here("plan", "--timeout", "8")
            lost = is_lost(cut, action, transport)
            assert (number, done.code) == (number, 69 if lost else 2), done.err
            assert done.host["result"] == ("unreachable" if lost else "pending")
        assert bench.writes == []
        assert bench.here("plan").code == 2


@pytest.mark.parametrize(("auth", "tls"), WAYS)
@pytest.mark.parametrize("cut", CUTS)
def test_a_run_that_loses_a_connection(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, transport: str, auth: str, tls: str, cut: str
) -> None:
    _no_pauses(monkeypatch)
    run = whole_run(transport)
    writes = [number for number, pair in enumerate(zip(run, run[2:], strict=False), 1) if pair == (ASKING[transport], "Delete")]
    with Bench(tmp_path, auth=auth, tls=tls) as bench:
        for number, action in enumerate(run, 1):
            _at_work(bench)
            count, sent = len(bench.writes), len(bench.lab.messages)
            setattr(bench.faults, cut, At(sent + number))
            done = bench.here("provision", "--yes", "--timeout", "8")
            written = bench.writes[count:]
            assert len(written) == len({tuple(unit) for unit in written}), f"written twice when message {number} was lost"
            lost = is_lost(cut, action, transport)
            assert (number, done.code) == (number, 69 if lost else 0), done.err
            if done.code == 0:
                assert (done.words["iis"], done.words["proxy-timeout"]) == ("applied", "applied")
            elif number in writes:
                assert "lost while step" in done.err
            setattr(bench.faults, cut, None)
            assert bench.here("provision", "--yes").code == 0, number
            assert bench.here("plan").code == 0
            assert bench.machine.holder is None


@pytest.mark.parametrize("request_number", range(1, 6))
def test_a_log_on_that_loses_its_connection_is_made_again(tmp_path: Path, request_number: int) -> None:
    """NTLM over http takes three requests before the first message."""
    with Bench(tmp_path, auth="ntlm", tls="off") as bench:
        bench.faults.cut_after = At(request_number, over="requests")
        done = bench.here("plan", "--timeout", "8")
    assert done.code == 2, done.err


def test_a_host_that_is_gone_for_good_while_writing(monkeypatch: pytest.MonkeyPatch, bench: Bench, transport: str) -> None:
    _no_pauses(monkeypatch)
    monkeypatch.setattr(converge, "LOCK_WAIT_S", 0.5)
    _at_work(bench)
    bench.faults.cut_request = At(len(LOOK[transport]) + 1, 1 << 30)
    done = bench.here("provision", "--yes", "--timeout", "4")
    assert (done.code, done.host["result"]) == (69, "unreachable")
    assert done.words["iis"] == "unknown"
    assert done.words["proxy-timeout"] == "skipped"
    assert bench.writes == []


def test_the_lock_of_a_shell_that_was_lost_is_waited_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, transport: str) -> None:
    """The answer of the write is lost, and its shell cannot be deleted: while it holds the lock, no run can read the state."""
    _no_pauses(monkeypatch)
    monkeypatch.setattr({"psrp": psrp, "winrs": winrs}[transport], "IDLE_TIMEOUT_S", 1)
    with Bench(tmp_path) as bench:
        _at_work(bench)
        bench.machine.faults.pause_s = 0.5
        received = len(LOOK[transport]) + 2
        # It is asked for three times, and the shell is deleted twice.
        bench.faults.cut_request = At(received, received + 4)
        done = bench.here("provision", "--yes")
    assert done.code == 0, done.err
    names = [event["event"] for event in done.events]
    assert "reconnecting" in names
    assert names.count("connecting") > 3
    assert bench.writes == [["iis"], ["proxy-timeout"]]


@pytest.mark.parametrize("attempts", [1, 3])
def test_a_host_that_is_still_starting_is_waited_for(bench: Bench, attempts: int) -> None:
    bench.faults.unavailable, bench.faults.retry_after_s = attempts, 0
    assert bench.here("plan").code == 2


def test_a_host_that_answered_is_waited_for_later(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, transport: str) -> None:
    """The fresh shell after an install loses more connections than a first contact may."""
    monkeypatch.setattr(retry, "FIRST_PAUSE_S", 0.01)
    with Bench(tmp_path, auth="ntlm", tls="off") as bench:
        _at_work(bench)
        # Three requests of the log-on come before the first message.
        shell = 3 + len(whole_run(transport)) // 2
        bench.faults.cut_after = At(shell + 1, shell + retry.FIRST_ATTEMPTS, over="requests")
        done = bench.here("provision", "--yes")
    assert done.code == 0, done.err
    assert bench.writes == [["iis"], ["proxy-timeout"]]


def test_a_refusal_in_the_middle_is_the_end(bench: Bench) -> None:
    """As after a change of the password: another attempt would lock the account."""
    bench.faults.refuse_after = 5
    done = bench.here("provision", "--yes")
    assert (done.code, done.host["result"]) == (77, "refused")
    refused = [record for record in bench.lab.requests if record.auth == "refused"]
    assert len(refused) == 1
