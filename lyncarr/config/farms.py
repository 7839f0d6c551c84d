"""What a farm table means: the defaults of its kind, its host pattern, and how the farms get on with each other. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lyncarr.config.kinds import KINDS, FarmKind, HttpPolicy
from lyncarr.config.names import display, first_label, pattern_matches
from lyncarr.config.problems import Problem

if TYPE_CHECKING:
    from lyncarr.config.tables import FarmTable


@dataclass(frozen=True)
class Farm:
    """One published name and where it leads, all defaults filled in.

    `name` is an A-label; `servers` are A-labels or addresses, each once; ports 1 to 65535 and not equal; `timeout_s` seconds.
    `host_pattern` is URL Rewrite's wildcard for the Host header under HTTPS, `http_pattern` for that on port 80. `https` False: the
    name is answered without TLS only, and `http` is "forward".
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
    """The farms in the file's order, with what must be mended, what may go wrong, and what is good to know."""

    farms: tuple[Farm, ...]
    problems: tuple[Problem, ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]


def host_header(name: str, website_port: int) -> str:
    """The Host header that a browser sends for `name`: with the port where it is not HTTPS's own."""
    return name if website_port == 443 else f"{name}:{website_port}"


def complete(tables: Sequence[FarmTable], website_port: int) -> Farms:
    """Fill in the defaults of `tables` and judge the farms together; `website_port` is the port of the web site's HTTPS binding."""
    farms = []
    notes = []
    shared = Counter(first_label(table.name) for table in tables)
    for table in tables:
        pattern = table.host_pattern
        if pattern is None:
            pattern = f"{first_label(table.name)}.*"
            if shared[first_label(table.name)] > 1:
                notes.append(
                    f"farm {display(table.name)} shares its first label with another farm, so its host pattern is its full name "
                    f"instead of {pattern}"
                )
                pattern = host_header(table.name, website_port)
        ports = KINDS[table.kind]
        filled_in = {
            "http_port": ports.http if table.http_port is None else table.http_port,
            "https_port": ports.https if table.https_port is None else table.https_port,
            "host_pattern": pattern,
            # Clients leave port 80 out of the Host header, whatever the port of the HTTPS binding is.
            "http_pattern": pattern.removesuffix(f":{website_port}"),
        }
        # Every key of the table is a field of Farm; a test sees to it.
        farms.append(Farm(**{**dict(table), **filled_in}))
    problems = [*_duplicates(farms), *_equal_ports(farms)]
    if not problems:
        problems = _captures(farms, website_port)
    return Farms(tuple(farms), tuple(problems), tuple(map(str, _warnings(farms, website_port))), tuple(notes))


def _duplicates(farms: Sequence[Farm]) -> list[Problem]:
    problems = []
    seen: dict[str, int] = {}
    for number, farm in enumerate(farms):
        if farm.name in seen:
            problems.append(
                Problem(
                    f"farms[{number}].name",
                    f"{display(farm.name)} is already the name of farms[{seen[farm.name]}] (letter case and a trailing dot do not count); "
                    "expected each name once",
                )
            )
        seen.setdefault(farm.name, number)
    return problems


def _equal_ports(farms: Sequence[Farm]) -> list[Problem]:
    return [
        Problem(
            f"farms[{number}].https_port",
            f"http_port and https_port are both {farm.https_port}; expected two different ports",
            display(farm.name),
        )
        for number, farm in enumerate(farms)
        if farm.http_port == farm.https_port
    ]


def _captures(farms: Sequence[Farm], website_port: int) -> list[Problem]:
    """The first rule that matches answers, so a pattern must not match the name of a farm that stands after it.

    Rules under HTTPS and rules without TLS do not meet.
    """
    return [
        Problem(
            f"farms[{number}].host_pattern",
            f"'{farm.host_pattern}' also matches {display(later.name)} of farms[{number + 1 + offset}], which would never be reached; "
            "expected a narrower pattern, or that farm first",
            display(farm.name),
        )
        for number, farm in enumerate(farms)
        for offset, later in enumerate(farms[number + 1 :])
        if (farm.https and later.https and pattern_matches(farm.host_pattern, host_header(later.name, website_port)))
        or (farm.http != "remove" and later.http != "remove" and pattern_matches(farm.http_pattern, later.name))
    ]


def _warnings(farms: Sequence[Farm], website_port: int) -> list[Problem]:
    warnings = []
    published = {farm.name for farm in farms}
    for number, farm in enumerate(farms):
        rules = []
        if farm.https:
            rules.append((farm.host_pattern, host_header(farm.name, website_port)))
        if farm.http != "remove":
            rules.append((farm.http_pattern, farm.name))
        # Where both miss it is one mistake.
        missed = next(((pattern, host) for pattern, host in rules if not pattern_matches(pattern, host)), None)
        if missed is not None:
            text = f"'{missed[0]}' does not match {missed[1]}, so the farm's own name would not be answered"
            warnings.append(Problem(f"farms[{number}].host_pattern", text, display(farm.name)))
        for server in farm.servers:
            if server in published:
                text = f"{display(server)} is a published name; where it resolves to this proxy itself, requests run in a loop"
                warnings.append(Problem(f"farms[{number}].servers", text, display(farm.name)))
    return warnings
