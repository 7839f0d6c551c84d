"""hosts/psrp.py and hosts/winrs.py against the simulated host: budget, secrets, refusals, hostile answers, lost connections, stopping."""

from __future__ import annotations

import base64
import contextlib
import logging
import signal
import socket
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from lyncarr.cli.libraries import LOGGERS, quiet_libraries
from lyncarr.core.errors import (
    LostConnectionError,
    LyncarrError,
    ProtocolError,
    RefusedError,
    StepFailedError,
    UnreachableError,
    UntrustedError,
)
from lyncarr.core.kinds import AuthMethod
from lyncarr.core.model import Deadline, Event, Request, Secret, StepRequest
from lyncarr.hosts.http import retry
from lyncarr.hosts.http.retry import FIRST_ATTEMPTS
from lyncarr.hosts.psrp import PsrpShell
from lyncarr.hosts.shell import Identity, RemoteShell
from lyncarr.hosts.target import Target, Tls
from lyncarr.hosts.winrs import WinrsShell
from lyncarr.lab.real.powershell import PowerShellEngine
from lyncarr.lab.replay.machine import Machine
from lyncarr.lab.replay.psrp import ReplayEngine
from lyncarr.lab.wire.certs import Authority, client_identity, server_identity
from lyncarr.lab.wire.faults import At, Faults, every
from lyncarr.lab.wire.server import LabServer
from lyncarr.powershell.bundle import Script
from tests.lab import console
from tests.lab.lab_client import start_at
from tests.patience import HANG_S

pytestmark = pytest.mark.usefixtures("transport")

TEXT = (Path(__file__).parent / "scripts" / "transport.ps1").read_text(encoding="ascii")
OTHER_SCRIPT = Script(dict.fromkeys(("look", "lock"), "# another script"))
SCRIPT = Script(dict.fromkeys(("look", "lock", "write"), TEXT))
PASSWORD = "canary Pä$$wörd-<&>\"' "
RUN = "5e0c0b6e-0000-4000-8000-000000000001"
STEP = "proxy-timeout"
DESIRED = {"meet.contoso.com": {"timeout_s": 900}}

SHELLS: dict[str, type[RemoteShell]] = {"psrp": PsrpShell, "winrs": WinrsShell}
ASKING = {"psrp": "Command", "winrs": "Send"}
"""The message that carries a request, and with the first one the script."""
FIRST_OUTPUT = {"psrp": 4, "winrs": 5}
"""The number of the Receive after the first of them."""
LOGONS: list[tuple[str, str]] = [("basic", "pin"), ("ntlm", "pin"), ("negotiate", "pin"), ("ntlm", "off"), ("negotiate", "off")]


@dataclass
class ShellLab:
    """One lab with one machine, and hosts on it."""

    faults: Faults = field(default_factory=Faults)
    machine: Machine = field(default_factory=lambda: Machine(states={STEP: {"meet.contoso.com": {"timeout_s": 120}}}))
    linger_s: float = 0.02
    options: dict[str, Any] = field(default_factory=dict)

    def __enter__(self) -> ShellLab:
        self.lab = LabServer(
            ReplayEngine(self.machine, script=SCRIPT), password=PASSWORD, faults=self.faults, linger_s=self.linger_s, **self.options
        )
        self.lab.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.lab.stop()

    def target(self, auth: str = "ntlm", tls: str = "pin", **changes: Any) -> Target:
        trust = {"pin": Tls("pin", pin=self.lab.pin), "ca": Tls("ca", ca=self.lab.ca_file), "off": Tls("off"), "verify": Tls("verify")}[tls]
        values: dict[str, Any] = {
            "name": "rp01",
            "address": self.lab.address,
            "port": self.lab.http_port if tls == "off" else self.lab.https_port,
            "user": self.lab.user,
            "password": Secret(PASSWORD),
            "auth": AuthMethod(auth),
            "tls": trust,
        }
        return Target(**{**values, **changes})

    def host(
        self, auth: str = "ntlm", tls: str = "pin", *, script: Script = SCRIPT, wait_s: int = 3, connect_s: float = HANG_S, **changes: Any
    ) -> RemoteShell:
        return shell_class()(self.target(auth, tls, **changes), script=script, connect_timeout_s=connect_s, operation_timeout_s=wait_s)

    def actions(self) -> list[str | None]:
        return [record.action for record in self.lab.messages]


def shell_class() -> type[RemoteShell]:
    return SHELLS[console.Bench.transport]


def observe(host: RemoteShell, *, lock: bool = False, deadline_s: float = HANG_S) -> list[Event]:
    events: list[Event] = []
    host.request(Request(RUN, "observe", (StepRequest(STEP, {}),), lock, {"who": "me"}), events.append, Deadline(deadline_s))
    return events


def apply(host: RemoteShell, *, secrets: dict[str, Secret] | None = None, deadline_s: float = HANG_S) -> list[Event]:
    events: list[Event] = []
    request = Request(RUN, "apply", (StepRequest(STEP, DESIRED),), True, {"who": "me"})
    host.request(request, events.append, Deadline(deadline_s), secrets or {})
    return events


def names(events: list[Event]) -> list[str]:
    return [event.name for event in events]


# What runs, and what it costs.


@pytest.mark.parametrize(("auth", "tls"), LOGONS)
def test_a_plan_costs_what_the_budget_allows(auth: str, tls: str) -> None:
    with ShellLab() as bench:
        with bench.host(auth, tls) as host:
            events = observe(host)
        extra = 0 if auth == "basic" else 3 if tls == "off" else 2
        assert len(bench.lab.requests) <= 6 + extra
        assert bench.lab.connections == 1
        assert host.traffic.requests == len(bench.lab.requests)
        assert host.traffic.bytes_up == sum(record.bytes_up for record in bench.lab.requests)
        assert bench.actions()[-1] == "Delete"
    assert names(events) == ["hello", "observed", "done"]
    assert events[1].data["steps"][STEP]["meet.contoso.com"]["timeout_s"] == 120


@pytest.mark.parametrize(("auth", "tls"), LOGONS)
def test_a_unit_costs_two_requests_and_two_more_with_secrets(auth: str, tls: str, transport: str) -> None:
    with ShellLab() as bench, bench.host(auth, tls) as host:
        observe(host, lock=True)
        before = len(bench.lab.requests)
        assert names(apply(host)) == ["applying", "applied", "done"]
        assert len(bench.lab.requests) - before <= 2
        before = len(bench.lab.requests)
        apply(host, secrets={"pfx": Secret("s3cret"), "pfx_password": Secret("x" * 400_000)})
        # WinRS takes 100 KB in a Send.
        assert len(bench.lab.requests) - before <= {"psrp": 4, "winrs": 5}[transport]
        assert bench.machine.exchanges[-1].secrets == ("pfx", "pfx_password")
    assert bench.machine.states[STEP] == DESIRED


def test_a_client_certificate_logs_on_without_a_password(tmp_path: Path) -> None:
    authority = Authority()
    shown = client_identity(authority, "Administrator")
    (tmp_path / "client.pem").write_bytes(shown.certificate)
    (tmp_path / "client.key").write_bytes(shown.key)
    with ShellLab(options={"client_authority": authority.certificate}) as bench:
        keys = {"password": None, "user": "", "certificate": tmp_path / "client.pem", "key": tmp_path / "client.key"}
        with bench.host("certificate", **keys) as host:
            assert names(observe(host)) == ["hello", "observed", "done"]
        assert len(bench.lab.requests) <= 6


def test_an_unknown_client_certificate_is_refused(tmp_path: Path) -> None:
    shown = client_identity(Authority(), "Administrator")
    (tmp_path / "client.pem").write_bytes(shown.certificate)
    (tmp_path / "client.key").write_bytes(shown.key)
    keys = {"password": None, "certificate": tmp_path / "client.pem", "key": tmp_path / "client.key"}
    options = {"client_authority": Authority().certificate}
    refused = pytest.raises(RefusedError, match="refused the client certificate")
    with ShellLab(options=options) as bench, bench.host("certificate", **keys) as host, refused:
        observe(host)


def test_the_shell_is_known_before_the_script_is_sent(transport: str) -> None:
    seen: list[tuple[Identity, list[str | None]]] = []
    before = {"psrp": ["Create", "Receive"], "winrs": ["Create", "Command", "Receive"]}[transport]
    with ShellLab() as bench:
        target = bench.target()
        with shell_class()(target, script=SCRIPT, on_identity=lambda known: seen.append((known, bench.actions()))) as host:
            observe(host)
        assert bench.lab.identity is not None
        assert seen == [(Identity("4.0", bench.lab.identity.der), before)]


@pytest.mark.parametrize("version", ["2.0", "3.0"])
def test_an_old_powershell_never_sees_the_script(version: str, transport: str) -> None:
    with ShellLab(machine=Machine(powershell=version)) as bench, bench.host() as host:
        with pytest.raises(RefusedError, match=r"requires 4\.0 or newer"):
            observe(host)
        assert ASKING[transport] not in bench.actions()


def test_events_come_as_they_happen() -> None:
    with ShellLab() as bench, bench.host() as host:
        observe(host, lock=True)
        bench.machine.faults.pause_s = 3.0
        seen: dict[str, int] = {}

        def see(event: Event) -> None:
            seen[event.name] = bench.machine.states[STEP]["meet.contoso.com"]["timeout_s"]

        host.request(Request(RUN, "apply", (StepRequest(STEP, DESIRED),), True), see, Deadline(HANG_S))
    assert (seen["applying"], seen["applied"]) == (120, 900)


def test_what_takes_longer_than_the_operation_time_out_is_waited_for() -> None:
    with ShellLab() as bench, bench.host(wait_s=1) as host:
        observe(host, lock=True)
        bench.machine.faults.pause_s = 2.5
        assert names(apply(host))[-1] == "done"


# Refusals: one attempt, never another.


@pytest.mark.parametrize(("auth", "tls"), LOGONS)
def test_a_wrong_password_is_shown_once(auth: str, tls: str) -> None:
    with ShellLab() as bench:
        with bench.host(auth, tls, password=Secret("wrong")) as host, pytest.raises(RefusedError) as caught:
            observe(host)
        shown = [record for record in bench.lab.requests if record.auth == "refused"]
        assert len(shown) == 1
        assert len(bench.lab.requests) <= 3
    message = str(caught.value)
    assert f"method {auth}" in message
    assert "Negotiate" in message
    assert "Administrator" in message


def test_a_host_that_refuses_in_the_middle_is_not_asked_again() -> None:
    with ShellLab(faults=Faults(refuse_after=3)) as bench:
        with bench.host("basic") as host, pytest.raises(RefusedError):
            observe(host)
        assert [record.status for record in bench.lab.requests] == [200, 200, 200, 401]


def test_a_method_that_is_not_offered_is_reported_before_the_password_goes_out() -> None:
    with ShellLab() as bench, bench.host("basic", "pin") as host:
        bench.faults.refuse_authentication = True
        with pytest.raises(RefusedError, match="does not offer the logon method basic, only Negotiate"):
            observe(host)


def test_an_untrusted_certificate_sees_no_request() -> None:
    with ShellLab() as bench:
        with bench.host(tls="verify") as host, pytest.raises(UntrustedError, match="is not trusted") as caught:
            observe(host)
        assert caught.value.hint.splitlines()[1:] == [bench.lab.pin, f'tls = "pin:sha256:{bench.lab.pin}"']
        assert bench.lab.requests == []


def test_a_wrong_name_in_the_certificate_sees_no_request() -> None:
    with ShellLab(options={"certificate": server_identity("127.0.0.1", "wrong-name")}) as bench:
        with bench.host(tls="ca") as host, pytest.raises(UntrustedError, match="for another name"):
            observe(host)
        assert bench.lab.requests == []


def test_a_relayed_log_on_is_refused() -> None:
    """Channel binding: a host that has other TLS in front of it than the client sees does not take the log-on."""
    with ShellLab() as bench:
        own = bench.lab.identity
        assert own is not None
        seen_by_client = own.pin
        bench.lab.identity = server_identity("127.0.0.1")
        target = bench.target(tls="verify")
        target = Target(**{**target.__dict__, "tls": Tls("pin", pin=seen_by_client)})
        with shell_class()(target, script=SCRIPT) as host, pytest.raises(RefusedError):
            observe(host)


# Hostile and broken answers: exit 76, and nothing is sent after them.


HOSTILE: list[tuple[str, dict[str, Any]]] = [
    ("redirect", {"redirect": At(3, over="requests"), "redirect_status": 307}),
    ("gzip", {"gzip": At(2)}),
    ("gzip bomb", {"gzip": At(2), "oversized": At(2)}),
    ("oversized", {"oversized": At(2)}),
    ("doctype", {"doctype": At(2)}),
    ("wrong RelatesTo", {"wrong_relates_to": At(2)}),
    ("wrong RelatesTo of a Create", {"wrong_relates_to": At(1)}),
    ("html", {"html": At(2)}),
]


@pytest.mark.parametrize(("auth", "tls"), [("basic", "pin"), ("ntlm", "off")])
@pytest.mark.parametrize("fault", [fault for _, fault in HOSTILE], ids=[name for name, _ in HOSTILE])
def test_an_answer_that_cannot_be_trusted_ends_the_run(fault: dict[str, Any], auth: str, tls: str, transport: str) -> None:
    with ShellLab(faults=Faults(**fault)) as bench:
        with bench.host(auth, tls) as host, pytest.raises(ProtocolError):
            observe(host)
        until = 3 if "redirect" in fault else len(bench.lab.requests)
        assert len(bench.lab.requests) == until
        assert ASKING[transport] not in bench.actions()


@pytest.mark.parametrize("back", [3, 2, 1, 0])
def test_an_unencrypted_answer_is_always_rejected(transport: str, back: int) -> None:
    message = FIRST_OUTPUT[transport] - back
    with ShellLab(faults=Faults(plaintext=At(message))) as bench:
        with bench.host("ntlm", "off") as host, pytest.raises(ProtocolError, match="unencrypted"):
            observe(host)
        assert len(bench.lab.messages) == message


@pytest.mark.parametrize(("transport", "fault"), [("psrp", "garbage"), ("psrp", "host_call"), ("winrs", "garbage")], indirect=["transport"])
def test_strange_remoting_messages_end_the_run(fault: str) -> None:
    with ShellLab(faults=Faults(**{fault: every()})) as bench:
        with bench.host() as host, pytest.raises(ProtocolError) as caught:
            observe(host)
        assert "Send" not in bench.actions()  # nothing was answered
        assert bench.actions()[-1] == "Delete"
    assert ("prompt" in str(caught.value)) == (fault == "host_call")


REWRITES: dict[str, Callable[[list[str]], list[Any]]] = {
    "a number": lambda lines: [42],
    "no done": lambda lines: ["\n".join(lines[:-1])],
    "two done": lambda lines: ["\n".join([*lines, lines[-1]])],
    "no hello": lambda lines: ["\n".join(lines[1:])],
    "nothing": lambda lines: [],
    "a huge string": lambda lines: ['{"event":"note","step":null,"kind":"holder","item":null,"text":"' + "x" * 2_000_000 + '"}'],
    "many objects": lambda lines: [lines[0]] + ['{"event":"note","step":null,"kind":"holder","item":null,"text":""}'] * 21_000,
    "nothing without end": lambda lines: [""] * 10,
    "nesting": lambda lines: ["[" * 100_000],
    "control characters": lambda lines: ["\x1b]0;pwn\x07"],
}


@pytest.mark.parametrize("rewrite", REWRITES.values(), ids=REWRITES.keys())
def test_events_that_break_the_contract_end_the_run(rewrite: Callable[[list[str]], list[Any]]) -> None:
    with ShellLab() as bench:
        bench.machine.faults.rewrite = rewrite
        with bench.host(wait_s=20) as host, pytest.raises(ProtocolError) as caught:
            observe(host, deadline_s=40)
        assert bench.actions()[-1] == "Delete"
    assert str(caught.value).isprintable()


def test_a_script_that_does_not_run_is_a_failure_with_its_reason() -> None:
    with ShellLab() as bench:
        with (
            bench.host(script=OTHER_SCRIPT) as host,
            pytest.raises(StepFailedError, match="replay host"),
        ):
            observe(host)
        assert bench.actions()[-1] == "Delete"


def test_a_shell_is_not_used_after_an_error() -> None:
    with ShellLab() as bench, bench.host(script=OTHER_SCRIPT) as host:
        with pytest.raises(StepFailedError):
            observe(host)
        before = len(bench.lab.requests)
        with pytest.raises(LostConnectionError, match="closed"):
            observe(host)
        assert len(bench.lab.requests) == before


def test_what_the_listener_raises_comes_out_as_it_is() -> None:
    class Unforeseen(Exception):
        pass

    def listener(event: Event) -> None:
        raise Unforeseen

    with ShellLab() as bench:
        with bench.host() as host, pytest.raises(Unforeseen):
            host.request(Request(RUN, "observe", (StepRequest(STEP, {}),)), listener, Deadline(HANG_S))
        assert bench.actions()[-1] == "Delete"


# Connections: what is tried again, and what is not.


@pytest.mark.parametrize(("auth", "tls"), LOGONS)
def test_503_is_tried_again_while_connecting(auth: str, tls: str) -> None:
    with ShellLab(faults=Faults(unavailable=2, retry_after_s=0)) as bench, bench.host(auth, tls) as host:
        assert names(observe(host))[-1] == "done"
        assert [record.status for record in bench.lab.requests[:3]].count(503) == 2


def test_503_for_ever_ends_in_time() -> None:
    with ShellLab(faults=Faults(unavailable=10_000, retry_after_s=1)) as bench, bench.host(connect_s=2.0) as host:
        begun = time.monotonic()
        with pytest.raises(UnreachableError, match="503"):
            observe(host)
        assert 0.5 < time.monotonic() - begun < HANG_S


@pytest.mark.parametrize("known", [False, True], ids=["first contact", "later shell"])
def test_nothing_listening_is_tried_again(known: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some times at the first contact, and as long as connecting may take where a shell was there before."""
    attempts: list[int] = []
    resolve = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, port, **options: (attempts.append(port), resolve(host, port, **options))[1])
    with ShellLab() as bench:
        begun = time.monotonic()
        with (
            shell_class()(bench.target(port=1), script=SCRIPT, connect_timeout_s=5.0, known=known) as host,
            pytest.raises(UnreachableError, match="refused the connection"),
        ):
            observe(host)
        assert time.monotonic() - begun > (3.5 if known else 1.5)
    assert attempts.count(1) > FIRST_ATTEMPTS if known else attempts.count(1) == FIRST_ATTEMPTS


def test_a_port_that_breaks_off_each_log_on_is_given_up_soon() -> None:
    """NTLM over http at a port that speaks TLS."""
    with ShellLab() as bench:
        target = bench.target("ntlm", "off", port=bench.lab.https_port)
        begun = time.monotonic()
        with shell_class()(target, script=SCRIPT) as host, pytest.raises(UnreachableError):
            observe(host)
        assert time.monotonic() - begun < HANG_S
        assert host.traffic.connections == FIRST_ATTEMPTS


@pytest.mark.parametrize(("auth", "tls"), LOGONS)
@pytest.mark.parametrize("back", [2, 0])
@pytest.mark.parametrize("cut", ["cut_request", "cut_answer"])
def test_a_read_that_is_lost_is_read_again(auth: str, tls: str, transport: str, back: int, cut: str) -> None:
    """A plan has two Receives. Nothing is lost, and nothing comes twice."""
    with ShellLab(faults=Faults(**{cut: At(FIRST_OUTPUT[transport] - back)})) as bench:
        with bench.host(auth, tls) as host:
            assert names(observe(host)) == ["hello", "observed", "done"]
        assert len(bench.machine.exchanges) == 1
        assert host.traffic.connections == 2
        assert bench.actions()[-1] == "Delete"


@pytest.mark.parametrize(("auth", "tls"), LOGONS)
@pytest.mark.parametrize("message", [1, 2, 3, 4, 5])
def test_a_connection_closed_while_idle_is_made_again(auth: str, tls: str, message: int) -> None:
    with ShellLab(faults=Faults(cut_after=At(message))) as bench:
        with bench.host(auth, tls) as host:
            assert names(observe(host)) == ["hello", "observed", "done"]
        assert len(bench.machine.exchanges) == 1


@pytest.mark.parametrize(("auth", "tls"), LOGONS)
@pytest.mark.parametrize("secrets", [{}, {"pfx": Secret("x")}], ids=["whole", "secrets to come"])
@pytest.mark.parametrize("cut", ["cut_request", "cut_answer"])
def test_a_request_that_is_lost_is_not_sent_again(auth: str, tls: str, transport: str, cut: str, secrets: dict[str, Secret]) -> None:
    """Where only an answer was lost, its output is received, and what it writes is not ended in the middle."""
    whole = transport == "winrs" or not secrets
    with ShellLab() as bench, bench.host(auth, tls) as host:
        observe(host, lock=True)
        bench.machine.faults.pause_s = 0.3
        sent = len(bench.lab.messages)
        setattr(bench.faults, cut, At(sent + 1))
        if cut == "cut_answer" and whole:
            assert names(apply(host)) == ["applying", "applied", "done"]
            assert len(bench.machine.exchanges) == 2
        else:
            with pytest.raises(LostConnectionError):
                apply(host, secrets=secrets)
            assert len(bench.machine.exchanges) == 1
        # Over WinRS the second is the question whether it has arrived.
        assert bench.actions()[sent:].count(ASKING[transport]) == (2 if transport == "winrs" else 1)
    assert bench.actions()[-1] == "Delete"
    assert bench.machine.holder is None


def test_two_lost_answers_do_not_end_a_write_in_its_middle(transport: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy Windows the second need be no accident: what it answers to the question then is that it is busy (170)."""
    monkeypatch.setattr(retry, "ASK_PAUSE_S", 0.05)
    with ShellLab() as bench, bench.host() as host:
        observe(host, lock=True)
        bench.machine.faults.pause_s = 0.5
        sent = len(bench.lab.messages)
        bench.faults.cut_answer = At(sent + 1, sent + 2)
        assert names(apply(host)) == ["applying", "applied", "done"]
        assert len(bench.machine.exchanges) == 2


@pytest.mark.parametrize("transport", ["winrs"], indirect=True)
def test_the_question_whether_a_request_has_arrived_is_not_asked_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "ASK_PAUSE_S", 0.05)
    with ShellLab() as bench, bench.host() as host:
        observe(host, lock=True)
        sent = len(bench.lab.messages)
        bench.faults.cut_answer = At(sent + 1, sent + 9)
        with pytest.raises(LostConnectionError):
            apply(host)
        assert bench.actions()[sent:].count("Send") == 1 + retry.ASKS


def test_a_request_of_several_messages_that_loses_the_first_ends_at_once() -> None:
    """The host waits for the others, and would be waited for until the deadline."""
    with ShellLab() as bench, bench.host() as host:
        observe(host, lock=True)
        bench.faults.cut_answer = At(len(bench.lab.messages) + 1)
        request = Request(RUN, "upload", (), True, {"who": "me", "file": "arr", "offset": 0, "data": "A" * 600_000})
        begun = time.monotonic()
        with pytest.raises(LostConnectionError):
            host.request(request, lambda event: None, Deadline(10 * HANG_S))
        assert time.monotonic() - begun < HANG_S
        assert len(bench.machine.exchanges) == 1


@pytest.mark.parametrize("transport", ["winrs"], indirect=True)
@pytest.mark.parametrize("cut", ["cut_request", "cut_answer"])
def test_the_start_of_the_bootstrap_is_not_sent_again_and_its_shell_is_deleted(cut: str) -> None:
    with ShellLab(faults=Faults(**{cut: At(2)})) as bench:
        with bench.host() as host, pytest.raises(LostConnectionError):
            observe(host)
        assert bench.actions() == ["Create", "Command", "Delete"]


@pytest.mark.parametrize("transport", ["winrs"], indirect=True)
def test_a_request_that_never_arrived_is_known_at_once() -> None:
    """The bootstrap answers that it has nothing; without that the controller would wait until the deadline."""
    with ShellLab() as bench, bench.host(wait_s=20) as host:
        observe(host, lock=True)
        bench.faults.cut_request = At(len(bench.lab.messages) + 1)
        begun = time.monotonic()
        with pytest.raises(LostConnectionError, match="did not start the request"):
            apply(host, deadline_s=10 * HANG_S)
        assert time.monotonic() - begun < HANG_S


@pytest.mark.parametrize("transport", ["winrs"], indirect=True)
def test_the_last_piece_of_a_request_that_is_lost_is_asked_for() -> None:
    with ShellLab() as bench, bench.host() as host:
        observe(host, lock=True)
        request = Request(RUN, "upload", (), True, {"who": "me", "file": "arr", "offset": 0, "data": "A" * 250_000})
        bench.faults.cut_request = At(len(bench.lab.messages) + 3)
        with pytest.raises(LostConnectionError, match="did not start the request"):
            host.request(request, lambda event: None, Deadline(HANG_S))
        assert len(bench.machine.exchanges) == 1
    with ShellLab() as bench, bench.host() as host:
        observe(host, lock=True)
        bench.faults.cut_answer = At(len(bench.lab.messages) + 3)
        host.request(request, lambda event: None, Deadline(HANG_S))
        assert len(bench.machine.exchanges) == 2
        # The question is still in the bootstrap's input; the next request is not disturbed by it.
        assert names(apply(host)) == ["applying", "applied", "done"]


@pytest.mark.parametrize("transport", ["winrs"], indirect=True)
def test_a_host_that_runs_no_powershell_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    with ShellLab() as bench, bench.host() as host:
        start = bench.lab.engine.open_process
        monkeypatch.setattr(bench.lab.engine, "open_process", lambda asked, output: start(replace(asked, command="another.exe"), output))
        with pytest.raises(RefusedError, match=r"does not run powershell\.exe") as caught:
            observe(host)
    assert bench.actions()[-1] == "Delete"
    assert "replay host" in str(caught.value.detail)


@pytest.mark.parametrize("cut", ["cut_request", "cut_answer"])
def test_a_create_that_is_lost_is_not_sent_again(cut: str) -> None:
    with ShellLab(faults=Faults(**{cut: At(1)})) as bench:
        with bench.host() as host, pytest.raises(LostConnectionError):
            observe(host)
        assert bench.actions() == ["Create"]


@pytest.mark.parametrize(("auth", "tls"), [("ntlm", "pin"), ("ntlm", "off")])
@pytest.mark.parametrize("cut", ["cut_request", "cut_answer", "cut_after"])
def test_a_plan_survives_or_ends_cleanly_wherever_it_is_cut(auth: str, tls: str, cut: str) -> None:
    """The connection ends at each message of plan and apply in turn: each is done once, or an error reports it."""
    for message in range(1, 9):
        with ShellLab(faults=Faults(**{cut: At(message)})) as bench:
            with contextlib.suppress(LostConnectionError), bench.host(auth, tls) as host:
                observe(host, lock=True)
                apply(host)
            operations = [exchange.request["operation"] for exchange in bench.machine.exchanges]
            assert operations in ([], ["observe"], ["observe", "apply"])
            assert bench.machine.holder is None or bench.actions()[-1] != "Delete"


def test_a_read_that_is_lost_again_and_again_is_given_up(transport: str) -> None:
    with ShellLab(faults=Faults(cut_request=every(first=FIRST_OUTPUT[transport]))) as bench:
        with bench.host("basic") as host, pytest.raises(LostConnectionError):
            observe(host)
        assert bench.actions().count("Receive") <= 4


def test_a_stalled_answer_ends_at_the_operations_time_and_is_read_again(monkeypatch: pytest.MonkeyPatch, transport: str) -> None:
    monkeypatch.setattr("lyncarr.hosts.http.transport.GRACE_S", 0.2)
    with ShellLab(faults=Faults(stall=At(FIRST_OUTPUT[transport]))) as bench, bench.host(wait_s=1) as host:
        assert names(observe(host)) == ["hello", "observed", "done"]
        assert len(bench.machine.exchanges) == 1


def test_the_runs_deadline_ends_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lyncarr.hosts.shell.CLOSE_S", 0.5)
    with ShellLab(faults=Faults(stall=every(first=4))) as bench:
        begun = time.monotonic()
        with bench.host(wait_s=200) as host, pytest.raises(LostConnectionError, match="did not finish within 1 s"):
            observe(host, deadline_s=1.0)
        assert time.monotonic() - begun < HANG_S


def test_a_dripping_answer_ends_at_the_runs_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lyncarr.hosts.shell.CLOSE_S", 0.5)
    with ShellLab(faults=Faults(drip=every(first=2), drip_interval_s=0.05)) as bench:
        begun = time.monotonic()
        with bench.host(wait_s=200) as host, pytest.raises(LostConnectionError):
            observe(host, deadline_s=1.0)
        assert time.monotonic() - begun < HANG_S


# A real PowerShell behind the same wire.


@pytest.fixture
def real(pwsh: str) -> Iterator[LabServer]:
    with LabServer(PowerShellEngine([pwsh]), password=PASSWORD) as lab:
        yield lab


@pytest.mark.powershell
@pytest.mark.parametrize(("auth", "tls"), [("basic", "pin"), ("negotiate", "off")])
def test_a_real_powershell_keeps_its_state_and_gets_the_secrets(real: LabServer, auth: str, tls: str) -> None:
    trust, port = (Tls("off"), real.http_port) if tls == "off" else (Tls("pin", pin=real.pin), real.https_port)
    with shell_class()(Target("rp01", real.address, port, real.user, Secret(PASSWORD), AuthMethod(auth), trust), script=SCRIPT) as host:
        first = observe(host, deadline_s=HANG_S)
        assert len(real.requests) <= (6 if auth == "basic" else 9)
        assert names(first) == ["hello", "observed", "done"]
        second = apply(host, secrets={"pfx": Secret("x" * 400_000)}, deadline_s=HANG_S)
        assert second[1].data["steps"][STEP]["item"] == {"calls": 2, "secret_characters": len('{"pfx": ""}') + 400_000}


@pytest.mark.powershell
@pytest.mark.parametrize(
    ("transport", "parameter", "text"),
    [("psrp", "fail", "nobody catches this"), ("psrp", "ask", "user interaction"), ("winrs", "fail", "nobody catches this")],
    indirect=["transport"],
)
def test_failures_in_a_real_powershell_are_reported(real: LabServer, parameter: str, text: str) -> None:
    target = Target("rp01", real.address, real.https_port, real.user, Secret(PASSWORD), AuthMethod.ntlm, Tls("pin", pin=real.pin))
    with shell_class()(target, script=SCRIPT) as host:
        observe(host, deadline_s=HANG_S)
        request = Request(RUN, "apply", (StepRequest(STEP, {}, {parameter: True}),), True)
        with pytest.raises(StepFailedError, match=text):
            host.request(request, lambda event: None, Deadline(HANG_S))
    assert real.messages[-1].action == "Delete"


@pytest.mark.powershell
def test_a_real_powershell_is_stopped(real: LabServer) -> None:
    target = Target("rp01", real.address, real.https_port, real.user, Secret(PASSWORD), AuthMethod.ntlm, Tls("pin", pin=real.pin))
    with shell_class()(target, script=SCRIPT) as host:
        observe(host, deadline_s=HANG_S)
        request = Request(RUN, "apply", (StepRequest(STEP, {}, {"seconds": 2}),), True)
        with pytest.raises(LostConnectionError, match="interrupted"):
            host.request(request, lambda event: host.interrupt(), Deadline(HANG_S))
    actions = [record.action for record in real.messages]
    assert "Signal" in actions
    assert actions[-1] == "Delete"


# Stopping.


@pytest.mark.parametrize(("auth", "tls"), LOGONS)
def test_interrupt_stops_what_runs_and_deletes_the_shell(auth: str, tls: str) -> None:
    with ShellLab() as bench, bench.host(auth, tls) as host:
        observe(host, lock=True)
        bench.machine.faults.pause_s = 10 * HANG_S
        start_at(bench.lab, "Receive", threading.Timer(0.4, host.interrupt))
        begun = time.monotonic()
        with pytest.raises(LostConnectionError, match=r"stopped|interrupted"):
            apply(host, deadline_s=10 * HANG_S)
        host.close()
        assert time.monotonic() - begun < HANG_S
        assert bench.actions()[-1] == "Delete"
        assert "Signal" in bench.actions()
        assert bench.machine.holder is None
    assert bench.machine.states[STEP]["meet.contoso.com"]["timeout_s"] == 120


def test_interrupt_from_the_listener_ends_the_request() -> None:
    with ShellLab() as bench, bench.host() as host:
        observe(host, lock=True)
        bench.machine.faults.pause_s = 30.0
        request = Request(RUN, "apply", (StepRequest(STEP, DESIRED),), True)
        with pytest.raises(LostConnectionError, match="interrupted"):
            host.request(request, lambda event: host.interrupt(), Deadline(HANG_S))
        assert bench.machine.holder is None


@pytest.mark.parametrize(("auth", "tls"), LOGONS)
def test_a_signal_in_mid_answer_leaves_a_shell_that_can_be_interrupted(auth: str, tls: str) -> None:
    """Ctrl-C raises in the main thread, out of a read: the half-read connection must not be used for stopping."""

    class PressedError(BaseException):
        pass

    def pressed(number: int, frame: FrameType | None) -> None:
        raise PressedError

    with ShellLab() as bench, bench.host(auth, tls) as host:
        observe(host, lock=True)
        bench.machine.faults.pause_s = 30.0
        before = signal.signal(signal.SIGALRM, pressed)
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.4)
            with pytest.raises(PressedError):
                apply(host)
        finally:
            signal.signal(signal.SIGALRM, before)
        host.interrupt()
        assert bench.machine.holder is None
        assert "Signal" in bench.actions()
        assert bench.actions()[-1] == "Delete"


def test_interrupt_before_anything_ran_does_no_harm() -> None:
    with ShellLab() as bench:
        with bench.host() as host:
            host.interrupt()
            with pytest.raises(LostConnectionError):
                observe(host)
        assert bench.lab.requests == []


def test_a_second_shell_waits_for_the_first_to_go() -> None:
    with ShellLab() as bench:
        with bench.host() as first:
            observe(first, lock=True)
            with bench.host() as second:
                assert names(observe(second, lock=True)) == ["hello", "failed", "done"]
        with bench.host() as third:
            assert names(observe(third, lock=True)) == ["hello", "observed", "done"]


# Two hosts at once.


def test_two_hosts_in_two_threads_leave_warnings_and_logging_as_they_were() -> None:
    """Whichever thread ends last: both are in the middle of a request at the same time."""
    filters = list(warnings.filters)
    loggers = [(logging.getLogger(name).level, logging.getLogger(name).propagate) for name in LOGGERS]
    both = threading.Barrier(2, timeout=HANG_S)
    seen: dict[int, list[str]] = {}

    def run(number: int, bench: ShellLab) -> None:
        def meet(event: Event) -> None:
            seen.setdefault(number, []).append(event.name)
            if event.name == "hello":
                both.wait()

        with bench.host() as host:
            host.request(Request(RUN, "observe", (StepRequest(STEP, {}),), False, {"who": "me"}), meet, Deadline(HANG_S))

    with ShellLab() as first, ShellLab() as second:
        threads = [threading.Thread(target=run, args=(number, bench)) for number, bench in enumerate((first, second))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert seen == {0: ["hello", "observed", "done"], 1: ["hello", "observed", "done"]}
    assert list(warnings.filters) == filters
    assert [(logging.getLogger(name).level, logging.getLogger(name).propagate) for name in LOGGERS] == loggers


# Secrets.


def forms(secret: str) -> list[str]:
    raw, wide = secret.encode(), secret.encode("utf-16-le")
    escaped = secret.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return [
        secret,
        escaped,
        base64.b64encode(raw).decode(),
        base64.b64encode(wide).decode(),
        base64.b64encode(f"Administrator:{secret}".encode()).decode(),
    ]


@pytest.fixture
def logs() -> Iterator[list[str]]:
    """Every message of every logger, at the lowest level, once the command line has silenced the libraries."""
    lines: list[str] = []
    quiet_libraries()

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if not record.name.startswith("psrpcore"):  # the lab's half of the protocol
                lines.append(record.getMessage())

    handler = Keep()
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.DEBUG)
    root.addHandler(handler)
    yield lines
    root.removeHandler(handler)
    root.setLevel(level)


FAILURES: list[dict[str, Any]] = [
    {},
    {"refuse_authentication": True},
    {"refuse_after": 2},
    {"html": At(2)},
    {"doctype": At(2)},
    {"garbage": every()},
    {"host_call": every()},
    {"plaintext": At(2)},
    {"cut_request": every(first=3)},
    {"wrong_relates_to": At(3)},
    {"redirect": At(2, over="requests")},
]


@pytest.mark.parametrize(("auth", "tls"), [("basic", "pin"), ("ntlm", "pin"), ("ntlm", "off")])
@pytest.mark.parametrize("fault", FAILURES, ids=lambda fault: next(iter(fault), "none"))
def test_no_secret_gets_out(auth: str, tls: str, fault: dict[str, Any], logs: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    said: list[str] = []
    other = "canary-of-the-input"
    with ShellLab(faults=Faults(**fault)) as bench:
        host = bench.host(auth, tls)
        try:
            with host:
                observe(host, lock=True)
                apply(host, secrets={"pfx": Secret(other)})
        except LyncarrError as error:
            chain: BaseException | None = error
            while chain is not None:
                said += [repr(chain), str(chain), str(getattr(chain, "detail", "")), repr(getattr(chain, "__dict__", ""))]
                chain = chain.__cause__ or chain.__context__
        said += [repr(host), repr(host.__dict__), repr(host._target), repr(host._transport.__dict__)]
        requests = [exchange.request for exchange in bench.machine.exchanges]
    said += [repr(requests), *logs, *capfd.readouterr()]
    for secret in (PASSWORD, other):
        for form in forms(secret):
            assert not [text for text in said if form in text]
    assert not [line for line in logs if "Envelope" in line]
