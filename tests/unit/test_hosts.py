"""The smaller parts of hosts/: answers by status, log-ons that never end, faults by code, fragments and messages of PSRP."""

from __future__ import annotations

import base64
import logging
import re
import socket
import struct
import tracemalloc
import uuid
from pathlib import Path

import pytest
from pypsrp.exceptions import FragmentError, InvalidPSRPOperation, WinRMTransportError, WSManFaultError
from pypsrp.messages import MessageType
from pypsrp.serializer import Serializer

from lyncarr.cli.libraries import LOGGERS, quiet_libraries
from lyncarr.core.errors import LostConnectionError, LyncarrError, ProtocolError, RefusedError, SiteError, UnreachableError
from lyncarr.core.kinds import AuthMethod
from lyncarr.core.model import Deadline, Secret
from lyncarr.hosts.faults import QUOTAS, TIMED_OUT, UNKNOWN_SHELL, translated
from lyncarr.hosts.http.logon import _context, channel_binding, is_old_ntlm
from lyncarr.hosts.http.tls import context_for
from lyncarr.hosts.http.transport import Transport
from lyncarr.hosts.messages import MAX_OPEN, GuardedFragmenter
from lyncarr.hosts.target import Target, Tls
from lyncarr.lab.wire.certs import server_identity
from tests.patience import HANG_S
from tests.unit.raw_server import RawServer, http

MESSAGE = b"<s:Envelope><a:MessageID>uuid:1</a:MessageID></s:Envelope>"
UNAUTHORIZED = "401 Unauthorized"
NTLM_CHALLENGE = base64.b64encode(
    b"NTLMSSP\0\x02\0\0\0"
    + struct.pack("<HHI", 0, 0, 56)
    + struct.pack("<I", 0xA2898205)
    + b"12345678"
    + bytes(8)
    + struct.pack("<HHI", 4, 4, 56)
    + bytes(12)
).decode()


def target(port: int = 5985, auth: str = "ntlm", tls: Tls | None = None, password: str = "canary") -> Target:
    return Target("rp01", "127.0.0.1", port, "Administrator", Secret(password), AuthMethod(auth), tls or Tls("off"))


def send(server: RawServer, *, read: bool = False, connect_s: float = HANG_S) -> bytes:
    transport = Transport(target(server.port), operation_timeout_s=60, connect_timeout_s=connect_s)
    transport.limit(Deadline(HANG_S))
    try:
        return transport.send(MESSAGE, retries_on_read_timeout=5 if read else 0)
    finally:
        transport.close()


# Which logon runs.


@pytest.mark.parametrize(
    ("offered", "text", "hint"),
    [
        ([], "does not offer the logon method ntlm, and no other one", "Enable Negotiate on the host"),
        ([], "does not offer the logon method ntlm", "A proxy between here and the host"),
        (["Kerberos"], "does not offer the logon method ntlm, only Kerberos", "Use --auth kerberos, or enable Negotiate"),
        (['Basic realm="x"'], "does not offer the logon method ntlm, only Basic", "Enable Negotiate on the host"),
        (["Digest"], "does not offer the logon method ntlm, only Digest", "Enable Negotiate on the host"),
    ],
)
def test_a_host_without_the_logon_method_is_told_apart_from_a_refused_password(offered: list[str], text: str, hint: str) -> None:
    headers = [f"WWW-Authenticate: {each}" for each in offered]
    with RawServer(http(UNAUTHORIZED, headers=headers, kind=None)) as server, pytest.raises(RefusedError, match=text) as caught:
        send(server)
    assert hint in caught.value.hint
    assert "password" not in caught.value.hint
    assert len(server.requests) == 1
    assert b"Authorization" not in server.requests[0]


@pytest.mark.parametrize("close", [["Connection: close"], []])
def test_a_device_that_closes_the_connection_after_each_answer_is_named(close: list[str]) -> None:
    answer = http(UNAUTHORIZED, headers=["WWW-Authenticate: Negotiate", *close], kind=None)

    def answer_and_close(client: socket.socket) -> None:
        client.sendall(answer)
        client.shutdown(socket.SHUT_RDWR)

    with (
        RawServer(answer_and_close) as server,
        pytest.raises(UnreachableError, match=r"between two messages of the logon|lost before the answer") as caught,
    ):
        send(server)
    assert "A proxy or load balancer" in caught.value.hint
    assert not any(b"TlRMTVNTUAAD" in request for request in server.requests), "no proof of the password was sent"


@pytest.mark.parametrize("auth", ["negotiate", "ntlm"])
@pytest.mark.parametrize("encrypted", [True, False])
def test_a_password_is_used_with_the_ntlm_of_pyspnego_on_every_system(auth: str, encrypted: bool) -> None:
    context = _context(target(auth=auth), None, encrypted=encrypted)
    assert (type(context).__module__, type(context).__name__) == ("spnego._ntlm", "NTLMProxy")


def last_token(server: RawServer) -> bytes:
    found = re.findall(rb"Authorization: Negotiate ([A-Za-z0-9+/=]+)", server.requests[-1])
    return base64.b64decode(found[0])


def test_the_environment_cannot_select_ntlm_1(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = (
        http(UNAUTHORIZED, headers=["WWW-Authenticate: Negotiate"], kind=None),
        http(UNAUTHORIZED, headers=[f"WWW-Authenticate: Negotiate {NTLM_CHALLENGE}"], kind=None),
    )
    monkeypatch.setenv("LM_COMPAT_LEVEL", "0")
    with RawServer(*answers) as server, pytest.raises(RefusedError, match="was not sent: NTLM version 1"):
        send(server)
    assert last_token(server)[8:12] == b"\x01\0\0\0", "nothing after the first message"
    quiet_libraries()
    with RawServer(*answers) as server, pytest.raises(RefusedError, match="refused the logon"):
        send(server)
    sent = last_token(server)
    assert sent[8:12] == b"\x03\0\0\0"
    assert not is_old_ntlm(sent)


# What a status means.


@pytest.mark.parametrize(
    ("status", "error", "text"),
    [
        ("403 Forbidden", RefusedError, "does not allow Administrator to use WinRM"),
        ("404 Not Found", ProtocolError, "without WinRM"),
        ("413 Too Large", ProtocolError, "messages of this size"),
        ("500 Error", ProtocolError, "no content"),
        ("502 Bad Gateway", ProtocolError, "HTTP 502"),
        ("503 Unavailable", UnreachableError, "503"),
        ("204 No Content", ProtocolError, "HTTP 204"),
        ("200 OK", ProtocolError, "does not request a logon"),
    ],
)
def test_a_status_has_one_meaning(status: str, error: type[LyncarrError], text: str) -> None:
    with RawServer(http(status, kind=None)) as server, pytest.raises(error, match=text):
        send(server, connect_s=2.0 if error is UnreachableError else HANG_S)
    assert not any(b"Authorization" in request for request in server.requests)


def test_the_time_that_a_host_asks_for_is_capped() -> None:
    with RawServer(http("503 Unavailable", headers=["Retry-After: 3600"], kind=None)) as server, pytest.raises(UnreachableError):
        send(server, connect_s=2.0)
    assert len(server.requests) == 1


def test_a_log_on_that_never_ends_is_given_up() -> None:
    """A new challenge each time: the proof of the password goes out once."""
    challenge = http("401 Unauthorized", headers=[f"WWW-Authenticate: Negotiate {NTLM_CHALLENGE}"], kind=None)
    with RawServer(http("401 Unauthorized", headers=["WWW-Authenticate: Negotiate"], kind=None), challenge) as server:
        with pytest.raises(RefusedError):
            send(server)
        assert len(server.requests) == 3
    proofs = [request for request in server.requests if b"Negotiate TlRMTVNTUAAD" in request]
    assert len(proofs) == 1


@pytest.mark.parametrize("token", ["AAAA", "TlRMTVNTUAAC", "%%%", "YII="])
def test_a_log_on_of_garbage_is_no_log_on(token: str) -> None:
    garbage = http("401 Unauthorized", headers=[f"WWW-Authenticate: Negotiate {token}"], kind=None)
    with RawServer(http("401 Unauthorized", headers=["WWW-Authenticate: Negotiate"], kind=None), garbage) as server:
        with pytest.raises((ProtocolError, RefusedError)):
            send(server)
        assert not any(b"TlRMTVNTUAAD" in request for request in server.requests)


def test_methods_that_cannot_be_used_get_no_token() -> None:
    answer = http("401 Unauthorized", headers=['WWW-Authenticate: Basic realm="WSMAN"'], kind=None)
    with RawServer(answer) as server, pytest.raises(RefusedError, match="does not offer the logon method ntlm, only Basic"):
        send(server)
    assert len(server.requests) == 1


def test_nothing_is_sent_after_an_answer_that_cannot_be_trusted() -> None:
    with RawServer(http("302 Found", headers=["Location: /x"])) as server:
        transport = Transport(target(server.port), operation_timeout_s=60, connect_timeout_s=HANG_S)
        for _ in range(2):
            with pytest.raises(ProtocolError):
                transport.send(MESSAGE)
        assert len(server.requests) == 1
        assert transport.distrusted


def test_basic_sends_any_password_as_utf8(tmp_path: Path) -> None:
    identity = server_identity("127.0.0.1")
    envelope = b"<Envelope xmlns='http://www.w3.org/2003/05/soap-envelope'/>"
    password = "pä’ß: ☃ "
    with RawServer(http("200 OK", envelope), identity=identity, folder=tmp_path) as server:
        secure = target(server.port, "basic", Tls("pin", pin=identity.pin), password)
        transport = Transport(secure, operation_timeout_s=60, connect_timeout_s=HANG_S)
        assert transport.send(MESSAGE) == envelope
    assert base64.b64encode(f"Administrator:{password}".encode()) in server.requests[0]


def test_a_fault_that_answers_another_message_is_a_replay(tmp_path: Path) -> None:
    identity = server_identity("127.0.0.1")
    fault = (
        b"<s:Envelope xmlns:s='http://www.w3.org/2003/05/soap-envelope' xmlns:a='http://schemas.xmlsoap.org/ws/2004/08/addressing'>"
        b"<s:Header><a:RelatesTo>uuid:%s</a:RelatesTo></s:Header><s:Body/></s:Envelope>"
    )
    answers = (http("500 Error", fault % b"1"), http("500 Error", fault % b"2"))
    with RawServer(*answers, identity=identity, folder=tmp_path) as server:
        transport = Transport(target(server.port, "basic", Tls("pin", pin=identity.pin)), operation_timeout_s=60, connect_timeout_s=HANG_S)
        with pytest.raises(WinRMTransportError):
            transport.send(MESSAGE)
        with pytest.raises(ProtocolError, match="another message"):
            transport.send(MESSAGE)


def test_the_channel_binding_is_what_the_other_side_computes() -> None:
    identity = server_identity("127.0.0.1")
    assert channel_binding(identity.der) == identity.binding


# Faults by their code.


@pytest.mark.parametrize(
    ("code", "opened", "error"),
    [
        (5, False, RefusedError),
        (995, True, LostConnectionError),
        (UNKNOWN_SHELL, True, LostConnectionError),
        (TIMED_OUT, False, LostConnectionError),
        (0x803381A5, False, UnreachableError),
        (0x80338104, True, LostConnectionError),
        (0x80338104, False, RefusedError),
        ("w:Weird\x1b", True, LostConnectionError),
        (None, False, RefusedError),
    ],
)
def test_a_fault_is_known_by_its_code(code: object, opened: bool, error: type[LyncarrError]) -> None:
    with pytest.raises(error) as caught, translated(target(), opened=opened):
        raise WSManFaultError(code, None, "raison d'\x1b", None, None, None)
    assert type(caught.value) is error
    assert str(caught.value).isprintable()
    assert "raison" not in str(caught.value)
    assert "raison" in (caught.value.detail or "")


def test_the_quotas_are_the_numbers_of_the_header() -> None:
    assert {2150858815, 2150859173, 2150859174, 2150859175, 2150859176, 2150859179, 2150859236, 2150859241} <= QUOTAS
    assert 2150859180 not in QUOTAS


@pytest.mark.parametrize(
    ("raised", "error"),
    [
        (InvalidPSRPOperation("broken"), LostConnectionError),
        (FragmentError("odd"), ProtocolError),
        (RecursionError("deep"), ProtocolError),
        (KeyError("x"), ProtocolError),
        (WinRMTransportError("http", 500, "<html>"), ProtocolError),
        (RefusedError("ours"), RefusedError),
    ],
)
def test_whatever_a_parser_raises_is_translated(raised: Exception, error: type[LyncarrError]) -> None:
    with pytest.raises(error), translated(target(), opened=True):
        raise raised


# PSRP messages.


def message(kind: int, text: str) -> bytes:
    return struct.pack("<II", 1, kind) + uuid.uuid4().bytes_le + bytes(16) + text.encode()


def fragment(data: bytes, object_id: int = 1, number: int = 0, flags: int = 3, length: int | None = None) -> bytes:
    return struct.pack(">QQBI", object_id, number, flags, len(data) if length is None else length) + data


@pytest.fixture
def reader() -> GuardedFragmenter:
    return GuardedFragmenter(target(), 100_000, Serializer())


OUTPUT = message(MessageType.PIPELINE_OUTPUT, "<S>text</S>")


def test_messages_are_put_together_from_their_fragments(reader: GuardedFragmenter) -> None:
    assert reader.defragment(fragment(OUTPUT[:50], 7, 0, 1)) == []
    both = fragment(OUTPUT, 8) + fragment(OUTPUT[50:55], 7, 1, 0)
    assert [one.data.data for one in reader.defragment(both)] == ["text"]
    assert [one.data.data for one in reader.defragment(fragment(OUTPUT[55:], 7, 2, 2))] == ["text"]


@pytest.mark.parametrize(
    "data",
    [
        b"\0\1",
        fragment(OUTPUT, length=1_000_000),
        fragment(OUTPUT, number=3),
        fragment(OUTPUT, flags=2),
        fragment(OUTPUT, number=1, flags=1),
        fragment(OUTPUT[:50], flags=1) + fragment(OUTPUT[50:], number=2, flags=2),
        fragment(OUTPUT[:50], flags=1) + fragment(OUTPUT, flags=3),
        fragment(b"short"),
        fragment(message(0x41, "<S/>")),
        fragment(message(MessageType.PUBLIC_KEY_REQUEST, "<S/>")),
        fragment(message(MessageType.ENCRYPTED_SESSION_KEY, "<S/>")),
        fragment(message(MessageType.PIPELINE_HOST_CALL, "<Obj/>")),
        fragment(message(MessageType.RUNSPACEPOOL_HOST_CALL, "<Obj/>")),
        fragment(message(MessageType.PIPELINE_OUTPUT, "<!DOCTYPE a [<!ENTITY b 'c'>]><S>&b;</S>")),
        b"".join(fragment(b"", object_id, flags=1) for object_id in range(MAX_OPEN + 1)),
        b"".join(fragment(message(MessageType.PROGRESS_RECORD, ""), object_id) for object_id in range(20_001)),
    ],
    ids=[
        "too short",
        "length beyond the end",
        "no such number",
        "end without start",
        "start with a number",
        "a fragment left out",
        "a second start",
        "no message",
        "unknown message",
        "key request",
        "session key",
        "host call",
        "host call of the pool",
        "doctype",
        "too many open",
        "too much progress",
    ],
)
def test_what_no_honest_host_sends_is_refused(reader: GuardedFragmenter, data: bytes) -> None:
    with pytest.raises(ProtocolError):
        reader.defragment(data)


def test_a_message_without_end_is_bounded(reader: GuardedFragmenter) -> None:
    part = bytes(1024 * 1024)

    def pour() -> None:
        for number in range(100):
            reader.defragment(fragment(part, 1, number, 1 if number == 0 else 0))

    tracemalloc.start()
    try:
        with pytest.raises(ProtocolError, match="bytes"):
            pour()
        assert tracemalloc.get_traced_memory()[1] < 40 * 1024 * 1024
    finally:
        tracemalloc.stop()


def test_messages_that_are_not_used_are_not_parsed(reader: GuardedFragmenter) -> None:
    assert reader.defragment(fragment(message(MessageType.PROGRESS_RECORD, "<not xml"))) == []


# Files that cannot be used are reported before any contact.


def test_a_ca_file_that_is_none(tmp_path: Path) -> None:
    folder = tmp_path
    (folder / "empty.pem").write_text("")
    reasons = {"empty.pem": "contains no valid certificate", "absent.pem": "does not exist", ".": "is a folder; give a file"}
    for name, reason in reasons.items():
        with pytest.raises(SiteError, match=f"^The CA file .* {reason}"):
            context_for(Tls("ca", ca=folder / name))
    with pytest.raises(SiteError, match=r"^The client certificate .* is a folder; give a file"):
        context_for(Tls(), certificate=folder, key=folder)


def test_a_client_key_with_a_password_is_an_error_without_a_prompt(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization

    folder = tmp_path
    identity = server_identity("127.0.0.1")
    key = serialization.load_pem_private_key(identity.key, None)
    sealed = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"secret")
    )
    (folder / "client.pem").write_bytes(identity.certificate)
    (folder / "client.key").write_bytes(sealed)
    with pytest.raises(SiteError, match="encrypted"):
        context_for(Tls("verify"), folder / "client.pem", folder / "client.key")
    with pytest.raises(SiteError, match="does not exist"):
        context_for(Tls("verify"), folder / "client.pem", folder / "absent.key")


def test_one_context_is_shared() -> None:
    assert context_for(Tls("verify")) is context_for(Tls("verify"))


def test_the_libraries_are_quiet_whatever_level_is_chosen(capfd: pytest.CaptureFixture[str]) -> None:
    """A handler of the root's own: pytest's are also hung on loggers that hand nothing on."""
    said: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    quiet_libraries()
    root, handler = logging.getLogger(), Keep()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        for name in LOGGERS:
            logging.getLogger(f"{name}.part").error("a message with a secret")
        logging.getLogger("another").error("seen")
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    assert said == ["seen"]
    assert "secret" not in "".join(capfd.readouterr())
