"""Which host a command means: the command line, the environment, or the only host of the configuration file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from lyncarr.cli.options import HOST_VARIABLE
from lyncarr.core.errors import UsageError
from lyncarr.core.text import quoted


def host_named(argument: str | None, options: Sequence[str] | None) -> str | None:
    """The host on the command line, None without one. Raises UsageError for two different hosts and for --host twice."""
    given = list(options or [])
    if len(given) > 1:
        raise UsageError(
            f"--host is given {len(given)} times ({', '.join(map(quoted, given))}).", hint="Run the command once for each host."
        )
    if argument is not None and given and argument.casefold() != given[0].casefold():
        raise UsageError(f"The command line names two hosts, {quoted(argument)} and {quoted(given[0])}.", hint="Name one host.")
    return argument if argument is not None else given[0] if given else None


def host_of(named: str | None, hosts: Mapping[str, Any], *, unattended: bool) -> str:
    """The host that a command means; `named` is the one on the command line, `hosts` are those of the configuration file.

    A host of the file is returned in the spelling of the file. `unattended`: the command writes without a question. Then the
    environment must not choose the host. Raises UsageError.
    """
    if named is not None:
        return _as_in_file(named, hosts)
    known = ", ".join(map(str, hosts)) or "none"
    only = next(iter(hosts)) if len(hosts) == 1 else None
    variable = os.environ.get(HOST_VARIABLE) or None
    if not unattended:
        if variable is not None:
            return _as_in_file(variable, hosts)
        if only is not None:
            return only
        raise UsageError(
            f"No host is named. The configuration file has: {known}.",
            hint=f"Add the host, such as: lyncarr plan {next(map(str, hosts), 'rp01')}.",
        )
    if only is not None and (variable is None or variable.casefold() == only.casefold()):
        return only
    if variable is not None:
        raise UsageError(
            f"--yes needs the host on the command line; {HOST_VARIABLE} ({quoted(variable)}) does not choose it.",
            hint=f"Add the host. The configuration file has: {known}.",
        )
    raise UsageError(f"No host is named. The configuration file has: {known}.", hint="Add the host to the command line.")


def _as_in_file(name: str, hosts: Mapping[str, Any]) -> str:
    return next((known for known in hosts if known.casefold() == name.casefold()), name)
