"""Why a TLS handshake fails, each cause with a real server: openssl s_server in the mode that shows it."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import dh
from cryptography.hazmat.primitives.serialization import Encoding, ParameterFormat

from lyncarr.core.errors import LyncarrError, ProtocolError, UnreachableError
from lyncarr.core.model import Deadline, Secret
from lyncarr.hosts.http.sockets import dial
from lyncarr.hosts.http.tls import secure
from lyncarr.hosts.target import Target, Tls
from tests.certs import make_leaf, rsa_key, with_sha1
from tests.patience import HANG_S

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl here: the causes of failed handshakes were not proved")


OAKLEY_2 = int(
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F1437"
    "4FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7EDEE386BFB5A899FA5AE9F24117C4B1FE649286651ECE65381FFFFFFFFFFFFFFFF",
    16,
)
"""The prime of 1024 bits of RFC 2409, section 6.2."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    key = rsa_key(0)
    leaf = make_leaf(["rp01"], key=key)
    (folder / "key.pem").write_bytes(leaf.key_pem)
    (folder / "sha256.pem").write_bytes(leaf.pem)
    (folder / "sha1.pem").write_bytes(with_sha1(leaf, key).pem)
    parameters = dh.DHParameterNumbers(OAKLEY_2, 2).parameters()
    (folder / "dh.pem").write_bytes(parameters.parameter_bytes(Encoding.PEM, ParameterFormat.PKCS3))
    return folder


@contextmanager
def server(folder: Path, *options: str) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    command = ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-key", "key.pem", "-quiet", *options]
    with subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            end = time.monotonic() + HANG_S
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), HANG_S).close()
                    break
                except ConnectionRefusedError:
                    assert time.monotonic() < end
                    assert process.poll() is None, f"openssl does not know {options}"
                    time.sleep(0.05)
            yield port
        finally:
            process.kill()


def shake_hands(port: int) -> ssl.SSLSocket:
    target = Target("rp01", "127.0.0.1", port, "Administrator", Secret("canary"), tls=Tls("pin", pin="0" * 64))
    deadline = Deadline(HANG_S)

    def again() -> socket.socket:
        return dial("127.0.0.1", port, "rp01", deadline)

    return secure(again(), target, deadline, again)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "text", "hint"),
    [
        (
            ["-cert", "sha256.pem", "-tls1_2", "-cipher", "AES128-SHA"],
            "no TLS cipher suite in common.*it offers AES128-SHA",
            "ECDHE and AES-GCM",
        ),
        (["-cert", "sha256.pem", "-tls1_2", "-cipher", "ARIA128-GCM-SHA256"], "no TLS cipher suite in common.*it offers ARIA", "ECDHE"),
        (["-cert", "sha1.pem", "-strict", "-tls1_2"], "no TLS cipher suite or signature algorithm in common", "signed with SHA-1"),
        (
            ["-cert", "sha1.pem", "-tls1_2", "-sigalgs", "RSA+SHA1", "-cipher", "DEFAULT:@SECLEVEL=0"],
            "The certificate of .* is signed with SHA-1",
            "Create a certificate with SHA-256",
        ),
        (
            ["-cert", "sha256.pem", "-tls1_2", "-cipher", "DHE-RSA-AES128-GCM-SHA256:@SECLEVEL=0", "-dhparam", "dh.pem"],
            "a Diffie-Hellman key that is too small",
            "ECDHE",
        ),
        (["-cert", "sha256.pem", "-tls1_1", "-cipher", "DEFAULT:@SECLEVEL=0"], "does not support TLS 1.2", "Enable TLS 1.2"),
    ],
)
def test_the_cause_is_named(options: list[str], text: str, hint: str, folder: Path) -> None:
    with server(folder, *options) as port, pytest.raises(ProtocolError, match=text) as caught:
        shake_hands(port)
    assert hint in caught.value.hint


def test_a_server_without_a_fault_comes_as_far_as_its_pin(folder: Path) -> None:
    with server(folder, "-cert", "sha256.pem") as port, pytest.raises(LyncarrError, match="is not the pinned one"):
        shake_hands(port)


def test_a_server_that_closes_the_connection_may_have_nothing_in_common() -> None:
    """As Windows does instead of an alert."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=lambda: listener.accept()[0].close(), daemon=True).start()
        with pytest.raises(UnreachableError, match="closed the connection during the TLS handshake") as caught:
            shake_hands(listener.getsockname()[1])
    assert "SHA-256 or better" in caught.value.hint
