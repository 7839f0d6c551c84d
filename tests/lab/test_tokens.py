"""The lab's logon: whatever a client sends instead of a token, the answer is 401, never a lost connection."""

from __future__ import annotations

import base64
import http.client
from collections.abc import Iterator

import pytest
import spnego
from hypothesis import given
from hypothesis import strategies as st

from lyncarr.lab.replay.machine import Machine
from lyncarr.lab.replay.psrp import ReplayEngine
from lyncarr.lab.wire.auth import Account, ConnectionAuth, SealError
from lyncarr.lab.wire.server import LabServer
from lyncarr.powershell.bundle import shipped
from tests.patience import HANG_S

ACCOUNT = Account("Administrator", "P@ssw0rd", "RP01")
ODD = bytes.fromhex("a10630040a06a104026105060506060601")
"""For this pyspnego raises StopIteration."""


def negotiate() -> bytes:
    """The first token of a client."""
    options = spnego.NegotiateOptions.use_negotiate | spnego.NegotiateOptions.use_ntlm
    token = spnego.client("Administrator", "P@ssw0rd", hostname="rp01", protocol="negotiate", options=options).step()
    assert token
    return token


NEGOTIATE = negotiate()
assert b"NTLMSSP" in NEGOTIATE[1:]
NTLM = NEGOTIATE[NEGOTIATE.index(b"NTLMSSP\0") :]


def is_refused(header: str, *, tls: bool = True) -> bool:
    verdict = ConnectionAuth(ACCOUNT, b"tls-server-end-point:x" if tls else None).check(header)
    return not verdict.granted


@given(st.binary(max_size=200))
def test_any_bytes_are_refused(token: bytes) -> None:
    assert is_refused(f"Negotiate {base64.b64encode(token).decode()}")


@given(st.sampled_from([NEGOTIATE, NTLM]), st.integers(0, 200), st.binary(min_size=1, max_size=8), st.booleans())
def test_a_damaged_token_is_refused(token: bytes, at: int, damage: bytes, cut: bool) -> None:
    at %= len(token)
    damaged = token[:at] if cut else token[:at] + damage + token[at + len(damage) :]
    assert is_refused(f"Negotiate {base64.b64encode(damaged).decode()}")


@given(st.integers(0, 500), st.binary(min_size=1, max_size=8))
def test_a_damaged_second_token_is_refused(at: int, damage: bytes) -> None:
    """The answer to a challenge, which is longer and has lengths and offsets in it."""
    auth = ConnectionAuth(ACCOUNT, None)
    client = spnego.client("Administrator", "P@ssw0rd", hostname="rp01", protocol="ntlm", options=spnego.NegotiateOptions.use_ntlm)
    challenge = auth.check(f"Negotiate {base64.b64encode(client.step() or b'').decode()}")
    assert challenge.step == "challenge"
    answer = client.step(base64.b64decode(challenge.offers[0].split(" ")[1])) or b""
    at %= len(answer)
    damaged = answer[:at] + damage + answer[at + len(damage) :]
    # Some bytes mean nothing, so a damaged answer may be granted. It must not raise.
    verdict = auth.check(f"Negotiate {base64.b64encode(damaged).decode()}")
    assert verdict.step in ("granted", "refused", "challenge")


@given(st.text(max_size=40))
def test_any_text_is_refused(text: str) -> None:
    for scheme in ("Negotiate", "NTLM", "Basic", "Kerberos", ""):
        assert is_refused(f"{scheme} {text}")
    assert is_refused(text)


@given(st.binary(max_size=100))
def test_a_body_that_is_not_sealed_is_no_message(data: bytes) -> None:
    auth = ConnectionAuth(ACCOUNT, None)
    client = spnego.client("Administrator", "P@ssw0rd", hostname="rp01", protocol="ntlm", options=spnego.NegotiateOptions.use_ntlm)
    challenge = auth.check(f"Negotiate {base64.b64encode(client.step() or b'').decode()}")
    answer = client.step(base64.b64decode(challenge.offers[0].split(" ")[1])) or b""
    assert auth.check(f"Negotiate {base64.b64encode(answer).decode()}").granted
    body = b"OriginalContent: type=x;Length=5\r\nContent-Type: application/octet-stream\r\n" + data + b"--Encrypted Boundary--"
    with pytest.raises(SealError):
        auth.unseal({"content-type": "multipart/encrypted"}, body)


@pytest.fixture(scope="module")
def lab() -> Iterator[LabServer]:
    with LabServer(ReplayEngine(Machine(states={}), script=shipped())) as server:
        yield server


@pytest.mark.parametrize(
    "header",
    [
        f"Negotiate {base64.b64encode(ODD).decode()}",
        f"Negotiate {base64.b64encode(NTLM[:20]).decode()}",
        "Negotiate !!!",
        "Negotiate",
        "Basic \u00fc\u00fc",
        "Basic !!!",
    ],
)
def test_a_client_hears_401_and_may_go_on(header: str, lab: LabServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", lab.http_port, timeout=HANG_S)
    for _ in range(2):
        connection.request("POST", "/wsman", b"", {"Authorization": header.encode("latin-1")})
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 401
        assert answer.getheader("WWW-Authenticate", "").startswith("Negotiate")
    connection.close()
