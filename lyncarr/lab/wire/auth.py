"""Authentication and message sealing of one TCP connection: Basic, and Negotiate or NTLM by pyspnego's acceptor."""

from __future__ import annotations

import base64
import hmac
import os
import re
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import spnego
import spnego.channel_bindings
import spnego.exceptions
from spnego._ntlm_raw.crypto import ntowfv1

NEGOTIATE = "Negotiate"
BASIC = 'Basic realm="WSMAN"'
MUTUAL = "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual"
SEALED_TYPE = 'multipart/encrypted;protocol="application/HTTP-SPNEGO-session-encrypted";boundary="Encrypted Boundary"'
BOUNDARY = b"--Encrypted Boundary"

AuthStep = Literal["none", "challenge", "granted", "session", "refused"]


class SealError(Exception):
    """A body that claims to be sealed and cannot be opened with this connection's keys."""


@dataclass(frozen=True)
class Account:
    """The one account of the simulated host. `computer` is its NetBIOS name, a domain that clients may name."""

    user: str
    password: str
    computer: str

    def is_basic(self, header: str) -> bool:
        """Whether a Basic Authorization header names this account and its password."""
        try:
            shown = base64.b64decode(header.split(" ", 1)[1], validate=True)
        except (ValueError, IndexError):
            return False
        user, _, password = shown.partition(b":")
        name = user.decode("utf-8", "replace").rpartition("\\")[2]
        # Clients disagree about the encoding; requests takes Latin-1 where it can.
        known = [self.password.encode()] + [self.password.encode("latin-1")] * _is_latin(self.password)
        return name.casefold() == self.user.casefold() and any(hmac.compare_digest(password, each) for each in known)


def _is_latin(text: str) -> bool:
    return all(ord(character) < 256 for character in text)


class _UserFile:
    """pyspnego's acceptor reads accounts from the file that NTLM_USER_FILE names, one for the whole process.

    Many hosts with different passwords live in one test process, so each step of an acceptor runs with the file holding its
    own host's account. Format: smbpasswd's, NT hashes, because the other one has no place for a colon in a password.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def step(self, account: Account, make: Any) -> Any:
        with self._lock:
            if self._folder is None:
                self._folder = tempfile.TemporaryDirectory(prefix="lyncarr-lab-")
                os.environ["NTLM_USER_FILE"] = str(Path(self._folder.name) / "users")
            path = Path(self._folder.name) / "users"
            nt_hash = ntowfv1(account.password).hex().upper()
            names = (account.user, f"{account.computer}\\{account.user}", f".\\{account.user}")
            path.touch(mode=0o600)
            path.write_text("".join(f"{name}:0:{'0' * 32}:{nt_hash}:[U]:LCT-0\n" for name in names), encoding="utf-8")
            try:
                return make()
            finally:
                path.write_text("", encoding="utf-8")


_USERS = _UserFile()


@dataclass(frozen=True)
class Verdict:
    """What to do with a request: carry it out (`granted`), or answer 401 with `offers`. `token` goes into the answer's header."""

    granted: bool
    step: AuthStep
    offers: tuple[str, ...] = ()
    token: str | None = None


class ConnectionAuth:
    """The state of one connection. `binding` is the channel binding of its TLS session (tls-server-end-point), None over http.

    Over http Windows' own defaults hold: no Basic, and no body that is not sealed. `client_certificate` is True where the TLS
    handshake has shown one that this host trusts.
    """

    def __init__(self, account: Account, binding: bytes | None, *, client_certificate: bool = False, basic: bool = True) -> None:
        self._account = account
        self._binding = binding
        self._basic = basic and binding is not None
        self._client_certificate = client_certificate
        self._context: Any = None

    @property
    def sealing_required(self) -> bool:
        return self._binding is None

    def check(self, authorization: str | None) -> Verdict:
        """Judge one request by its Authorization header."""
        scheme = (authorization or "").split(" ", 1)[0].lower()
        if authorization is None:
            if self._context is not None and self._context.complete:
                return Verdict(True, "session")
            return self._refuse("none")
        if scheme == "basic" and self._basic:
            return Verdict(True, "granted") if self._account.is_basic(authorization) else self._refuse("refused")
        if scheme == MUTUAL.lower() and self._client_certificate:
            return Verdict(True, "granted")
        if scheme in ("negotiate", "ntlm"):
            return self._negotiate(authorization)
        return self._refuse("refused")

    def _refuse(self, step: AuthStep) -> Verdict:
        self._context = None
        return Verdict(False, step, (NEGOTIATE, BASIC) if self._basic else (NEGOTIATE,))

    def _negotiate(self, authorization: str) -> Verdict:
        try:
            token = base64.b64decode(authorization.split(" ", 1)[1], validate=True)
            answer = _USERS.step(self._account, lambda: self._step(token))
        except Exception:
            # pyspnego checks no length and no member of a token: any exception of it means that this is no token.
            return self._refuse("refused")
        header = f"{NEGOTIATE} {base64.b64encode(answer).decode('ascii')}" if answer else None
        if self._context.complete:
            return Verdict(True, "granted", token=header)
        return Verdict(False, "challenge", (header or NEGOTIATE,))

    def _step(self, token: bytes) -> bytes | None:
        if self._context is None or self._context.complete:
            bindings = spnego.channel_bindings.GssChannelBindings(application_data=self._binding) if self._binding else None
            self._context = spnego.server(
                protocol="negotiate",
                channel_bindings=bindings,
                options=spnego.NegotiateOptions.use_negotiate | spnego.NegotiateOptions.use_ntlm,
            )
        answer: bytes | None = self._context.step(token)
        return answer

    def unseal(self, headers: Mapping[str, str], body: bytes) -> tuple[bytes, bool]:
        """The SOAP message in `body`, and whether it came sealed; raises SealError."""
        if not headers.get("content-type", "").lower().startswith("multipart/encrypted"):
            return body, False
        if self._context is None or not self._context.complete:
            raise SealError("a sealed message on a connection without a security context")
        length = re.search(rb"OriginalContent:[^\r\n]*;Length=(\d+)", body)
        marker = b"Content-Type: application/octet-stream\r\n"
        at = body.find(marker)
        end = body.rfind(BOUNDARY + b"--")
        if length is None or at < 0 or end < 0:
            raise SealError("a sealed message without its parts")
        sealed = body[at + len(marker) : end]
        head = int.from_bytes(sealed[:4], "little")
        try:
            clear: bytes = self._context.unwrap_winrm(sealed[4 : 4 + head], sealed[4 + head :])
        except Exception as error:
            # As in _negotiate: whatever pyspnego raises, this is not a sealed message.
            raise SealError("a sealed message that does not open with this connection's key") from error
        if len(clear) != int(length.group(1)):
            raise SealError("a sealed message of another length than it says")
        return clear, True

    def seal(self, clear: bytes) -> bytes:
        """`clear` as the body of a multipart/encrypted answer."""
        sealed = self._context.wrap_winrm(clear)
        return b"".join(
            (
                BOUNDARY,
                b"\r\n\tContent-Type: application/HTTP-SPNEGO-session-encrypted\r\n",
                b"\tOriginalContent: type=application/soap+xml;charset=UTF-8;Length=%d\r\n" % (len(clear) + sealed.padding_length),
                BOUNDARY,
                b"\r\n\tContent-Type: application/octet-stream\r\n",
                len(sealed.header).to_bytes(4, "little"),
                sealed.header,
                sealed.data,
                BOUNDARY,
                b"--\r\n",
            )
        )
