"""The host of a connection: its address, how to log on, and how to verify its certificate. Pure; opens no connection."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, TypeVar

from lyncarr.config.names import parse_server
from lyncarr.core.errors import UsageError
from lyncarr.core.kinds import AuthMethod, TransportKind
from lyncarr.core.model import Secret
from lyncarr.core.text import quoted

if TYPE_CHECKING:
    from lyncarr.config.tables import HostConfig

Word = TypeVar("Word", AuthMethod, TransportKind)

HTTP_PORT = 5985
HTTPS_PORT = 5986
MAX_PORT = 65535

CHECK_ADDRESS = "Check the address and the port of the host."
CHECK_NETWORK = "Check the network: another computer may answer in place of the host."
RUN_AGAIN = "Run the command again."


@dataclass(frozen=True)
class Tls:
    """How lyncarr verifies the certificate of a host.

    "verify": by the trusted roots of the system. "ca": by the roots in the PEM file `ca`. "pin": only the certificate whose SHA-256
    (upper case hex) is `pin`; its name, chain and dates do not matter. "off": HTTP without TLS, where NTLM or Kerberos encrypts every
    message.
    """

    mode: Literal["verify", "ca", "pin", "off"] = "verify"
    ca: Path | None = None
    pin: str | None = None

    @classmethod
    def parse(cls, text: str, base: Path) -> Tls:
        """From a canonical `tls` value of the configuration file (config.values.check_tls). A relative CA file starts at `base`."""
        mode, _, rest = text.partition(":")
        if mode == "ca":
            return cls("ca", ca=base / rest)
        if mode == "pin":
            return cls("pin", pin=rest.removeprefix("sha256:").upper())
        return cls("off" if mode == "off" else "verify")


@dataclass(frozen=True)
class Target:
    """One host with WinRM.

    `name` is the name in messages, `address` a DNS name (A-labels) or an IP address without brackets. Raises UsageError for
    combinations that would send a password unencrypted, or cannot work at all.
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
        if needs_password(self.auth, self.user) and self.password is None:
            raise UsageError(
                f"There is no password for {self.user} on {self.name}.",
                hint="Use --password-from, or the key `password` of the host in the configuration file.",
            )
        _require_usable(self.name, self.user, self.auth, self.tls, self.certificate, self.key)

    @property
    def where(self) -> str:
        """For messages: `rp01 (192.0.2.10:5986)`, or only the address where it is also the name."""
        return self.place if self.name == self.address else f"{self.name} ({self.place})"

    @property
    def place(self) -> str:
        """`192.0.2.10:5986`, IPv6 in brackets."""
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"

    @property
    def account(self) -> str:
        """For messages: the user, or what logs on without one."""
        return self.user or ("the client certificate" if self.auth == AuthMethod.certificate else "the user of this machine")

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
    """The target of one connection: the table [hosts.NAME] of the configuration file, with overrides of the command line.

    `entry` is that table; None means that `name` is an address. An override of None keeps the value of the table. Relative files of the
    configuration file start at `base`, those of the command line at the working folder. `resolve` is called only where the logon method
    needs a password, after every other check. Raises UsageError (exit 64) for an invalid override.
    """
    from lyncarr.config.values import check_tls

    if tls is not None:
        try:
            trust = Tls.parse(check_tls(tls), Path())
        except ValueError as error:
            raise UsageError(f"--tls: {error}.") from None
    else:
        trust = Tls.parse(entry.tls if entry else "verify", base)
    if port is not None and not 1 <= port <= MAX_PORT:
        raise UsageError(f"--port: {port} is not a valid port.", hint=f"Use a number from 1 to {MAX_PORT}.")
    method = _member(AuthMethod, "--auth", auth) or (entry.auth if entry else AuthMethod.negotiate)
    kind = _member(TransportKind, "--transport", transport) or (entry.transport if entry else TransportKind.psrp)
    account = user or (entry.user if entry and entry.user else "")
    if method == AuthMethod.negotiate and not account and sys.platform == "win32":
        # As all programs of Windows do: without an account, Negotiate uses that of the present Windows session.
        method = AuthMethod.sspi
    where = _address(name, entry, address)
    certificate, key = (entry.certificate, entry.key) if entry else (None, None)
    _require_usable(name, account, method, trust, certificate, key)
    secret = None
    if needs_password(method, account):
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
        transport=kind,
    )


def needs_password(auth: AuthMethod, user: str) -> bool:
    """Whether a logon by `auth` sends or proves a password. Kerberos without a user takes the ticket that is there."""
    return auth not in (AuthMethod.certificate, AuthMethod.sspi) and not (auth == AuthMethod.kerberos and not user)


def _member(words: type[Word], option: str, text: str | None) -> Word | None:
    """The member of `words` for `text`; None for None. Raises UsageError for other text."""
    try:
        return None if text is None else words(text)
    except ValueError:
        raise UsageError(f"{option}: invalid value {quoted(text)}.", hint=f"Use {' or '.join(words)}.") from None


def _require_usable(name: str, user: str, auth: AuthMethod, tls: Tls, certificate: Path | None, key: Path | None) -> None:
    """Raise UsageError for combinations that would send a password unencrypted, or cannot work at all."""
    if auth in (AuthMethod.basic, AuthMethod.certificate) and tls.mode == "off":
        raise UsageError(
            f'The logon method {auth} requires TLS, and tls is "off" for {name}.', hint="Use another --tls, or --auth negotiate."
        )
    if auth == AuthMethod.basic and ":" in user:
        raise UsageError(
            f"The user name {quoted(user)} contains a colon, which the logon method basic does not allow.",
            hint="Use a user name without a colon, or --auth negotiate.",
        )
    if auth == AuthMethod.certificate:
        if certificate is None or key is None:
            raise UsageError(
                f"The logon method certificate requires a client certificate for {name}.",
                hint="Add the keys `certificate` and `key` to the table of the host in the configuration file.",
            )
    elif auth == AuthMethod.sspi:
        if user:
            raise UsageError(
                f"The logon method sspi does not use the account {quoted(user)}: it logs on as the user of this machine.",
                hint="Leave out the account, or use --auth negotiate or --auth kerberos.",
            )
        if sys.platform != "win32":
            raise UsageError("The logon method sspi exists on Windows only.", hint="Use --auth negotiate or --auth kerberos.")
    elif not user and auth != AuthMethod.kerberos:
        raise UsageError(
            f"No account is given for {name}.", hint="Use --user NAME, or the key `user` of the host in the configuration file."
        )


def _address(name: str, entry: HostConfig | None, given: str | None) -> str:
    """--address, else the address of the configuration file, else the name itself, in canonical form."""
    if given is None and entry is not None and entry.address is not None:
        return entry.address
    try:
        return parse_server(given or name)
    except ValueError as error:
        raise UsageError(f"{'--address' if given else '--host'}: {error}.") from None
