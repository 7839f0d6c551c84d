"""From farm tables to farms: the defaults of each kind, the host patterns, and conflicts between farms. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lyncarr.config.kinds import KINDS, FarmKind, HttpPolicy
from lyncarr.config.names import display, first_label, pattern_matches
from lyncarr.config.problems import KeyProblem, about

if TYPE_CHECKING:
    from lyncarr.config.tables import FarmTable


@dataclass(frozen=True)
class Farm:
    """One published name and its servers, with all defaults.

    `name` is an A-label. `servers` are A-labels or IP addresses, without duplicates. The two ports differ. `timeout_s` is in seconds.
    `host_pattern` is the wildcard pattern of URL Rewrite for the Host header of HTTPS requests, `http_pattern` that for requests
    without TLS. With `https` False only requests without TLS are answered, and `http` is "forward".
    """

    name: str
    servers: tuple[str, ...]
    kind: FarmKind
    http_port: int
    https_port: int
    timeout_s: int
    disk_cache: bool
    ssl_offload: bool
    http: HttpPolicy
    https: bool
    host_pattern: str
    http_pattern: str


@dataclass(frozen=True)
class Farms:
    """The farms in the order of the file. `problems` must be fixed, `warnings` may cause failures, `notes` are for `lyncarr check`."""

    farms: tuple[Farm, ...]
    problems: tuple[KeyProblem, ...]
    warnings: tuple[KeyProblem, ...]
    notes: tuple[str, ...]


def host_header(name: str, website_port: int) -> str:
    """The Host header that a browser sends for `name`: it includes the port unless that is 443."""
    return name if website_port == 443 else f"{name}:{website_port}"


def complete(tables: Sequence[FarmTable], website_port: int) -> Farms:
    """The farms of `tables` with their defaults, and what is wrong with them; `website_port` is the port of the HTTPS binding."""
    shared = {label for label, count in Counter(first_label(table.name) for table in tables).items() if count > 1}
    farms = [_farm(table, website_port, full_name=first_label(table.name) in shared) for table in tables]
    by_full_name = [table.name for table in tables if table.host_pattern is None and first_label(table.name) in shared]
    problems = [*_duplicates(farms), *_equal_ports(farms)]
    if not problems:
        problems = _captures(farms, website_port)
    return Farms(tuple(farms), tuple(problems), tuple(_warnings(farms, website_port)), _note_of_full_names(by_full_name))


def _farm(table: FarmTable, website_port: int, *, full_name: bool) -> Farm:
    pattern = table.host_pattern
    if pattern is None:
        pattern = host_header(table.name, website_port) if full_name else f"{first_label(table.name)}.*"
    ports = KINDS[table.kind]
    completed = {
        "http_port": ports.http if table.http_port is None else table.http_port,
        "https_port": ports.https if table.https_port is None else table.https_port,
        "host_pattern": pattern,
        # Clients leave port 80 out of the Host header, whatever the port of the HTTPS binding is.
        "http_pattern": pattern.removesuffix(f":{website_port}"),
    }
    # Every key of the table is a field of Farm; a test proves it.
    return Farm(**{**dict(table), **completed})


def _note_of_full_names(names: Sequence[str]) -> tuple[str, ...]:
    return (f"host pattern: the full name, because the first label is not unique: {', '.join(map(display, names))}",) if names else ()


def _duplicates(farms: Sequence[Farm]) -> list[KeyProblem]:
    problems = []
    seen: dict[str, int] = {}
    for number, farm in enumerate(farms):
        if farm.name in seen:
            text = f"{display(farm.name)} is already the name of farms[{seen[farm.name]}]; publish each name once"
            problems.append(about(("farms", number, "name"), text))
        seen.setdefault(farm.name, number)
    return problems


def _equal_ports(farms: Sequence[Farm]) -> list[KeyProblem]:
    return [
        about(
            ("farms", number, "https_port"),
            f"http_port and https_port are both {farm.https_port}; use two different ports",
            farm=display(farm.name),
        )
        for number, farm in enumerate(farms)
        if farm.http_port == farm.https_port
    ]


def _captures(farms: Sequence[Farm], website_port: int) -> list[KeyProblem]:
    """Patterns that also match the name of a later farm: the first matching rule answers, so that farm would get no request.

    A rule for HTTPS and a rule for requests without TLS do not compete.
    """
    return [
        about(
            ("farms", number, "host_pattern"),
            f"'{farm.host_pattern}' also matches {display(later.name)} of farms[{number + 1 + offset}], which would get no requests; "
            "use a narrower pattern, or move that farm up",
            farm=display(farm.name),
        )
        for number, farm in enumerate(farms)
        for offset, later in enumerate(farms[number + 1 :])
        if (farm.https and later.https and pattern_matches(farm.host_pattern, host_header(later.name, website_port)))
        or (farm.http != "remove" and later.http != "remove" and pattern_matches(farm.http_pattern, later.name))
    ]


def _warnings(farms: Sequence[Farm], website_port: int) -> list[KeyProblem]:
    warnings = []
    published = {farm.name for farm in farms}
    for number, farm in enumerate(farms):
        rules = []
        if farm.https:
            rules.append((farm.host_pattern, host_header(farm.name, website_port)))
        if farm.http != "remove":
            rules.append((farm.http_pattern, farm.name))
        # One mistake, even where both patterns miss the name.
        missed = next(((pattern, host) for pattern, host in rules if not pattern_matches(pattern, host)), None)
        if missed is not None:
            text = f"'{missed[0]}' does not match {missed[1]}; requests for the farm's own name are not answered"
            warnings.append(about(("farms", number, "host_pattern"), text, farm=display(farm.name)))
        for position, server in enumerate(farm.servers):
            if server in published:
                text = f"{display(server)} is a published name; if it resolves to this proxy, requests run in a loop"
                warnings.append(about(("farms", number, "servers", position), text, farm=display(farm.name)))
    return warnings
