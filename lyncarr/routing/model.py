"""The part of a host's IIS configuration that decides where a request goes, and one request.

Names of attributes, values and defaults are those of the schemas of URL Rewrite 2 and ARR 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

Syntax: TypeAlias = Literal["ECMAScript", "Wildcard", "ExactMatch"]
ActionType: TypeAlias = Literal["None", "Rewrite", "Redirect", "CustomResponse", "AbortRequest"]
Kind: TypeAlias = Literal["farm", "redirect", "response", "abort", "site", "unknown"]

DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Condition:
    input: str
    pattern: str = ""
    match_type: Literal["Pattern", "IsFile", "IsDirectory"] = "Pattern"
    ignore_case: bool = True
    negate: bool = False


@dataclass(frozen=True)
class Action:
    type: ActionType = "None"
    url: str = ""
    append_query_string: bool = True
    redirect_type: int = 301
    status_code: int = 0


@dataclass(frozen=True)
class Rule:
    name: str
    url: str
    action: Action
    enabled: bool = True
    syntax: Syntax = "ECMAScript"
    stop: bool = False
    ignore_case: bool = True
    negate: bool = False
    conditions: tuple[Condition, ...] = ()
    match_any: bool = False
    track_all_captures: bool = False
    server_variables: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class RewriteMap:
    name: str
    entries: Mapping[str, str]
    default: str = ""
    ignore_case: bool = True


@dataclass(frozen=True)
class Server:
    address: str
    enabled: bool = True
    http_port: int = 80
    https_port: int = 443


@dataclass(frozen=True)
class Farm:
    name: str
    servers: tuple[Server, ...] = ()
    enabled: bool = True


@dataclass(frozen=True)
class Config:
    """`rules` are in the order in which the host evaluates them. `proxy` is the switch of ARR for the whole server."""

    rules: tuple[Rule, ...] = ()
    maps: tuple[RewriteMap, ...] = ()
    farms: tuple[Farm, ...] = ()
    proxy: bool = False

    def farm(self, name: str) -> Farm | None:
        return next((farm for farm in self.farms if farm.name.casefold() == name.casefold()), None)


@dataclass(frozen=True)
class Request:
    """One request as a client sends it. `path` begins with a slash, `query` has no question mark; `headers` have names in any case."""

    scheme: Literal["http", "https"]
    host: str
    port: int
    path: str = "/"
    query: str = ""
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, url: str) -> Request:
        """From a URL. Raises ValueError with the reason."""
        parts = urlsplit(url if "://" in url else f"https://{url}")
        if parts.scheme.lower() not in DEFAULT_PORTS:
            raise ValueError("use a URL that begins with https:// or http://")
        if not parts.hostname or "@" in parts.netloc:
            raise ValueError("the URL has no host name, or a user name")
        scheme: Literal["http", "https"] = "https" if parts.scheme.lower() == "https" else "http"
        return cls(scheme, parts.hostname, parts.port or DEFAULT_PORTS[scheme], parts.path or "/", parts.query)

    @property
    def url(self) -> str:
        """The whole URL; the port only where it is not the one of the scheme."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == DEFAULT_PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}{self.path}" + (f"?{self.query}" if self.query else "")


@dataclass(frozen=True)
class Tried:
    """One rule of the trace: whether it matched (None where that is unknown), and why not, or what it did."""

    rule: str
    matched: bool | None
    reason: str


@dataclass(frozen=True)
class Outcome:
    """What the host does with a request.

    "farm": ARR sends it to `server` of `farm`, or to `server` directly where no farm has that name; `url` is the URL handed on.
    "redirect": the client is sent to `url`. "response": the host answers itself with `status`. "abort": the connection is closed.
    "site": the web site of the host answers, with the path of `url`. "unknown": it depends on what this machine does not know; `reason`.
    """

    kind: Kind
    trace: tuple[Tried, ...]
    rule: str | None = None
    farm: str | None = None
    server: str | None = None
    url: str | None = None
    status: int | None = None
    reason: str = ""
