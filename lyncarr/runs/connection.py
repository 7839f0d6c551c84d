"""From a configuration file, a host's name and overrides to one target: which machine, which account, what makes it trusted."""

from __future__ import annotations

import getpass
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypedDict

from lyncarr.core.errors import UsageError
from lyncarr.core.model import Secret
from lyncarr.core.text import quoted

if TYPE_CHECKING:
    from lyncarr.config.site import Hosts
    from lyncarr.config.tables import HostConfig
    from lyncarr.hosts.target import Target

Ask: TypeAlias = Callable[[str], str] | None
"""Asks the user for a secret without showing it; None where a question is not possible."""


class OverrideArguments(TypedDict, total=False):
    """Overrides as keyword arguments; see Overrides."""

    address: str | None
    user: str | None
    auth: str | None
    port: int | None
    tls: str | None
    password_from: str | None
    transport: str | None


@dataclass(frozen=True)
class Overrides:
    """What replaces the host's table of the configuration file for one connection; None keeps the value of the file.

    `address` is a DNS name or an IP address, `auth` and `transport` are words of the configuration file, `tls` and `password_from` have
    the form of its keys `tls` and `password`. Relative files in them start at the working folder.
    """

    address: str | None = None
    user: str | None = None
    auth: str | None = None
    port: int | None = None
    tls: str | None = None
    password_from: str | None = None
    transport: str | None = None


def choose_host(hosts: Hosts, name: str | None) -> tuple[str, HostConfig | None]:
    """The host's name and its table; without `name` the only host of the file. Letter case does not count.

    The table is None for an address that the file does not hold. Raises UsageError where there is no name and not exactly one host.
    """
    if name is None:
        if len(hosts.hosts) == 1:
            return next(iter(hosts.hosts.items()))
        raise UsageError(
            f"No host is given, and the configuration file has {len(hosts.hosts) or 'no'} hosts.",
            hint=f"Name the host with --host: {', '.join(hosts.hosts) or 'an address, with --user'}.",
        )
    return next(((known, entry) for known, entry in hosts.hosts.items() if known.casefold() == name.casefold()), (name, None))


def find_target(hosts: Hosts, name: str | None, overrides: Overrides, ask: Ask = None) -> Target:
    """The target for `name`, which is a host of the file or, with a user in `overrides`, any address.

    Reads the password from its source, or asks for it. Raises UsageError (exit 64) or ConfigurationError (exit 78); contacts no host.
    """
    from lyncarr.hosts.target import make_target
    from lyncarr.secrets.sources import resolve

    if overrides.address == "":
        # The name of the table would become the address, and another computer would get the logon.
        raise UsageError("--address: must not be empty.", hint="Leave out --address to use the address of the configuration file.")
    host, entry = choose_host(hosts, name)
    if entry is None and overrides.user is None:
        raise UsageError(
            f"--host: the configuration file has no host {quoted(host)}.",
            hint=f"The file has: {', '.join(hosts.hosts) or 'none'}. For an address that is not in the file, add --user NAME.",
        )

    def password(reference: str, base: Path, label: str, account: str) -> Secret:
        written_in = hosts.path if overrides.password_from is None else None
        return resolve(reference, base=base, ask=ask, account=account, label=label, written_in=written_in)

    return make_target(
        host,
        entry,
        base=hosts.folder,
        address=overrides.address,
        user=overrides.user,
        auth=overrides.auth,
        port=overrides.port,
        tls=overrides.tls,
        password_from=overrides.password_from,
        resolve=password,
        transport=overrides.transport,
    )


def connection_warnings(target: Target) -> tuple[str, ...]:
    """What is risky about a connection that lyncarr can make. Each is one sentence."""
    if target.tls.mode != "off":
        return ()
    return (
        f'tls is "off" for {target.name}: a computer that answers in place of the host gets a logon that it can use on other servers '
        "(NTLM relay); use HTTPS with a pin.",
    )


def identity() -> str:
    """user@computer of this process."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):
        user = "unknown"
    return f"{user}@{socket.gethostname()}"
