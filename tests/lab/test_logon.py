"""The logon of the real console script: what the environment cannot change of it, and the warning about a connection without TLS."""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from lyncarr.lab.wire.auth import ConnectionAuth, Verdict
from tests.lab.console import Bench
from tests.platforms import posix

WARNING = "(NTLM relay); use HTTPS with a pin."
AUTHENTICATE = b"NTLMSSP\0\x03\0\0\0"


@pytest.fixture
def tokens(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The logon messages that the lab receives."""
    found: list[bytes] = []
    real = ConnectionAuth._negotiate

    def negotiate(self: ConnectionAuth, authorization: str) -> Verdict:
        found.append(base64.b64decode(authorization.split(" ")[1]))
        return real(self, authorization)

    monkeypatch.setattr(ConnectionAuth, "_negotiate", negotiate)
    return found


@pytest.fixture(params=["off", "ca"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    with Bench(tmp_path, auth="negotiate", tls=request.param) as bench:
        yield bench


def responses(token: bytes) -> tuple[bytes, bytes]:
    """The LM and the NT response of an AUTHENTICATE message (MS-NLMP 2.2.1.3)."""
    parts = []
    for at in (12, 20):
        length, _, offset = struct.unpack_from("<HHI", token, at)
        parts.append(token[offset : offset + length])
    return parts[0], parts[1]


@pytest.mark.parametrize("level", ["0", "no number"])
def test_the_environment_selects_neither_the_version_of_ntlm_nor_the_credential(
    bench: Bench, tokens: list[bytes], level: str, tmp_path: Path
) -> None:
    other = tmp_path / "users"
    other.write_text(f":{bench.lab.user}:another password\n")
    log = tmp_path / "spnego.yaml"
    log.write_text("no YAML of a log: [")
    done = bench.json("plan", LM_COMPAT_LEVEL=level, NTLM_USER_FILE=str(other), PYSPNEGO_LOG_CFG=str(log))
    assert done.code == 2, done.err
    sent = [token for token in tokens if token.startswith(AUTHENTICATE)]
    assert sent
    for token in sent:
        lm, nt = responses(token)
        # The head of an NTLM version 2 response is behind its 16 bytes of proof: MS-NLMP 2.2.2.7.
        assert (len(nt) > 24, nt[16:18]) == (True, b"\1\1")
        assert lm.strip(b"\0") == b""


@posix("Kerberos by an extra")
@pytest.mark.parametrize(
    ("installed", "hint"), [(False, 'pipx inject lyncarr "pyspnego[kerberos]"'), (True, "Check the ticket with klist")]
)
def test_kerberos_names_what_is_missing(
    bench: Bench, tokens: list[bytes], installed: bool, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of Kerberos itself was tried: a class in place of the libraries fails as they do without a ticket."""

    def no_ticket(**words: object) -> None:
        raise RuntimeError("No Kerberos credentials available")

    monkeypatch.setattr("spnego._gss.HAS_GSSAPI", False)
    monkeypatch.setattr("spnego._gss.GSSAPI_IMP_ERR", "No module named gssapi")
    if installed:
        monkeypatch.setattr("spnego.client", no_ticket)
    done = bench.here("plan", "--auth", "kerberos")
    assert done.code == 77
    assert "The logon method kerberos cannot be used on this controller." in done.err
    assert hint in done.err
    assert tokens == []


@pytest.mark.parametrize("command", [("plan",), ("provision", "--yes"), ("doctor",)], ids=lambda words: words[0])
def test_a_connection_without_tls_is_warned_about_once(bench: Bench, command: tuple[str, ...]) -> None:
    for output in ("text", "json"):
        done = bench.run(*command, "--output", output)
        lines = [line for line in done.err.splitlines() if WARNING in line]
        assert [line.startswith('warning: tls is "off" for rp01') for line in lines] == ([True] if bench.tls == "off" else []), done.err
        if output == "json" and command != ("doctor",):
            notes = [note for note in done.host["notes"] if WARNING in note["text"]]
            assert [note["kind"] for note in notes] == (["warning"] if bench.tls == "off" else [])
        else:
            assert WARNING not in done.out
