"""The site file's tables as pydantic models, and `Site`, what the rest of the program reads.

A field's description says what is expected there, its "each" what of each item of a list; loader.py puts them into error
messages. Paths are relative to the site file and are kept absolute; pass `context={"folder": Path}` when validating.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeAlias, get_args
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    StrictBool,
    StrictInt,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from lyncarr.config.farms import DEFAULT_TIMEOUT_S, Farm, FarmKind
from lyncarr.config.names import check_host_pattern, display, parse_fqdn, parse_server, quoted
from lyncarr.config.sources import check_reference

Role: TypeAlias = Literal["url_rewrite", "web_farm", "arr", "external_cache"]
ROLES: tuple[Role, ...] = get_args(Role)
"""In the order of installation: URL Rewrite and Web Farm Framework must be there before ARR."""

_HEX64 = re.compile(r"[0-9A-Fa-f]{64}")
_WEBSITE_BINDING = re.compile(r"(?P<address>\*|[0-9.]+|\[[0-9A-Fa-f:.]+\]):(?P<port>[1-9][0-9]{0,4}):(?P<host>.*)")


def at(key: str, text: str) -> PydanticCustomError:
    """A problem that is found by looking at a whole table but belongs to one of its keys."""
    return PydanticCustomError("at", "{text}", {"at": key, "text": text})


def _text(value: str) -> str:
    if not value:
        raise ValueError("is empty; expected text")
    if not value.isprintable():
        raise ValueError(f"{quoted(value)} holds a character that cannot be shown; expected plain text")
    return value


def _path(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, str):
        return value
    folder: Path = (info.context or {})["folder"]
    return folder / _text(value)


def _path_or_url(value: Any, info: ValidationInfo) -> Path | str:
    if not isinstance(value, str):
        raise ValueError("is no text; expected a file, relative to the site file, or an https URL")
    if "://" not in value:
        path: Path = _path(value, info)
        return path
    # A URL may hold a token or a password: none of it is repeated.
    _text(value)
    try:
        parts = urlsplit(value)
        port_is_fine = parts.port is None or parts.port > 0
        parse_server(parts.hostname or "")
    except ValueError:
        raise ValueError("is no URL that a host could fetch; expected one such as https://files.contoso.com/arr.msi") from None
    if parts.scheme.lower() != "https" or not port_is_fine:
        raise ValueError("is no https URL; expected https, so that the file cannot be exchanged on its way")
    if parts.username is not None or parts.password is not None:
        raise ValueError("is a URL with a user or password in it; expected one that needs none, or a file here")
    return value


def _sha256(value: str) -> str:
    if not _HEX64.fullmatch(value):
        raise ValueError("is no SHA-256; expected 64 hexadecimal digits")
    return value.upper()


def check_tls(text: str) -> str:
    """A `tls` value in its canonical form (a pin in upper hex without colons); ValueError with the reason else."""
    if text in ("verify", "off"):
        return text
    mode, _, rest = text.partition(":")
    if mode == "ca" and rest and rest.isprintable():
        return text
    if mode == "pin":
        algorithm, _, digits = rest.partition(":")
        digits = digits.replace(":", "").upper()
        if algorithm != "sha256" or not _HEX64.fullmatch(digits):
            raise ValueError("is no pin; expected pin:sha256: and the 64 hexadecimal digits of the certificate's SHA-256")
        return f"pin:sha256:{digits}"
    raise ValueError(f"{quoted(text)} is no way to trust a host; expected verify, ca:FILE, pin:sha256:HEX or off")


PlainText = Annotated[str, AfterValidator(_text)]
SitePath = Annotated[Path, BeforeValidator(_path)]
PathOrUrl = Annotated[Path | str, PlainValidator(_path_or_url)]
Fqdn = Annotated[str, AfterValidator(parse_fqdn)]
Server = Annotated[str, AfterValidator(parse_server)]
Reference = Annotated[str, AfterValidator(check_reference)]
Sha256 = Annotated[str, AfterValidator(_sha256)]
Port = Annotated[StrictInt, Field(ge=1, le=65535, description="a port from 1 to 65535")]


class Table(BaseModel):
    """A table of the site file: unknown keys are errors, values do not change, and no input is repeated in pydantic's own messages."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class HostConfig(Table):
    """[hosts.NAME]: how to reach one server. Without `address` the table's name is the address.

    `port` None means 5986, or 5985 with tls = "off"; `user` None leaves it to --user. `password` is a reference, see sources.py.
    """

    address: Server | None = Field(default=None, description="the name or address of the server, without port")
    user: PlainText | None = Field(default=None, description='an account, such as "Administrator"')
    password: Reference = Field(default="prompt", description="prompt, env:NAME or file:PATH")
    auth: Literal["negotiate", "ntlm", "basic", "certificate"] = Field(
        default="negotiate", description="negotiate, ntlm, basic or certificate"
    )
    certificate: SitePath | None = Field(default=None, description="a PEM file, relative to the site file")
    key: SitePath | None = Field(default=None, description="a PEM file, relative to the site file")
    tls: Annotated[str, AfterValidator(check_tls)] = Field(default="verify", description="verify, ca:FILE, pin:sha256:HEX or off")
    port: Port | None = Field(default=None, description="a port from 1 to 65535")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.auth == "certificate":
            for key in ("certificate", "key"):
                if getattr(self, key) is None:
                    raise at(key, 'is missing; expected a PEM file, because auth is "certificate"')
        elif self.certificate is not None or self.key is not None:
            unused = "certificate" if self.certificate is not None else "key"
            raise at(unused, f'is not used with auth = "{self.auth}"; expected auth = "certificate", or no such key')
        if self.tls == "off" and self.auth in ("basic", "certificate"):
            raise at("auth", f'"{self.auth}" needs TLS; expected another tls than "off", or auth = "negotiate"')
        if self.auth == "basic" and self.user is not None and ":" in self.user:
            raise at("user", 'holds a colon, which ends the user name under auth = "basic"; expected a name without one')
        return self


class Certificates(Table):
    """[certificates]. Without it, or without a key of it, the steps concerned want nothing: what the host has is left alone."""

    trusted_roots: tuple[SitePath, ...] = Field(
        default=(),
        max_length=100,
        description="a list of certificate files, DER or PEM, relative to the site file",
        json_schema_extra={"each": "a certificate file, DER or PEM, as text"},
    )
    public: SitePath | None = Field(default=None, description="a PFX file, relative to the site file")
    password: Reference | None = Field(default=None, description="prompt, env:NAME or file:PATH")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.password is not None and self.public is None:
            raise at("public", "is missing; expected the PFX file that the password is for")
        return self


class Website(Table):
    """[website]: the IIS site that answers for all farms, and its HTTPS binding as IIS writes it, address:port:host.

    The host part stays empty: one binding serves all published names.
    """

    name: PlainText = Field(default="Default Web Site", description="the name of an IIS site")
    https: str = Field(default="*:443:", description='a binding without host name, such as "*:443:"')

    @field_validator("https")
    @classmethod
    def _binding(cls, value: str) -> str:
        parts = _WEBSITE_BINDING.fullmatch(value)
        if parts is None or int(parts["port"]) > 65535:
            raise ValueError(f'{quoted(value)} is no binding; expected address:port: such as "*:443:"')
        if parts["host"]:
            raise ValueError(f'{quoted(value)} has a host name, and would answer for that name only; expected none, such as "*:443:"')
        if parts["address"] != "*":
            parse_server(parts["address"].strip("[]"))
        return value

    @property
    def port(self) -> int:
        return int(self.https.rsplit(":", 2)[1])


class Sha256Table(Table):
    """installers.sha256: the hash of each package that is not one of Microsoft's known files. Upper hex."""

    url_rewrite: Sha256 | None = Field(default=None, description="64 hexadecimal digits")
    web_farm: Sha256 | None = Field(default=None, description="64 hexadecimal digits")
    arr: Sha256 | None = Field(default=None, description="64 hexadecimal digits")
    external_cache: Sha256 | None = Field(default=None, description="64 hexadecimal digits")

    def of(self, role: Role) -> str | None:
        value: str | None = getattr(self, role)
        return value


class Installers(Table):
    """[installers]: a Path is a file here, a str an https URL that the host fetches.

    `source` auto installs what is given here and expects the rest on the host.
    """

    source: Literal["auto", "msi"] = Field(default="auto", description="auto or msi")
    url_rewrite: PathOrUrl | None = Field(default=None, description="a file, relative to the site file, or an https URL")
    web_farm: PathOrUrl | None = Field(default=None, description="a file, relative to the site file, or an https URL")
    arr: PathOrUrl | None = Field(default=None, description="a file, relative to the site file, or an https URL")
    external_cache: PathOrUrl | None = Field(default=None, description="a file, relative to the site file, or an https URL")
    sha256: Sha256Table = Field(default=Sha256Table(), description='a table such as { arr = "64 hexadecimal digits" }')
    publisher: PlainText = Field(default="Microsoft Corporation", description="the name in the signature of the packages")

    def of(self, role: Role) -> Path | str | None:
        value: Path | str | None = getattr(self, role)
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for role in ("url_rewrite", "arr"):
            if self.source == "msi" and getattr(self, role) is None:
                raise at(role, 'is missing; expected a file or an https URL, because source is "msi"')
        for each in ROLES:
            if isinstance(self.of(each), str) and self.sha256.of(each) is None:
                raise at(f"sha256.{each}", f"is missing; expected the SHA-256 of the file behind the URL of {each}")
        return self


class FarmTable(Table):
    """[[farms]] as written; farms.complete() makes a Farm of it."""

    name: Fqdn = Field(description="the published name, such as meet.contoso.com")
    servers: tuple[Server, ...] = Field(
        min_length=1,
        max_length=100,
        description="a list of 1 to 100 server names or addresses",
        json_schema_extra={"each": "the name or address of a server, as text"},
    )
    kind: FarmKind = Field(default="lync", description="lync or office-web-apps")
    http_port: Port | None = Field(default=None, description="a port from 1 to 65535")
    https_port: Port | None = Field(default=None, description="a port from 1 to 65535")
    timeout_s: StrictInt = Field(default=DEFAULT_TIMEOUT_S, ge=1, le=86400, description="whole seconds from 1 to 86400")
    disk_cache: StrictBool = Field(default=False, description="true or false")
    ssl_offload: StrictBool = Field(default=False, description="true or false")
    host_pattern: Annotated[str, AfterValidator(check_host_pattern)] | None = Field(default=None, description='a pattern such as "meet.*"')

    @field_validator("servers")
    @classmethod
    def _none_twice(cls, servers: tuple[str, ...]) -> tuple[str, ...]:
        for number, server in enumerate(servers):
            first = servers.index(server)
            if first != number:
                raise at(f"[{number}]", f"{display(server)} is already servers[{first}]; expected each server once")
        return servers


class HostTables(Table):
    """The hosts of a file whose other tables may still be unfinished."""

    model_config = ConfigDict(extra="ignore")

    hosts: dict[str, HostConfig] = Field(
        default_factory=dict,
        description="tables such as [hosts.rp01]",
        json_schema_extra={"each": "a table such as [hosts.rp01]"},
    )

    @field_validator("hosts")
    @classmethod
    def _names_differ(cls, hosts: dict[str, HostConfig]) -> dict[str, HostConfig]:
        seen: dict[str, str] = {}
        for name in hosts:
            if not name or not name.isprintable():
                raise at(name, "is a name that cannot be shown; expected a plain name, such as [hosts.rp01]")
            other = seen.setdefault(name.lower(), name)
            if other != name:
                raise at(name, f"differs from hosts.{other} in letter case only; expected each host once")
        return hosts


class Tables(HostTables):
    """The whole file as written."""

    model_config = ConfigDict(extra="forbid")

    certificates: Certificates = Field(default=Certificates(), description="a table")
    website: Website = Field(default=Website(), description="a table")
    installers: Installers = Field(default=Installers(), description="a table")
    farms: tuple[FarmTable, ...] = Field(
        min_length=1,
        max_length=500,
        description="1 to 500 [[farms]] tables, each in two pairs of brackets",
        json_schema_extra={"each": "a [[farms]] table"},
    )


@dataclass(frozen=True)
class Hosts:
    """The hosts of a site file. `path` is as it was named, for messages; every path inside the tables is absolute."""

    path: Path
    hosts: Mapping[str, HostConfig]

    @property
    def folder(self) -> Path:
        """Where relative paths of the site file start."""
        return self.path.absolute().parent


@dataclass(frozen=True)
class Site(Hosts):
    """A site file that holds together.

    `warnings` must be told in every run; `notes` are what `lyncarr check` says besides.
    """

    certificates: Certificates
    website: Website
    installers: Installers
    farms: tuple[Farm, ...]
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
