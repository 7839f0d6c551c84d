"""The simulated host as unmodified pypsrp sees it, with both engines behind the wire."""

from __future__ import annotations

import gzip
import hashlib
import json
import shlex
import socket
import ssl
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pypsrp.negotiate
import pytest
import requests
from pypsrp.complex_objects import PSInvocationState
from pypsrp.exceptions import AuthenticationError, FragmentError, WinRMError, WinRMTransportError, WSManFaultError
from pypsrp.host import PSHost, PSHostUserInterface
from pypsrp.powershell import RunspacePool

from lyncarr.lab.real.powershell import PowerShellEngine
from lyncarr.lab.replay.machine import Machine, MachineFaults
from lyncarr.lab.wire import wsman
from lyncarr.lab.wire.certs import Authority, Variant, client_identity, server_identity
from lyncarr.lab.wire.faults import At, Faults, every
from lyncarr.lab.wire.server import LabServer
from tests.lab.lab_client import (
    SCRIPT,
    TRANSPORTS,
    connect,
    envelope,
    eventually,
    first,
    further,
    gone,
    pipeline,
    pool,
    post,
    replay,
    request,
    script,
    start_at,
)
from tests.patience import HANG_S


@pytest.fixture(scope="module")
def pwsh_lab(pwsh: str) -> Iterator[LabServer]:
    with LabServer(PowerShellEngine(shlex.split(pwsh))) as lab:
        yield lab


@pytest.fixture(params=["replay", pytest.param("pwsh", marks=pytest.mark.powershell)])
def either(request: pytest.FixtureRequest) -> Iterator[tuple[LabServer, str]]:
    """A lab with each engine, and the script that it runs."""
    if request.param == "replay":
        with LabServer(replay()) as lab:
            yield lab, SCRIPT.bundles["look"]
    else:
        with LabServer(PowerShellEngine(shlex.split(request.getfixturevalue("pwsh")))) as lab:
            yield lab, script("echo")


@pytest.fixture
def lab() -> Iterator[LabServer]:
    with LabServer(replay()) as server:
        yield server


def fails_with(errors: tuple[type[Exception], ...], call: Callable[[], object]) -> Callable[[], None]:
    """A thread's work that must end in one of `errors`."""

    def work() -> None:
        with pytest.raises(errors):
            call()

    return work


# Transports and authentication


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_replay_answers_over_every_transport(lab: LabServer, transport: str) -> None:
    with pool(lab, **TRANSPORTS[transport]) as runspaces:
        [text] = first(runspaces, request())
    assert [json.loads(line)["event"] for line in text.splitlines()] == ["hello", "observed", "done"]
    assert all(record.sealed == ("sealed" in transport) for record in lab.messages)


@pytest.mark.powershell
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_powershell_answers_over_every_transport(pwsh_lab: LabServer, transport: str) -> None:
    with pool(pwsh_lab, **TRANSPORTS[transport]) as runspaces:
        assert json.loads(first(runspaces, "abc", script("echo"))[0])["request"] == 3
        assert json.loads(further(runspaces, "abcd")[0])["number"] == 2


@pytest.mark.parametrize(("transport", "legs"), [("https basic", 0), ("https ntlm", 2), ("http ntlm sealed", 3)])
def test_a_plan_costs_six_requests_and_those_of_authentication(lab: LabServer, transport: str, legs: int) -> None:
    with pool(lab, **TRANSPORTS[transport]) as runspaces:
        first(runspaces, request())
    assert [record.action for record in lab.messages] == ["Create", "Receive", "Command", "Receive", "Delete"]
    assert len(lab.requests) == 5 + legs
    assert [record.number for record in lab.requests] == list(range(1, 6 + legs))


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_wrong_password_is_refused_and_nothing_is_run(lab: LabServer, transport: str) -> None:
    with pytest.raises(AuthenticationError), pool(lab, password="not it", **TRANSPORTS[transport]):
        pass
    assert not lab.messages
    assert lab.requests[-1].status == 401
    assert not lab.shells.open_shells


def test_a_host_without_basic_does_not_offer_it() -> None:
    with LabServer(replay(), basic=False) as lab:
        assert post(lab).headers["WWW-Authenticate"] == "Negotiate"
        with pytest.raises(AuthenticationError), pool(lab, auth="basic"):
            pass
        with pool(lab, auth="ntlm"):
            pass
    with LabServer(replay()) as lab:
        answer = requests.post(f"https://{lab.address}:{lab.https_port}/wsman", verify=str(lab.ca_file), timeout=HANG_S)
        assert answer.headers["WWW-Authenticate"] == 'Negotiate, Basic realm="WSMAN"'


def test_unknown_user_is_refused(lab: LabServer) -> None:
    for auth in ("basic", "ntlm"):
        with pytest.raises(AuthenticationError), pool(lab, auth=auth, username="Guest"):
            pass
    assert not lab.messages


@pytest.mark.parametrize("user", ["administrator", "RP01\\Administrator", ".\\Administrator"])
def test_the_account_may_be_named_with_its_computer(lab: LabServer, user: str) -> None:
    with pool(lab, auth="ntlm", username=user) as runspaces:
        assert first(runspaces, request())


@pytest.mark.parametrize("auth", ["basic", "ntlm"])
def test_passwords_may_hold_anything(auth: str) -> None:
    with LabServer(replay(), password='a:b "ü" <&> \\') as lab, pool(lab, auth=auth) as runspaces:
        assert first(runspaces, request())


def test_hosts_of_one_process_keep_their_passwords_apart() -> None:
    with LabServer(replay(), password="one") as one, LabServer(replay(), password="two") as two:
        failures: list[BaseException] = []

        def log_on(lab: LabServer, right: bool) -> None:
            try:
                for _ in range(5):
                    if right:
                        with pool(lab, ssl=False, auth="ntlm"):
                            pass
                    else:
                        with pytest.raises(AuthenticationError), pool(lab, ssl=False, auth="ntlm", password="three"):
                            pass
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=log_on, args=(lab, right)) for lab in (one, two) for right in (True, False)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures


def test_ntlm_without_channel_binding_is_refused_over_tls(lab: LabServer) -> None:
    with pytest.raises(AuthenticationError), pool(lab, auth="ntlm", negotiate_send_cbt=False):
        pass
    assert not lab.messages


def test_ntlm_with_another_channel_binding_is_refused(lab: LabServer, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = server_identity(lab.address).binding  # what a man in the middle would have
    monkeypatch.setattr(pypsrp.negotiate.HTTPNegotiateAuth, "_get_cbt_data", staticmethod(lambda response: wrong))
    with pytest.raises(AuthenticationError), pool(lab, auth="ntlm"):
        pass
    assert not lab.messages


def test_http_takes_sealed_messages_only(lab: LabServer) -> None:
    with pytest.raises(WinRMTransportError, match="500"), pool(lab, ssl=False, auth="ntlm", encryption="never"):
        pass
    with pytest.raises(AuthenticationError), pool(lab, ssl=False, auth="basic", encryption="never"):
        pass
    assert not lab.messages


def test_a_sealed_message_on_a_new_connection_is_no_message(lab: LabServer) -> None:
    with pool(lab, ssl=False, auth="ntlm") as runspaces:
        transport = runspaces.connection.transport
        sealed = transport.encryption.wrap_message(envelope(wsman.GET).encode())[1]
        headers = {"Content-Type": 'multipart/encrypted;protocol="x";boundary="Encrypted Boundary"'}
        answer = requests.post(f"http://{lab.address}:{lab.http_port}/wsman", data=sealed, headers=headers, timeout=HANG_S)
        assert answer.status_code == 401
        transport.session = transport.encryption = None  # what a client must do when its connection is gone
        assert first(runspaces, request())


def test_log_on_by_client_certificate(tmp_path: Path) -> None:
    authority = Authority("clients")
    for name, signer in (("right", authority), ("wrong", Authority("clients"))):
        identity = client_identity(signer, "Administrator")
        (tmp_path / f"{name}.pem").write_bytes(identity.certificate)
        (tmp_path / f"{name}.key").write_bytes(identity.key)

    def options(name: str) -> dict[str, Any]:
        return {
            "auth": "certificate",
            "certificate_pem": str(tmp_path / f"{name}.pem"),
            "certificate_key_pem": str(tmp_path / f"{name}.key"),
        }

    with LabServer(replay(), client_authority=authority.certificate) as lab:
        with pool(lab, **options("right")) as runspaces:
            assert first(runspaces, request())
        assert len(lab.requests) == 5
        with pytest.raises(requests.ConnectionError), pool(lab, **options("wrong")):
            pass
        assert len(lab.requests) == 5
    with LabServer(replay()) as lab, pytest.raises(AuthenticationError), pool(lab, **options("right")):
        pass


@pytest.mark.parametrize(
    ("variant", "reason"),
    [
        ("expired", "expired"),
        ("not-yet-valid", "not yet valid"),
        ("wrong-name", "IP address mismatch"),
        ("short-key", "EE certificate key too weak"),
    ],
)
def test_bad_certificates_are_bad_in_the_way_they_say(variant: Variant, reason: str) -> None:
    identity = server_identity("127.0.0.1", variant)
    with LabServer(replay(), certificate=identity) as lab:
        context = ssl.create_default_context(cafile=str(lab.ca_file))
        with socket.create_connection((lab.address, lab.https_port)) as connection, pytest.raises(ssl.SSLError, match=reason):
            context.wrap_socket(connection, server_hostname=lab.address)
        assert eventually(lambda: lab.failed_handshakes == 1)
        assert not lab.requests


def test_the_pin_is_the_hash_of_the_certificate_shown() -> None:
    with LabServer(replay(), certificate=server_identity("127.0.0.1", "self-signed")) as lab:
        shown = ssl.get_server_certificate((lab.address, lab.https_port))
        assert hashlib.sha256(ssl.PEM_cert_to_DER_cert(shown)).hexdigest().upper() == lab.pin


# What a shell keeps, carries and forgets


@pytest.mark.powershell
def test_state_stays_in_the_shell_and_shells_are_apart(pwsh_lab: LabServer) -> None:
    with pool(pwsh_lab) as one, pool(pwsh_lab) as two:
        processes = {json.loads(first(each, "", script("echo"))[0])["process"] for each in (one, two)}
        assert len(processes) == 2
        assert [json.loads(further(one, "")[0])["number"] for _ in range(3)] == [2, 3, 4]
        assert json.loads(further(two, "")[0])["number"] == 2


@pytest.mark.powershell
def test_big_input_and_big_output(pwsh_lab: LabServer) -> None:
    with pool(pwsh_lab) as runspaces:
        first(runspaces, "", script("echo"))
        assert json.loads(further(runspaces, "", "x" * 400_000)[0])["input"] == 400_000
        [text] = pipeline(runspaces, script("repeat"), Text="0123456789", Times=100_000).invoke()
        assert text == "0123456789" * 100_000


@pytest.mark.powershell
def test_output_is_delivered_as_it_happens(pwsh_lab: LabServer, tmp_path: Path) -> None:
    with pool(pwsh_lab) as runspaces:
        shell = pipeline(runspaces, script("arrived"), Times=3, File=str(tmp_path / "arrived"))
        shell.begin_invoke()
        while shell.state == PSInvocationState.RUNNING:
            shell.poll_invoke()
            if shell.output:
                # The next number comes only when this one has arrived.
                (tmp_path / f"arrived{len(shell.output)}").touch()
    assert shell.output == ["1", "2", "3"]


@pytest.mark.powershell
def test_a_throw_ends_the_pipeline_and_not_the_shell(pwsh_lab: LabServer) -> None:
    with pool(pwsh_lab) as runspaces:
        shell = pipeline(runspaces, script("throw"))
        assert shell.invoke() == ["before"]
        assert shell.state == PSInvocationState.FAILED
        assert str(shell.streams.error[-1]) == "the reason"
        assert first(runspaces, "", script("echo"))


@pytest.mark.powershell
def test_a_stop_ends_the_pipeline_and_not_the_shell(pwsh_lab: LabServer) -> None:
    with pool(pwsh_lab) as runspaces:
        shell = pipeline(runspaces, script("forever"))
        shell.begin_invoke()
        while not shell.output:
            shell.poll_invoke()
        begun = time.monotonic()
        shell.stop()
        assert time.monotonic() - begun < HANG_S
        assert shell.state == PSInvocationState.STOPPED
        assert first(runspaces, "", script("echo"))


@pytest.mark.powershell
@pytest.mark.parametrize("end", ["delete", "idle", "server"])
def test_a_shell_takes_its_processes_with_it(pwsh: str, end: str) -> None:
    lab = LabServer(PowerShellEngine(shlex.split(pwsh)))
    lab.start()
    try:
        connection = connect(lab)
        runspaces = RunspacePool(connection, idle_timeout=2 if end == "idle" else None)
        runspaces.open()
        process = json.loads(first(runspaces, "", script("echo"))[0])["process"]
        shell = pipeline(runspaces, script("child"))
        shell.begin_invoke()
        begun = time.monotonic()
        while not shell.output:
            begun = time.monotonic()
            shell.poll_invoke()
        child = int(shell.output[0])
        assert not gone(process)
        assert not gone(child)
        if end == "delete":
            runspaces.close()
        elif end == "server":
            lab.stop()
        assert eventually(lambda: gone(process) and gone(child))
        assert end != "idle" or time.monotonic() - begun > 1.8
    finally:
        lab.stop()


@pytest.mark.powershell
def test_a_process_that_ends_by_itself_ends_its_shell(pwsh_lab: LabServer) -> None:
    with connect(pwsh_lab) as connection:
        runspaces = RunspacePool(connection)
        runspaces.open()
        with pytest.raises(WSManFaultError, match="PowerShell's process has ended") as ended:
            pipeline(runspaces, script("leave")).invoke()
        assert ended.value.code == wsman.ABORTED
        with pytest.raises(WSManFaultError) as missing:
            pipeline(runspaces, script("echo")).invoke()
        assert missing.value.code == wsman.NO_SUCH_SHELL


def test_a_program_that_is_no_powershell_is_a_fault() -> None:
    complaining = ("/bin/sh", "-c", "echo out of order >&2; exit 69", "sh")
    for command, words in ((complaining, "has ended: out of order"), (("/nonexistent/pwsh",), "FileNotFoundError")):
        with LabServer(PowerShellEngine(command)) as lab:
            with pytest.raises(WSManFaultError, match=words), pool(lab):
                pass
            assert not lab.shells.open_shells


def test_other_resources_and_shells_are_refused(lab: LabServer) -> None:
    create = '<rsp:Shell><creationXml xmlns="http://schemas.microsoft.com/powershell"/></rsp:Shell>'
    other = envelope(wsman.CREATE, body=create, resource=f"{wsman.SHELL_RESOURCE}/telnet")
    for body, words in (
        (other, "serves PowerShell and cmd"),
        (envelope(wsman.CREATE), "without a Shell"),
        (envelope(wsman.CREATE, body="<rsp:Shell/>"), "without a creationXml"),
        (envelope(wsman.RECEIVE, shell_id=str(uuid.uuid4())), "not on the server"),
        ("<not-soap/>", "not a SOAP 1.2 envelope"),
        ("no xml", "not well-formed"),
        ("<!DOCTYPE x>" + envelope(wsman.GET), "document type"),
    ):
        answer = post(lab, body)
        assert (answer.status_code, words in answer.text) == (500, True), words


def test_relates_to_repeats_the_message_id_byte_for_byte(lab: LabServer) -> None:
    body = envelope(wsman.GET)
    message_id = body.split("<a:MessageID>")[1].split("<")[0]
    assert f"<a:RelatesTo>{message_id}</a:RelatesTo>" in post(lab, body).text


def test_requests_for_other_paths_and_methods(lab: LabServer) -> None:
    url = f"http://{lab.address}:{lab.http_port}"
    assert requests.post(f"{url}/other", timeout=HANG_S).status_code == 404
    assert requests.get(f"{url}/wsman", timeout=HANG_S).status_code == 405


@pytest.mark.powershell
def test_waiting_ends_with_the_operation_timeout(pwsh_lab: LabServer) -> None:
    with pool(pwsh_lab, operation_timeout=1) as runspaces:
        before = len(pwsh_lab.requests)
        shell = pipeline(runspaces, script("bursts"), Times=1, Milliseconds=1600)
        assert shell.invoke() == ["1"]
        assert [record.status for record in pwsh_lab.requests[before:]] == [200, 200, 500, 200]


def slow_lab(pause_s: float, **options: Any) -> LabServer:
    return LabServer(replay(Machine(faults=MachineFaults(pause_s=pause_s))), **options)


def begin_apply(runspaces: RunspacePool) -> Any:
    """A pipeline that applies, after the first look with the lock; its first burst has arrived."""
    first(runspaces, request(lock=True, proxy_timeout={}))
    shell = pipeline(runspaces, SCRIPT.bundles["write"], Request=request("apply", lock=True, proxy_timeout={"a": {"b": 1}}))
    shell.begin_invoke()
    while not shell.output:
        shell.poll_invoke()
    return shell


def test_deleting_a_shell_aborts_the_receive_that_waits() -> None:
    with slow_lab(30) as lab, connect(lab) as one, connect(lab) as other:
        runspaces = RunspacePool(one)
        runspaces.open()
        shell = begin_apply(runspaces)
        timer = threading.Timer(0.2, lambda: other.delete(runspaces.shell.resource_uri, selector_set=runspaces.shell._selector_set))
        start_at(lab, "Receive", timer)
        with pytest.raises(WSManFaultError) as ended:
            shell.end_invoke()
        assert ended.value.code == wsman.ABORTED
        timer.join()


def test_a_terminated_command_is_forgotten(lab: LabServer) -> None:
    with pool(lab) as runspaces:
        shell = pipeline(runspaces, SCRIPT.bundles["look"], Request=request())
        shell.invoke()
        command = shell.id
        shell.close()
        with pytest.raises(WSManFaultError) as ended:
            runspaces.shell.receive("stdout", command_id=command)
        assert ended.value.code == wsman.NO_SUCH_SHELL


def test_a_client_that_went_away_while_receiving_loses_nothing() -> None:
    with slow_lab(0.6) as lab, connect(lab) as connection:
        runspaces = RunspacePool(connection)
        runspaces.open()
        shell = begin_apply(runspaces)
        # A second Receive for the same command, whose client is gone before there is an answer.
        body = envelope(
            wsman.RECEIVE,
            shell_id=runspaces.id,
            body=f'<rsp:Receive><rsp:DesiredStream CommandId="{shell.id}">stdout</rsp:DesiredStream></rsp:Receive>',
        )
        with pytest.raises(requests.Timeout):
            post(lab, body, timeout_s=0.2)
        shell.end_invoke()
        assert [json.loads(line)["event"] for line in "\n".join(shell.output).splitlines()] == ["applying", "applied", "done"]
        runspaces.close()


def test_the_same_message_gets_the_same_answer_again(lab: LabServer) -> None:
    with pool(lab) as runspaces:
        shell = pipeline(runspaces, SCRIPT.bundles["look"], Request=request())
        shell.begin_invoke()
        body = envelope(
            wsman.RECEIVE,
            shell_id=runspaces.id,
            body=f'<rsp:Receive><rsp:DesiredStream CommandId="{shell.id}">stdout</rsp:DesiredStream></rsp:Receive>',
        )

        def stream() -> str:
            return post(lab, body).text.split("<rsp:Stream")[1]

        assert stream() == stream()
        with pytest.raises(WSManFaultError) as ended:
            shell.poll_invoke()
        assert ended.value.code == wsman.NO_SUCH_SHELL


def test_a_slow_client_does_not_keep_others_waiting(lab: LabServer) -> None:
    with socket.create_connection((lab.address, lab.https_port)), socket.create_connection((lab.address, lab.http_port)):
        begun = time.monotonic()
        with pool(lab) as runspaces:
            assert first(runspaces, request())
        assert time.monotonic() - begun < HANG_S


def test_many_clients_at_once(lab: LabServer) -> None:
    failures: list[BaseException] = []

    def plan() -> None:
        try:
            with pool(lab, ssl=False, auth="ntlm") as runspaces:
                assert first(runspaces, request())
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=plan) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert len(lab.messages) == 100
    assert not lab.shells.open_shells


def test_stopping_is_quick_and_leaves_no_thread() -> None:
    before = {thread.ident for thread in threading.enumerate()}
    with slow_lab(600) as lab:
        connection = connect(lab)
        runspaces = RunspacePool(connection)
        runspaces.open()
        shell = begin_apply(runspaces)
        waiting = threading.Thread(target=fails_with((requests.RequestException, WSManFaultError), shell.poll_invoke))
        waiting.start()
        silent = [socket.create_connection((lab.address, port)) for port in (lab.http_port, lab.https_port)]
        time.sleep(0.1)
        begun = time.monotonic()
    assert time.monotonic() - begun < HANG_S
    for client in silent:
        client.close()
    waiting.join()
    connection.close()
    assert {thread.ident for thread in threading.enumerate()} <= before


def test_an_address_of_its_own_and_ports_of_choice() -> None:
    with LabServer(replay(), address="127.81.2.3", https=False) as lab:
        port = lab.http_port
        assert lab.https_port == 0
        with pytest.raises(OSError, match="in use"), LabServer(replay(), address="127.81.2.3", http_port=port):
            pass
    with LabServer(replay(), address="127.81.2.3", http_port=port, https=False) as again:
        assert again.http_port == port


# Faults of the wire


def test_refused_authentication(lab: LabServer) -> None:
    lab.faults.refuse_authentication = True
    for options in TRANSPORTS.values():
        with pytest.raises(AuthenticationError), pool(lab, **options):
            pass
    assert not lab.messages


def test_authentication_refused_after_some_messages(lab: LabServer) -> None:
    lab.faults.refuse_after = 3
    with connect(lab) as connection:
        runspaces = RunspacePool(connection)
        runspaces.open()
        with pytest.raises(AuthenticationError):
            first(runspaces, request())
    assert [record.status for record in lab.requests] == [200, 200, 200, 401]


def test_unavailable_at_first(lab: LabServer) -> None:
    lab.faults.unavailable = 2
    lab.faults.retry_after_s = 7
    answers = [post(lab) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [503, 503, 500]
    assert answers[0].headers["Retry-After"] == "7"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects(lab: LabServer, status: int) -> None:
    lab.faults.redirect, lab.faults.redirect_status, lab.faults.redirect_to = At(1, over="requests"), status, "http://127.0.0.1:9/x"
    answer = post(lab)
    assert (answer.status_code, answer.headers["Location"]) == (status, "http://127.0.0.1:9/x")
    assert post(lab).status_code == 500


def test_a_request_that_is_cut_is_not_carried_out(lab: LabServer) -> None:
    lab.faults.cut_request = At(1)
    with pytest.raises(requests.ConnectionError), pool(lab):
        pass
    assert [record.status for record in lab.messages] == [0]
    assert not lab.shells.open_shells


def test_an_answer_that_is_cut_was_carried_out(lab: LabServer) -> None:
    lab.faults.cut_answer = At(1)
    with pytest.raises(requests.ConnectionError), pool(lab):
        pass
    assert len(lab.shells.open_shells) == 1


def test_received_data_survives_a_cut_answer(lab: LabServer) -> None:
    lab.faults.cut_answer = At(4)
    with pool(lab) as runspaces:
        shell = pipeline(runspaces, SCRIPT.bundles["look"], Request=request())
        shell.begin_invoke()
        with pytest.raises(requests.ConnectionError):
            shell.poll_invoke()
        shell.end_invoke()
        assert [json.loads(line)["event"] for line in shell.output[0].splitlines()] == ["hello", "observed", "done"]


def test_a_connection_closed_between_requests_costs_nothing_over_basic(lab: LabServer) -> None:
    lab.faults.cut_after = At(2)
    with pool(lab) as runspaces:
        assert first(runspaces, request())
    assert lab.connections == 2


@pytest.mark.parametrize("number", range(1, 9))
def test_cuts_counted_over_all_requests(lab: LabServer, number: int) -> None:
    lab.faults.cut_request = lab.faults.cut_answer = At(number, over="requests")
    with pytest.raises((requests.ConnectionError, WinRMTransportError)), pool(lab, ssl=False, auth="ntlm") as runspaces:
        first(runspaces, request())
    assert lab.requests[number - 1].status == 0


def test_drip(lab: LabServer) -> None:
    lab.faults.drip, lab.faults.drip_interval_s = At(1), 0.001
    begun = time.monotonic()
    answer = post(lab)
    assert answer.status_code == 500
    assert time.monotonic() - begun > 0.5


def test_stopping_does_not_wait_for_a_drip() -> None:
    with LabServer(replay(), faults=Faults(drip=every(), drip_interval_s=0.5)) as lab:
        client = threading.Thread(target=fails_with((requests.RequestException,), lambda: post(lab)))
        client.start()
        assert eventually(lambda: bool(lab.messages))
        begun = time.monotonic()
    assert time.monotonic() - begun < HANG_S
    client.join()


def test_stall(lab: LabServer) -> None:
    lab.faults.stall = At(1)
    with pytest.raises(requests.ReadTimeout):
        post(lab, timeout_s=0.3)
    assert post(lab).status_code == 500


def test_latency(lab: LabServer) -> None:
    lab.faults.latency_s = 0.2
    begun = time.monotonic()
    post(lab)
    assert time.monotonic() - begun >= 0.2


def test_plaintext_in_a_sealed_session(lab: LabServer) -> None:
    lab.faults.plaintext = At(4)
    with pool(lab, ssl=False, auth="ntlm") as runspaces:
        # pypsrp takes it without a word, which is why lyncarr does not leave this to pypsrp.
        assert first(runspaces, request())
    assert lab.messages[3].sealed


def test_content_encoding(lab: LabServer) -> None:
    lab.faults.gzip = At(1)
    answer = post(lab, stream=True)
    assert answer.headers["Content-Encoding"] == "gzip"
    assert b"Envelope" in gzip.decompress(cast("Any", answer.raw).read(decode_content=False))


def test_doctype(lab: LabServer) -> None:
    lab.faults.doctype = At(1)
    assert post(lab).text.startswith("<!DOCTYPE")


def test_wrong_relates_to(lab: LabServer) -> None:
    lab.faults.wrong_relates_to = At(1)
    with pytest.raises(WinRMError, match="related id"), pool(lab):
        pass


def test_a_page_for_people(lab: LabServer) -> None:
    lab.faults.html = At(1)
    answer = post(lab)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html")


def test_a_body_that_is_too_big_and_a_bomb(lab: LabServer) -> None:
    lab.faults.oversized, lab.faults.oversized_bytes = every(), 5_000_000
    assert len(post(lab).content) > 5_000_000
    lab.faults.gzip = every()
    assert int(post(lab).headers["Content-Length"]) < 50_000


def test_a_fragment_that_is_none(either: tuple[LabServer, str]) -> None:
    lab, text = either
    lab.faults.garbage = At(1)
    with pool(lab) as runspaces:
        with pytest.raises(FragmentError):
            first(runspaces, request(), text)
        assert lab.messages[-1].action == "Receive"


class _Typist(PSHostUserInterface):
    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def ReadLine(self, runspace: object, pipeline: object) -> str:
        self.asked += 1
        return "typed"


def test_a_call_of_the_clients_host(either: tuple[LabServer, str]) -> None:
    lab, text = either
    lab.faults.host_call = At(1)
    typist = _Typist()
    host = PSHost(None, None, False, "tests", None, typist, "1.0")
    with connect(lab) as connection, RunspacePool(connection, host=host) as runspaces:
        assert first(runspaces, request(), text)
    assert typist.asked == 1
