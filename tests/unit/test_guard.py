"""The session that talks to hosts, against servers that are hostile in one way each."""

from __future__ import annotations

import gzip
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from lyncarr.core.errors import LostConnectionError, ProtocolError, UnreachableError, UntrustedError
from lyncarr.core.kinds import AuthMethod
from lyncarr.core.model import Deadline, Secret
from lyncarr.hosts.http.guard import MAX_BODY_BYTES, GuardedSession
from lyncarr.hosts.http.retry import StaleConnectionError, TransientError, UnavailableError, connecting
from lyncarr.hosts.http.shape import check_shape
from lyncarr.hosts.target import Target, Tls
from lyncarr.lab.wire.certs import Authority, Identity, Variant, server_identity
from tests.patience import HANG_S
from tests.unit.raw_server import RawServer, http

SOAP = {"Content-Type": "application/soap+xml;charset=UTF-8"}
SEALED = {"Content-Type": 'multipart/encrypted;protocol="application/HTTP-SPNEGO-session-encrypted";boundary="Encrypted Boundary"'}
PASSWORD = "canary-Pa55word"


def target(port: int, tls: Tls | None = None, address: str = "127.0.0.1") -> Target:
    return Target("rp01", address, port, "Administrator", Secret(PASSWORD), AuthMethod.ntlm, tls or Tls("off"))


def ask(
    port: int,
    tls: Tls | None = None,
    *,
    headers: dict[str, str] | None = None,
    body: bytes = b"<question/>",
    answer_s: float = HANG_S,
    connect_s: float = HANG_S,
    address: str = "127.0.0.1",
) -> requests.Response:
    session = GuardedSession(target(port, tls, address))
    try:
        return session.exchange(body, SOAP if headers is None else headers, answer_s=answer_s, connect_by=Deadline(connect_s))
    finally:
        session.close()


def test_an_honest_answer_comes_whole() -> None:
    with RawServer(http("200 OK", b"<answer/>")) as server:
        response = ask(server.port)
    assert response.content == b"<answer/>"
    assert response.text == "<answer/>"
    assert server.requests[0].endswith(b"<question/>")


def test_a_chunked_answer_comes_whole() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nContent-Type: application/soap+xml\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n<a/\r\n1\r\n>\r\n0\r\n\r\n"
    with RawServer(chunked) as server:
        assert ask(server.port).content == b"<a/>"


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "304 Not Modified", "307 Temporary", "308 Permanent"])
def test_no_redirect_is_followed(status: str) -> None:
    with RawServer(http("200 OK", b"<stolen/>")) as second:
        location = f"Location: http://127.0.0.1:{second.port}/wsman"
        with RawServer(http(status, headers=[location])) as first, pytest.raises(ProtocolError, match="redirect to http://127"):
            ask(first.port)
    assert second.connections == 0


def test_no_redirect_from_https_to_http_is_followed(tmp_path: Path) -> None:
    identity = server_identity("127.0.0.1")
    with RawServer(http("200 OK", b"<stolen/>")) as second:
        redirect = http("307 Temporary", headers=[f"Location: http://127.0.0.1:{second.port}/wsman"])
        with RawServer(redirect, identity=identity, folder=tmp_path) as first, pytest.raises(ProtocolError, match="redirect"):
            ask(first.port, Tls("pin", pin=identity.pin))
    assert second.connections == 0


def test_the_place_of_a_redirect_is_shown_without_its_control_characters() -> None:
    answer = b"HTTP/1.1 302 Found\r\nLocation: http://x/\x1b]0;pwn\x07\r\nContent-Length: 0\r\n\r\n"
    with RawServer(answer) as server, pytest.raises(ProtocolError) as caught:
        ask(server.port)
    assert "\x1b" not in str(caught.value)


def test_only_the_target_is_ever_asked() -> None:
    with RawServer(http("200 OK")) as server, RawServer(http("200 OK")) as other:
        session = GuardedSession(target(server.port))
        with pytest.raises(requests.exceptions.InvalidSchema):
            session.post(f"http://127.0.0.1:{other.port}/wsman", data=b"")
        session.connect_by = Deadline(HANG_S)
        with pytest.raises(ProtocolError, match="another address"):
            session.post(f"http://127.0.0.1:{server.port}/wsman/elsewhere", data=b"")
    assert (server.connections, other.connections) == (0, 0)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "identity, gzip"])
def test_content_encodings_are_refused(encoding: str) -> None:
    body = gzip.compress(b"<answer/>")
    with RawServer(http("200 OK", body, [f"Content-Encoding: {encoding}"])) as server, pytest.raises(ProtocolError, match="encoded as"):
        ask(server.port)


def test_a_gzip_bomb_takes_no_memory() -> None:
    bomb = gzip.compress(bytes(100 * 1024 * 1024))
    with RawServer(http("200 OK", bomb, ["Content-Encoding: gzip"])) as server:
        tracemalloc.start()
        try:
            with pytest.raises(ProtocolError):
                ask(server.port)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 4 * 1024 * 1024


def _pour(client: socket.socket) -> None:
    client.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/soap+xml\r\nContent-Length: 1000000000\r\n\r\n")
    part = bytes(64 * 1024)
    while True:
        client.sendall(part)


def test_an_endless_body_is_cut_at_the_cap() -> None:
    with RawServer(_pour) as server:
        tracemalloc.start()
        try:
            with pytest.raises(ProtocolError, match=str(MAX_BODY_BYTES)):
                ask(server.port, answer_s=30)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 3 * MAX_BODY_BYTES


def _drip(text: bytes) -> Callable[[socket.socket], None]:
    def drip(client: socket.socket) -> None:
        for byte in text:
            client.sendall(bytes([byte]))
            time.sleep(0.02)

    return drip


DRIPPED_BODY = http("200 OK", b"x" * 3000)
DRIPPED_HEAD = b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(90))
DRIPPED_CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 1000
ENDLESS_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n" * 1000


@pytest.mark.parametrize("text", [DRIPPED_BODY, DRIPPED_HEAD, DRIPPED_CHUNKS, ENDLESS_CONTINUE], ids=["body", "head", "chunks", "continue"])
@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
def test_a_drip_ends_at_the_deadline(text: bytes, secure: bool, tmp_path: Path) -> None:
    identity = server_identity("127.0.0.1")
    tls = Tls("pin", pin=identity.pin) if secure else None
    with RawServer(_drip(text), identity=identity if secure else None, folder=tmp_path) as server:
        begun = time.monotonic()
        with pytest.raises(LostConnectionError, match="did not answer within"):
            ask(server.port, tls, answer_s=0.6)
        assert 0.5 < time.monotonic() - begun < HANG_S


def test_the_runs_deadline_ends_an_answer_too() -> None:
    with RawServer(_drip(DRIPPED_BODY)) as server:
        session = GuardedSession(target(server.port))
        session.clock.until = Deadline(0.4)
        begun = time.monotonic()
        with pytest.raises(LostConnectionError, match="did not finish within 0 s"):
            session.exchange(b"", {}, answer_s=10 * HANG_S, connect_by=Deadline(HANG_S))
        assert time.monotonic() - begun < HANG_S


def test_cancel_ends_a_wait_of_another_thread() -> None:
    with RawServer(lambda client: time.sleep(10 * HANG_S)) as server:
        session = GuardedSession(target(server.port))
        threading.Timer(0.3, session.cancel).start()
        begun = time.monotonic()
        with pytest.raises(LostConnectionError, match="stopped"):
            session.exchange(b"", {}, answer_s=10 * HANG_S, connect_by=Deadline(HANG_S))
        assert time.monotonic() - begun < HANG_S


@pytest.mark.parametrize("status", ["200 OK", "500 Error"])
@pytest.mark.parametrize("kind", ["text/html", "text/xml", "application/json", None])
def test_what_is_no_soap_is_no_winrm(status: str, kind: str | None) -> None:
    with RawServer(http(status, b"<html>log in</html>", kind=kind)) as server, pytest.raises(ProtocolError, match="not a WinRM endpoint"):
        ask(server.port)


@pytest.mark.parametrize("status", ["200 OK", "500 Error"])
def test_an_unencrypted_answer_in_an_encrypted_session_is_rejected(status: str) -> None:
    with RawServer(http(status, b"<forged/>")) as server, pytest.raises(ProtocolError, match="unencrypted"):
        ask(server.port, headers=SEALED)


@pytest.mark.parametrize("banner", [b"SSH-2.0-OpenSSH_9.2\r\n", b"220 mail ESMTP\r\n", b"\0\1\2\3\r\n\r\n", b"HTTP/9.9 abc\r\n\r\n"])
def test_an_answer_that_is_not_http_is_reported_as_such(banner: bytes) -> None:
    def speak(client: socket.socket) -> None:
        client.sendall(banner)
        client.close()

    with RawServer(speak) as server, pytest.raises(ProtocolError, match="does not answer in HTTP"):
        ask(server.port)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"], ids=["nothing", "half"])
def test_a_cut_answer_is_a_lost_connection(answer: bytes) -> None:
    def cut(client: socket.socket) -> None:
        client.sendall(answer)
        client.shutdown(socket.SHUT_RDWR)

    with RawServer(cut) as server, pytest.raises(LostConnectionError, match="lost before the answer"):
        ask(server.port)
    assert len(server.requests) == 1


def test_document_types_are_refused_in_every_encoding() -> None:
    document = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/hostname">]><a>&b;</a>'
    for data in (document.encode(), document.encode("utf-16"), document.encode("utf-16-be"), document.encode("utf-16-le")):
        with pytest.raises(ProtocolError, match="document type"):
            check_shape(data, target(1))
    check_shape("<a>&lt;!DOCTYPE und Übung</a>".encode(), target(1))


def test_what_a_host_says_is_not_kept() -> None:
    answers = (http("200 OK", headers=["Set-Cookie: track=me"]), http("200 OK"))
    with RawServer(*answers) as server:
        session = GuardedSession(target(server.port))
        for _ in range(2):
            session.exchange(b"", {}, answer_s=HANG_S, connect_by=Deadline(HANG_S))
    assert b"track" not in server.requests[1]
    assert (session.connections, session.requests) == (1, 2)
    assert session.clock.bytes_up == sum(len(request) for request in server.requests)


def test_the_environment_changes_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    authority = Authority()
    (tmp_path / "roots.pem").write_bytes(authority.certificate)
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login thief password stolen")
    identity = server_identity("127.0.0.1", authority=authority)
    with RawServer(http("407 Proxy")) as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
            monkeypatch.setenv(name, str(tmp_path / "roots.pem"))
        monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
        with RawServer(http("200 OK", b"<a/>")) as server:
            assert ask(server.port).content == b"<a/>"
        with RawServer(http("200 OK", b"<a/>"), identity=identity, folder=tmp_path) as secure, pytest.raises(UntrustedError):
            ask(secure.port, Tls("verify"))
    assert proxy.connections == 0
    assert b"Authorization" not in server.requests[0]
    assert secure.requests == []


# Certificates: whatever is wrong, not one HTTP request may arrive.


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def roots(authority: Authority, tmp_path: Path) -> Tls:
    file = tmp_path / "roots.pem"
    file.write_bytes(authority.certificate)
    return Tls("ca", ca=file)


def refusal(identity: Identity, folder: Path, tls: Tls) -> str:
    with RawServer(http("200 OK", b"<a/>"), identity=identity, folder=folder) as server:
        with pytest.raises(UntrustedError) as caught:
            ask(server.port, tls)
        assert server.requests == []
    return f"{caught.value} {caught.value.hint}"


REASONS: list[tuple[Variant, str]] = [
    ("expired", "has expired"),
    ("not-yet-valid", "is not valid yet"),
    ("wrong-name", "is for another name than 127.0.0.1 (it is valid for elsewhere.contoso.com)"),
    ("self-signed", "it is self-signed"),
]


@pytest.mark.parametrize(("variant", "reason"), REASONS)
def test_each_bad_certificate_has_its_own_message(variant: Variant, reason: str, authority: Authority, roots: Tls, tmp_path: Path) -> None:
    identity = server_identity("127.0.0.1", variant, authority=authority)
    message = refusal(identity, tmp_path, roots)
    assert reason in message
    assert "CN=RP01" in message
    assert f'tls = "pin:sha256:{identity.pin}"' in message


def test_a_short_key_is_reported(authority: Authority, roots: Tls, tmp_path: Path) -> None:
    message = refusal(server_identity("127.0.0.1", "short-key", authority=authority), tmp_path, roots)
    assert "too weak" in message


def test_an_unknown_issuer_is_untrusted_by_the_system(tmp_path: Path) -> None:
    identity = server_identity("127.0.0.1")
    message = refusal(identity, tmp_path, Tls("verify"))
    assert "not trusted" in message
    assert f'tls = "pin:sha256:{identity.pin}"' in message


def test_the_printed_pin_is_what_trusts_the_host(tmp_path: Path) -> None:
    identity = server_identity("127.0.0.1", "self-signed")
    line = refusal(identity, tmp_path, Tls("verify")).split('tls = "')[-1].rstrip('"')
    with RawServer(http("200 OK", b"<a/>"), identity=identity, folder=tmp_path) as server:
        assert ask(server.port, Tls.parse(line, Path())).content == b"<a/>"


@pytest.mark.parametrize("variant", ["expired", "wrong-name", "short-key", "valid"])
def test_a_pin_asks_for_nothing_but_the_leaf(variant: Variant, tmp_path: Path) -> None:
    identity = server_identity("127.0.0.1", variant)
    with RawServer(http("200 OK", b"<a/>"), identity=identity, folder=tmp_path) as server:
        assert ask(server.port, Tls("pin", pin=identity.pin)).content == b"<a/>"


def test_a_changed_pin_is_a_hard_stop(roots: Tls, authority: Authority, tmp_path: Path) -> None:
    """Also where the new certificate would be trusted otherwise, and without the line that would accept it."""
    old = server_identity("127.0.0.1", authority=authority)
    new = server_identity("127.0.0.1", authority=authority)
    message = refusal(new, tmp_path, Tls("pin", pin=old.pin))
    assert message.startswith("STOP")
    assert old.pin in message
    assert new.pin in message
    assert 'tls = "' not in message


def test_a_pin_of_the_authority_trusts_no_server(authority: Authority, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import hashes

    pin = authority.root.fingerprint(hashes.SHA256()).hex().upper()
    assert "STOP" in refusal(server_identity("127.0.0.1", authority=authority), tmp_path, Tls("pin", pin=pin))


def test_a_hostile_subject_is_harmless(tmp_path: Path) -> None:
    identity = server_identity("127.0.0.1", computer="RP\x1b[2J")
    assert "\x1b" not in refusal(identity, tmp_path, Tls("verify"))


def test_each_new_connection_is_judged_again(tmp_path: Path) -> None:
    first, second = server_identity("127.0.0.1"), server_identity("127.0.0.1")
    closing = http("200 OK", headers=["Connection: close"])
    with RawServer(closing, identity=first, folder=tmp_path) as server:
        session = GuardedSession(target(server.port, Tls("pin", pin=first.pin)))
        session.exchange(b"", {}, answer_s=HANG_S, connect_by=Deadline(HANG_S))
        assert server._context is not None
        (tmp_path / "server.pem").write_bytes(second.certificate + second.key)
        server._context.load_cert_chain(tmp_path / "server.pem")
        with pytest.raises(UntrustedError, match="STOP"):
            session.exchange(b"", {}, answer_s=HANG_S, connect_by=Deadline(HANG_S))
        assert len(server.requests) == 1


def test_http_on_a_port_that_should_have_tls() -> None:
    def serve(listener: socket.socket) -> None:
        client, _ = listener.accept()
        client.recv(10)
        client.sendall(http("400 Bad Request"))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        with pytest.raises(ProtocolError, match="does not use TLS"):
            ask(listener.getsockname()[1], Tls("verify"))


# Connecting:


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def test_a_closed_port_is_transient() -> None:
    with pytest.raises(TransientError, match="refused the connection"):
        ask(free_port())


def test_a_silent_address_ends_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        fill = [socket.socket() for _ in range(8)]
        for sock in fill:
            sock.setblocking(False)
            sock.connect_ex(("127.0.0.1", port))
        begun = time.monotonic()
        with pytest.raises(TransientError, match="did not answer in time"):
            ask(port, connect_s=0.5)
        assert time.monotonic() - begun < HANG_S
        for sock in fill:
            sock.close()


def test_a_server_that_never_shakes_hands_ends_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        begun = time.monotonic()
        with pytest.raises(TransientError, match="accepts the connection but does not respond"):
            ask(listener.getsockname()[1], Tls("verify"), connect_s=0.5)
        assert time.monotonic() - begun < HANG_S


def test_a_lost_name_server_is_transient_and_an_unknown_name_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(code: int) -> Callable[..., object]:
        def getaddrinfo(*args: object, **kwargs: object) -> object:
            raise socket.gaierror(code, "said the resolver")

        return getaddrinfo

    monkeypatch.setattr(socket, "getaddrinfo", answer(socket.EAI_AGAIN))
    with pytest.raises(TransientError, match="cannot be resolved"):
        ask(5986, address="rp01.contoso.com")
    monkeypatch.setattr(socket, "getaddrinfo", answer(socket.EAI_NONAME))
    with pytest.raises(UnreachableError, match="cannot be resolved") as caught:
        ask(5986, address="rp01.contoso.com")
    assert not isinstance(caught.value, TransientError)


def test_a_resolver_that_hangs_does_not_hold_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(*args: object, **kwargs: object) -> object:
        time.sleep(10 * HANG_S)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    begun = time.monotonic()
    with pytest.raises(TransientError, match="cannot be resolved"):
        ask(5986, address="rp01.contoso.com", connect_s=0.3)
    assert time.monotonic() - begun < HANG_S


def test_a_dead_first_address_leaves_time_for_the_second(monkeypatch: pytest.MonkeyPatch) -> None:
    with RawServer(http("200 OK", b"<a/>")) as server:
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, server.port)) for address in ("127.0.0.9", "127.0.0.1")]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: found)
        assert ask(server.port, address="rp01.contoso.com").content == b"<a/>"


def test_a_kept_connection_that_is_gone_is_seen_before_anything_is_sent() -> None:
    with RawServer(http("200 OK", headers=["Connection: close"])) as server:
        session = GuardedSession(target(server.port))
        session.exchange(b"", {}, answer_s=HANG_S, connect_by=Deadline(HANG_S))
        with pytest.raises(StaleConnectionError):
            session.exchange(b"<secret/>", {}, answer_s=HANG_S, connect_by=None)
        assert len(server.requests) == session.requests == 1


# The policy of trying again:


@pytest.fixture
def pauses() -> list[float]:
    return []


def outcomes(*errors: Exception) -> Callable[[], str]:
    left = list(errors)

    def act() -> str:
        if left:
            raise left.pop(0)
        return "connected"

    return act


def test_transient_errors_are_tried_again(pauses: list[float]) -> None:
    act = outcomes(TransientError("refused"), UnavailableError("503", pause_s=2.0), StaleConnectionError())
    assert connecting(Deadline(20), sleep=pauses.append)(act) == "connected"
    assert pauses == [0.25, 2.0, 1.0]


def test_a_host_that_was_never_there_is_given_up_soon(pauses: list[float]) -> None:
    with pytest.raises(TransientError, match="refused"):
        connecting(Deadline(20), sleep=pauses.append, known=False)(outcomes(*[TransientError("refused")] * 5))
    assert pauses == [0.25, 0.5, 1.0]
    act = outcomes(*[UnavailableError("503", pause_s=0.5)] * 5)
    assert connecting(Deadline(20), sleep=pauses.append, known=False)(act) == "connected"


def test_a_stale_connection_is_replaced_at_once(pauses: list[float]) -> None:
    assert connecting(Deadline(20), sleep=pauses.append)(outcomes(StaleConnectionError())) == "connected"
    assert pauses == [0.0]


@pytest.mark.parametrize("error", [UntrustedError("x"), ProtocolError("x"), LostConnectionError("x"), UnreachableError("x")])
def test_nothing_else_is_tried_again(error: Exception, pauses: list[float]) -> None:
    with pytest.raises(type(error)):
        connecting(Deadline(20), sleep=pauses.append)(outcomes(error))
    assert pauses == []


def test_a_pause_longer_than_the_time_left_ends_it(pauses: list[float]) -> None:
    with pytest.raises(UnavailableError, match="503"):
        connecting(Deadline(20), sleep=pauses.append)(outcomes(UnavailableError("503", pause_s=30.0)))
    assert pauses == []
