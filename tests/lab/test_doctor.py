"""lyncarr doctor names the cause: each fault on the way to a host, the check that it fails, its next move and its exit code."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lyncarr.core.kinds import AuthMethod
from lyncarr.core.model import Secret
from lyncarr.hosts.target import Target, Tls
from lyncarr.lab.replay.machine import Machine
from lyncarr.lab.wire.certs import server_identity
from lyncarr.powershell.bundle import Script, shipped
from lyncarr.runs import doctor
from lyncarr.runs.doctor import CHECKS, examine
from tests.lab.console import PASSWORD, Bench, Done
from tests.unit.raw_server import RawServer

GOLDEN = Path(__file__).parent / "golden"
ACCESS_DENIED = 5
MAX_SHELLS = 0x803381A5
CHANGING = re.compile(r"127\.0\.0\.1:\d+|(?<=ok       )\d+(?= is open)|[0-9A-F]{64}|\d{4}-\d\d-\d\d")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "CONNECT_S", 1.5)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with Bench(tmp_path) as made:
        yield made


def compare(name: str, text: str) -> None:
    known = (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")
    assert CHANGING.sub("*", text) == known


def findings(done: Done) -> dict[str, dict[str, Any]]:
    found = {event["check"]: event for event in done.events if event["event"] == "finding"}
    assert list(found) == list(CHECKS)
    return found


def failed(done: Done) -> tuple[str, str, int]:
    """The check that failed, its sentence, and the exit code; all before it went well, and all after it were skipped."""
    found = findings(done)
    at = next(check for check in CHECKS if found[check]["result"] == "failed")
    number = CHECKS.index(at)
    assert {found[check]["result"] for check in CHECKS[:number]} <= {"ok", "skipped", "warning"}
    assert {found[check]["result"] for check in CHECKS[number + 1 :]} <= {"skipped"}
    error = found[at]["error"]
    assert error["message"] == found[at]["text"]
    assert done.events[-1] == {"schema": 1, "event": "summary", "exit_code": done.code, "hosts": {"rp01": "failed"}}
    return at, f"{error['message']} {error['hint']}".strip(), done.code


def test_all_is_well_and_nothing_was_written(bench: Bench) -> None:
    done = bench.run("doctor")
    assert done.code == 0, done.out
    compare("doctor", done.out)
    assert bench.writes == []
    assert [exchange.request["lock"] for exchange in bench.machine.exchanges] == [False]
    assert bench.lab.shells.open_shells == ()


def test_a_failure_for_people(bench: Bench) -> None:
    done = bench.run("doctor", "--tls", "verify", "--verbose")
    assert done.code == 77
    compare("doctor-untrusted", done.out)
    assert done.err.startswith("cause: verify code ")


@pytest.mark.usefixtures("transport")
@pytest.mark.parametrize(("auth", "tls"), [("ntlm", "off"), ("negotiate", "ca"), ("basic", "ca")])
def test_each_way_to_log_on(tmp_path: Path, auth: str, tls: str) -> None:
    with Bench(tmp_path, auth=auth, tls=tls) as bench:
        done = bench.here("doctor")
        assert done.code == 0, done.out
        assert done.events[-1]["hosts"] == {"rp01": "ok"}
        assert findings(done)["logon"]["text"] == f"as Administrator, by {auth}"
        assert findings(done)["tls"]["result"] == ("skipped" if tls == "off" else "ok")


@dataclass
class Case:
    """What is wrong, and what doctor has to say about it."""

    check: str
    code: int
    says: str
    words: tuple[str, ...] = ()
    faults: dict[str, Any] = field(default_factory=dict)
    machine: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    auth: str = "negotiate"
    tls: str = "ca"


CASES = {
    "no such name": Case("name", 69, "cannot be resolved", ("--address", "no-such-host.contoso.test")),
    "silence": Case("tls", 69, "accepts the connection but does not respond", faults={"silent": True}),
    "silence, http": Case("winrm", 69, "did not answer within", faults={"silent": True}, auth="ntlm", tls="off"),
    "untrusted": Case("tls", 77, 'tls = "pin:sha256:', ("--tls", "verify")),
    "another pin": Case("tls", 77, "STOP: ", ("--tls", "pin:sha256:" + "AB" * 32)),
    "expired": Case("tls", 77, "has expired", options={"certificate": server_identity("127.0.0.1", "expired")}),
    "not valid yet": Case("tls", 77, "Compare the clocks", options={"certificate": server_identity("127.0.0.1", "not-yet-valid")}),
    "another name": Case("tls", 77, "is for another name", options={"certificate": server_identity("127.0.0.1", "wrong-name")}),
    "a web server": Case("winrm", 76, "is not a WinRM endpoint (content type text/html)", faults={"web_server": True}),
    "a web server, http": Case("winrm", 76, "is not a WinRM endpoint", faults={"web_server": True}, auth="ntlm", tls="off"),
    "service away": Case("winrm", 69, "WinRM is not available (HTTP 503)", faults={"unavailable": 99}),
    "Basic not offered": Case("winrm", 77, "does not offer the logon method basic, only Negotiate", options={"basic": False}, auth="basic"),
    "wrong account": Case("logon", 77, "refused the logon of nobody (method negotiate", ("--user", "nobody")),
    "no rights": Case("shell", 77, "If PowerShell remoting is disabled, run Enable-PSRemoting", faults={"refuse_shell": ACCESS_DENIED}),
    "no rights, WinRS": Case(
        "shell", 77, "LocalAccountTokenFilterPolicy set to 1.", ("--transport", "winrs"), faults={"refuse_shell": ACCESS_DENIED}
    ),
    "quota": Case("shell", 69, "allows no further remote shell", faults={"refuse_shell": MAX_SHELLS}),
    "old PowerShell": Case("shell", 77, "has PowerShell 3.0; lyncarr requires 4.0", machine={"powershell": "3.0"}),
    "not elevated": Case("rights", 77, "set LocalAccountTokenFilterPolicy to 1", machine={"elevated": False}),
    "old Windows": Case("fit", 77, "Use Windows Server 2012 R2", machine={"build": 7601}),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_cause_is_named(tmp_path: Path, case: Case) -> None:
    with Bench(tmp_path, Machine(**case.machine), auth=case.auth, tls=case.tls, options=case.options) as bench:
        for name, value in case.faults.items():
            setattr(bench.faults, name, value)
        check, sentence, code = failed(bench.here("doctor", *case.words))
        assert (check, code) == (case.check, case.code), sentence
        assert case.says in sentence
        assert bench.writes == []


def test_ports_that_speak_something_else(bench: Bench) -> None:
    check, sentence, code = failed(bench.here("doctor", "--tls", "off", "--auth", "ntlm"))
    assert (check, code) == ("winrm", 76)
    assert "uses TLS on that port" in sentence
    check, sentence, code = failed(bench.here("doctor", "--port", str(bench.lab.http_port)))
    assert (check, code) == ("tls", 76)
    assert "uses HTTP without TLS on that port" in sentence


def test_a_closed_port(bench: Bench) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    check, sentence, code = failed(bench.here("doctor", "--port", str(port)))
    assert (check, code) == ("port", 69)
    assert "no service listens on that port" in sentence


def test_a_port_that_a_firewall_swallows(bench: Bench) -> None:
    """A listener whose queue is full does not answer either."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
        check, sentence, code = failed(bench.here("doctor", "--port", str(listener.getsockname()[1])))
        for one in waiting:
            one.close()
    assert (check, code) == ("port", 69)
    assert "did not answer in time" in sentence


@pytest.mark.parametrize("auth", ["negotiate", "basic"])
def test_a_wrong_password_is_tried_once(tmp_path: Path, auth: str) -> None:
    with Bench(tmp_path, auth=auth) as bench:
        bench.faults.refuse_authentication = True
        check, _, code = failed(bench.here("doctor"))
        assert (check, code) == ("logon", 77)
        assert [record.auth for record in bench.lab.requests].count("refused") == 1


@pytest.mark.parametrize(
    ("ahead_s", "result", "text"),
    [(0, "ok", "the same as on this controller"), (-90, "ok", "behind this controller"), (7200, "warning", "Kerberos allows 5 minutes")],
)
def test_the_clock_is_reported_and_decides_nothing(bench: Bench, ahead_s: float, result: str, text: str) -> None:
    bench.faults.clock_s = ahead_s
    done = bench.here("doctor")
    assert done.code == 0
    assert findings(done)["clock"]["result"] == result
    assert text in findings(done)["clock"]["text"]


@pytest.mark.parametrize("date", ["", "Date: yesterday\r\n", f"Date: Mon, 01 Jan {'9' * 20} 00:00:00 GMT\r\n"])
def test_a_host_that_does_not_tell_its_time(date: str) -> None:
    answer = f"HTTP/1.1 401 Unauthorized\r\n{date}WWW-Authenticate: Negotiate\r\nContent-Length: 0\r\n\r\n".encode()
    with RawServer(answer) as server:
        target = Target("rp01", "127.0.0.1", server.port, "Administrator", Secret(PASSWORD), AuthMethod.ntlm, Tls("off"))
        found = {finding.check: finding for finding in examine(target, shipped())}
    assert (found["clock"].word, found["logon"].word) == ("skipped", "failed")


@pytest.mark.parametrize(
    ("prepare", "says"),
    [
        (lambda bench: None, "antivirus software on the host blocks scripts"),
        (lambda bench: setattr(bench.machine.faults, "rewrite", _denying), "rp01 refused access: access to the path is denied"),
    ],
)
def test_a_script_that_does_not_run(bench: Bench, prepare: Callable[[Bench], None], says: str) -> None:
    prepare(bench)
    script = Script({"look": "another"}) if "antivirus" in says else shipped()
    target = Target(
        "rp01", "127.0.0.1", bench.lab.https_port, "Administrator", Secret(PASSWORD), AuthMethod.basic, Tls("ca", ca=bench.lab.ca_file)
    )
    *_, at, rights, fit = examine(target, script)
    assert (at.check, at.word, rights.word, fit.word) == ("script", "failed", "skipped", "skipped")
    assert at.error is not None
    assert says in f"{at.text} {at.error.hint}"


def _denying(events: list[str]) -> list[str]:
    """The host sends hello, and then reports that access is denied."""
    denied = '{"event":"failed","step":null,"kind":"denied","text":"access to the path is denied","hint":""}'
    return ["\n".join((events[0], denied, '{"event":"done","count":2}'))]


def test_a_hostile_host_works_no_terminal(bench: Bench) -> None:
    bench.machine.os = "\x1b[2J\u202eWindows"
    done = bench.run("doctor")
    assert done.code == 0
    assert "\\x1b[2J\\u202eWindows" in done.out


def test_a_site_file_of_pasted_lines_is_enough(bench: Bench) -> None:
    """What lyncarr bootstrap printed on the server, before anything else is known."""
    (bench.folder / "lyncarr.toml").write_text(
        f'[hosts.rp01]\naddress = "127.0.0.1"\nuser = "Administrator"\nport = {bench.lab.https_port}\n'
        f'tls = "pin:sha256:{bench.lab.pin}"\npassword = "env:LYNCARR_TEST_PASSWORD"\n\n[[farms]]\nservers = ["front-end.invalid"]\n'
    )
    assert bench.here("doctor").code == 0
    assert bench.here("plan").code == 65
    (bench.folder / "lyncarr.toml").write_text('[hosts.rp01]\naddres = "127.0.0.1"\n')
    done = bench.here("doctor")
    assert done.code == 65
    assert "unknown key `hosts.rp01.addres`; did you mean `address`?" in done.err


def test_an_address_and_an_account_need_no_site_file(bench: Bench) -> None:
    (bench.folder / "lyncarr.toml").unlink()
    way = ["--tls", f"pin:sha256:{bench.lab.pin}", "--port", str(bench.lab.https_port), "--password-from", "env:LYNCARR_TEST_PASSWORD"]
    done = bench.run("doctor", "--address", "127.0.0.1", "--user", "Administrator", *way)
    assert done.code == 0
    assert "Next: add the host to a configuration file (lyncarr init DOMAIN writes one), then run lyncarr plan." in done.out
    done = bench.run("doctor", "--address", "127.0.0.1", "--user", "Administrator", "--site", "other.toml", *way)
    assert done.code == 65


def test_misuse_is_refused_before_any_contact(bench: Bench) -> None:
    done = bench.here("doctor", "--tls", "maybe")
    assert done.code == 64
    assert done.out == ""
    assert bench.lab.connections == 0
