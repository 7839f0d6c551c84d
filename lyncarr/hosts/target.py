"""Which machine is meant, how to log on to it, and what makes it trusted. Pure; nothing here opens a connection."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from lyncarr.config.names import parse_server
from lyncarr.core.errors import UsageError
from lyncarr.core.kinds import AuthMethod, TransportKind
from lyncarr.core.model import Secret

if TYPE_CHECKING:
    from lyncarr.config.tables import HostConfig

HTTP_PORT = 5985
HTTPS_PORT = 5986


@dataclass(frozen=True)
class Tls:
    """What makes a host's certificate right.

    "verify": the system's trusted roots; "ca": the roots in the PEM file `ca`; "pin": the one leaf whose SHA-256 (upper hex) is
    `pin`, its name, chain and dates not asked; "off": http, and then every message is sealed by NTLM or Kerberos.
    """

    mode: Literal["verify", "ca", "pin", "off"] = "verify"
    ca: Path | None = None
    pin: str | None = None

    @classmethod
    def parse(cls, text: str, base: Path) -> Tls:
        """A canonical `tls` value of the site file (config.values.check_tls); a relative CA file starts at `base`."""
        mode, _, rest = text.partition(":")
        if mode == "ca":
            return cls("ca", ca=base / rest)
        if mode == "pin":
            return cls("pin", pin=rest.removeprefix("sha256:").upper())
        return cls("off" if mode == "off" else "verify")


@dataclass(frozen=True)
class Target:
    """One machine with WinRM. `name` is what people call it, `address` a DNS name (A-labels) or an IP address without brackets.

    Raises UsageError for combinations that would send a password readable, or cannot work at all.
    """

    name: str
    address: str
    port: int
    user: str
    password: Secret | None
    auth: AuthMethod = AuthMethod.negotiate
    tls: Tls = Tls()
    certificate: Path | None = None
    key: Path | None = None
    transport: TransportKind = TransportKind.psrp

    def __post_init__(self) -> None:
        if self.auth != AuthMethod.certificate and self.password is None:
            raise UsageError(f"There is no password for {self.user} on {self.name}; use --password-from, or the site file's key password.")
        _refuse_useless(self.name, self.user, self.auth, self.tls, self.certificate, self.key)

    @property
    def where(self) -> str:
        """For messages: `rp01 (192.0.2.10:5986)`, and only the address where that is also the name."""
        return self.place if self.name == self.address else f"{self.name} ({self.place})"

    @property
    def place(self) -> str:
        """`192.0.2.10:5986`, IPv6 in brackets."""
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"

    @property
    def endpoint(self) -> str:
        """The URL of the WS-Management service."""
        return f"{'http' if self.tls.mode == 'off' else 'https'}://{self.place}/wsman"


class Resolve(Protocol):
    """The secret behind `reference`, whose relative paths start at `base`; `label` names it in a question, `account` in a keyring."""

    def __call__(self, reference: str, base: Path, label: str, account: str) -> Secret: ...


def make_target(
    name: str,
    entry: HostConfig | None,
    *,
    base: Path,
    address: str | None,
    user: str | None,
    auth: str | None,
    port: int | None,
    tls: str | None,
    password_from: str | None,
    resolve: Resolve,
    transport: str | None = None,
) -> Target:
    """The table [hosts.NAME] of the site file with the command line's words over it; `entry` None means that `name` is an address.

    Files of the site file start at `base`, those of the command line at the working folder. `resolve` is asked for a password
    only where the method needs one, and after everything else was found right. Raises UsageError (exit 64) for what the command
    line says wrong.
    """
    from lyncarr.config.values import check_tls

    if tls is not None:
        try:
            trust = Tls.parse(check_tls(tls), Path())
        except ValueError as error:
            raise UsageError(f"--tls: {error}.") from None
    else:
        trust = Tls.parse(entry.tls if entry else "verify", base)
    method = AuthMethod(auth or (entry.auth if entry else AuthMethod.negotiate))
    account = user or (entry.user if entry and entry.user else "")
    where = _address(name, entry, address)
    certificate, key = (entry.certificate, entry.key) if entry else (None, None)
    _refuse_useless(name, account, method, trust, certificate, key)
    secret = None
    if method != AuthMethod.certificate:
        label = f"the password of {account} on {name}"
        if password_from is not None:
            secret = resolve(password_from, Path(), label, account)
        else:
            secret = resolve(entry.password if entry else "prompt", base, label, account)
    return Target(
        name=name,
        address=where,
        port=port or (entry.port if entry and entry.port else HTTP_PORT if trust.mode == "off" else HTTPS_PORT),
        user=account,
        password=secret,
        auth=method,
        tls=trust,
        certificate=certificate,
        key=key,
        transport=TransportKind(transport or (entry.transport if entry else TransportKind.psrp)),
    )


def _refuse_useless(name: str, user: str, auth: AuthMethod, tls: Tls, certificate: Path | None, key: Path | None) -> None:
    """Raise UsageError for combinations that would send a password readable, or cannot work at all."""
    if auth in (AuthMethod.basic, AuthMethod.certificate) and tls.mode == "off":
        raise UsageError(f'Logging on by "{auth}" needs TLS; use another --tls than off, or --auth negotiate.')
    if auth == AuthMethod.basic and ":" in user:
        raise UsageError("A user name for --auth basic cannot hold a colon; use the name without one, or --auth negotiate.")
    if auth == AuthMethod.certificate:
        if certificate is None or key is None:
            raise UsageError('Logging on by "certificate" needs the keys certificate and key of the host in the site file.')
    elif not user:
        raise UsageError(f"Name the account for {name}: --user NAME, or the key user of the host in the site file.")


def _address(name: str, entry: HostConfig | None, given: str | None) -> str:
    """--address, else the site file's address, else the name itself: always one machine in canonical form."""
    if given is None and entry is not None and entry.address is not None:
        return entry.address
    try:
        return parse_server(given or name)
    except ValueError as error:
        raise UsageError(f"{'--address' if given else '--host'}: {error}.") from None
