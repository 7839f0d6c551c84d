"""The site file's tables as pydantic models, and `Site`, what the rest of the program reads.

A field's description says what is expected there, its "each" what of each item of a list; loader.py puts them into error
messages. Its "doc" tells what the key does, in one or two sentences of markdown without links, and "otherwise" what takes its place
where it is left out and has no default: schema.py and docs/site-file.md are made of these. Paths are relative to the site file and
are kept absolute; pass `context={"folder": Path}` when validating.
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
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from lyncarr.config.farms import DEFAULT_PORTS, DEFAULT_TIMEOUT_S, Farm, FarmKind, HttpPolicy
from lyncarr.config.names import MAX_PATTERN, check_host_pattern, display, parse_fqdn, parse_server
from lyncarr.config.sources import REFERENCE, REFERENCES, check_reference
from lyncarr.core.text import quoted

Role: TypeAlias = Literal["url_rewrite", "web_farm", "arr", "external_cache"]
ROLES: tuple[Role, ...] = get_args(Role)
"""In the order of installation: URL Rewrite and Web Farm Framework must be there before ARR."""

_HEX64 = re.compile(r"[0-9A-Fa-f]{64}")
# Both stand between quotes on a command line of the host: no quote, and no backslash at the end.
_FEED_URL = re.compile(r"[!#-;=?-\[\]-~]+")
_FEED_FILE = re.compile(r"[A-Za-z]:[\\/][^\"<>|?*:]+\.xml", re.IGNORECASE)
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
    return _https(value)


def _https(value: str) -> str:
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
        raise ValueError("is a URL with a user or password in it; expected one that needs none, or a file")
    return value


def _feed(value: str) -> str:
    if "://" in value:
        _https(value)
        if not _FEED_URL.fullmatch(value):
            raise ValueError("holds a character that no URL may hold as it is; expected it as %20 and the like")
    elif not _FEED_FILE.fullmatch(_text(value)):
        raise ValueError(
            r"is no product list that the host could open; expected an https URL, or a file on a disk of the host, "
            r"such as 'C:\Program Files\webpi\feeds\latest\webproductlist.xml'"
        )
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


# The JSON schemas are for editors: they may be wider than the validators beside them, and never narrower.
PlainText = Annotated[str, AfterValidator(_text), WithJsonSchema({"type": "string", "minLength": 1})]
SitePath = Annotated[Path, BeforeValidator(_path), WithJsonSchema({"type": "string", "format": "path", "minLength": 1})]
PathOrUrl = Annotated[
    Path | str,
    PlainValidator(_path_or_url),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "format": "path", "pattern": r"^(?!.*://).+$"},
                {"type": "string", "format": "uri", "pattern": r"^[Hh][Tt][Tt][Pp][Ss]://.+$"},
            ]
        }
    ),
]
Fqdn = Annotated[str, AfterValidator(parse_fqdn), WithJsonSchema({"type": "string", "pattern": r"^[^\s:/\\*?%]+\.[^\s:/\\*?%]+$"})]
Server = Annotated[str, AfterValidator(parse_server), WithJsonSchema({"type": "string", "pattern": r"^[^\s/\\*?%\[\]]+$"})]
Reference = Annotated[str, AfterValidator(check_reference), WithJsonSchema({"type": "string", "pattern": REFERENCE})]
Feed = Annotated[str, AfterValidator(_feed), WithJsonSchema({"type": "string", "minLength": 1})]
Sha256 = Annotated[str, AfterValidator(_sha256), WithJsonSchema({"type": "string", "pattern": "^[0-9A-Fa-f]{64}$"})]
Tls = Annotated[
    str,
    AfterValidator(check_tls),
    WithJsonSchema({"type": "string", "pattern": "^(verify|off|ca:.+|pin:sha256:[0-9A-Fa-f:]{64,})$"}),
]
HostPattern = Annotated[
    str,
    AfterValidator(check_host_pattern),
    WithJsonSchema({"type": "string", "pattern": "^[A-Za-z0-9.*?:-]+$", "maxLength": MAX_PATTERN}),
]
Port = Annotated[StrictInt, Field(ge=1, le=65535, description="a port from 1 to 65535")]


class Table(BaseModel):
    """A table of the site file: unknown keys are errors, values do not change, and no input is repeated in pydantic's own messages."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class HostConfig(Table):
    """[hosts.NAME]: how to reach one server. Without `address` the table's name is the address.

    `port` None means 5986, or 5985 with tls = "off"; `user` None leaves it to --user. `password` is a reference, see sources.py.
    """

    address: Server | None = Field(
        default=None,
        description="the name or address of the server, without port",
        examples=["rp01.contoso.com", "192.0.2.10"],
        json_schema_extra={
            "doc": "The server's DNS name or address, as this machine reaches it; IPv6 without brackets, no port.",
            "otherwise": "NAME",
        },
    )
    user: PlainText | None = Field(
        default=None,
        description='an account, such as "Administrator"',
        examples=["Administrator", "RP01\\admin"],
        json_schema_extra={
            "doc": "The account to log on with, such as `Administrator` or `RP01\\admin`; without it `--user` must name one."
        },
    )
    password: Reference = Field(
        default="prompt",
        description=REFERENCES,
        examples=["prompt", "env:RP01_PASSWORD", "file:rp01.password", "keyring:rp01"],
        json_schema_extra={"doc": "Where the account's password comes from. The password itself never stands in the site file."},
    )
    auth: Literal["negotiate", "ntlm", "basic", "certificate"] = Field(
        default="negotiate",
        description="negotiate, ntlm, basic or certificate",
        json_schema_extra={"doc": "How to log on. `basic` only under TLS; `certificate` takes the two keys below."},
    )
    certificate: SitePath | None = Field(
        default=None,
        description="a PEM file, relative to the site file",
        json_schema_extra={"doc": 'The client certificate (PEM), with `auth = "certificate"` only.'},
    )
    key: SitePath | None = Field(
        default=None,
        description="a PEM file, relative to the site file",
        json_schema_extra={"doc": 'The private key of the client certificate (PEM, without a password), with `auth = "certificate"` only.'},
    )
    tls: Tls = Field(
        default="verify",
        description="verify, ca:FILE, pin:sha256:HEX or off",
        examples=["verify", "ca:rp01-authority.pem", "pin:sha256:5891B5B522D5DF086D0FF0B110FBD9D21BB4FC7163AF34D08286A2E846F6BE03"],
        json_schema_extra={
            "doc": "What makes the server's certificate right: `verify`, `ca:FILE`, `pin:sha256:HEX`, or `off` for plain HTTP."
        },
    )
    port: Port | None = Field(
        default=None,
        description="a port from 1 to 65535",
        json_schema_extra={"doc": "The port of WinRM.", "otherwise": '5986; with `tls = "off"` 5985'},
    )
    transport: Literal["psrp", "winrs"] = Field(
        default="psrp",
        description="psrp or winrs",
        json_schema_extra={
            "doc": (
                "What PowerShell is reached by: `psrp` is PowerShell remoting, `winrs` a `powershell.exe` in a command shell, for a server "
                "whose PowerShell endpoint is removed, constrained or broken. Port, TLS and logging on are the same."
            )
        },
    )

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
        examples=[["certs/contoso-root.cer"]],
        json_schema_extra={
            "each": "a certificate file, DER or PEM, as text",
            "doc": "Certificates of the authorities that issued the certificates of your internal servers; DER, PEM or PKCS #7, one or "
            "many in a file. Self-signed ones go to LocalMachine\\Root, others to LocalMachine\\CA.",
        },
    )
    public: SitePath | None = Field(
        default=None,
        description="a PFX file, relative to the site file",
        examples=["certs/public.pfx"],
        json_schema_extra={"doc": "The PFX with the certificate that phones and browsers see, its private key and its chain."},
    )
    password: Reference | None = Field(
        default=None,
        description=REFERENCES,
        examples=["prompt", "env:LYNCARR_PFX_PASSWORD", "file:public.password"],
        json_schema_extra={"doc": "Where the password of the PFX comes from; only with `public`."},
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.password is not None and self.public is None:
            raise at("public", "is missing; expected the PFX file that the password is for")
        return self


class Website(Table):
    """[website]: the IIS site that answers for all farms, and its HTTPS binding as IIS writes it, address:port:host.

    The host part stays empty: one binding serves all published names.
    """

    name: PlainText = Field(
        default="Default Web Site",
        description="the name of an IIS site",
        json_schema_extra={"doc": "The IIS site that answers. It must exist."},
    )
    https: Annotated[str, WithJsonSchema({"type": "string", "pattern": r"^(\*|[0-9.]+|\[[0-9A-Fa-f:.]+\]):[1-9][0-9]{0,4}:$"})] = Field(
        default="*:443:",
        description='a binding without host name, such as "*:443:"',
        examples=["*:443:", "192.0.2.10:443:"],
        json_schema_extra={
            "doc": "The site's HTTPS binding, `address:port:`. The part for a host name stays empty: one binding serves all names."
        },
    )

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

    url_rewrite: Sha256 | None = Field(
        default=None, description="64 hexadecimal digits", json_schema_extra={"doc": "The hash of the package of the same key."}
    )
    web_farm: Sha256 | None = Field(
        default=None, description="64 hexadecimal digits", json_schema_extra={"doc": "The hash of the package of the same key."}
    )
    arr: Sha256 | None = Field(
        default=None, description="64 hexadecimal digits", json_schema_extra={"doc": "The hash of the package of the same key."}
    )
    external_cache: Sha256 | None = Field(
        default=None, description="64 hexadecimal digits", json_schema_extra={"doc": "The hash of the package of the same key."}
    )

    def of(self, role: Role) -> str | None:
        value: str | None = getattr(self, role)
        return value


class Installers(Table):
    """[installers]: a Path is a file here, a str an https URL that the host fetches.

    `source` auto takes each product from its package where one is given, from WebPI where `feed` is, and expects the rest on the host.
    """

    source: Literal["auto", "msi", "webpi"] = Field(
        default="auto",
        description="auto, msi or webpi",
        json_schema_extra={
            "doc": "`auto`: a product whose package is given here comes from it, else from WebPI where `feed` is given and WebpiCmd is on "
            "the host; what has neither must be on the host. `msi`: `url_rewrite` and `arr` must be given. `webpi`: the Web Platform "
            "Installer of the host installs both, and no package may be given."
        },
    )
    feed: Feed | None = Field(
        default=None,
        description="an https URL, or a file on the host such as 'C:\\Program Files\\webpi\\feeds\\latest\\webproductlist.xml'",
        examples=["https://files.contoso.com/webpi/webproductlist.xml"],
        json_schema_extra={
            "doc": "The product list (XML) that WebPI installs from: an https URL, or a file on a disk of the host, such as that of an "
            "offline cache. Microsoft retired its own in 2022; `webpi` without `feed` asks it all the same, and the plan warns."
        },
    )
    url_rewrite: PathOrUrl | None = Field(
        default=None,
        description="a file, relative to the site file, or an https URL",
        examples=["media/rewrite_amd64_en-US.msi"],
        json_schema_extra={"doc": "URL Rewrite 2.1 (`rewrite_amd64_en-US.msi`)."},
    )
    web_farm: PathOrUrl | None = Field(
        default=None,
        description="a file, relative to the site file, or an https URL",
        json_schema_extra={"doc": "Web Farm Framework; ARR 3 brings what it needs of it, so this is optional."},
    )
    arr: PathOrUrl | None = Field(
        default=None,
        description="a file, relative to the site file, or an https URL",
        examples=["media/requestRouter_amd64.msi"],
        json_schema_extra={"doc": "Application Request Routing 3.0 (`requestRouter_amd64.msi`)."},
    )
    external_cache: PathOrUrl | None = Field(
        default=None,
        description="a file, relative to the site file, or an https URL",
        json_schema_extra={"doc": "External Cache; optional."},
    )
    sha256: Sha256Table = Field(
        default=Sha256Table(),
        description='a table such as { arr = "64 hexadecimal digits" }',
        json_schema_extra={"doc": "The SHA-256 of each package that is not one of Microsoft's known files, by the package's key."},
    )
    publisher: PlainText = Field(
        default="Microsoft Corporation",
        description="the name in the signature of the packages",
        json_schema_extra={"doc": "Who must have signed the packages; checked on the host."},
    )

    def of(self, role: Role) -> Path | str | None:
        value: Path | str | None = getattr(self, role)
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for role in ("url_rewrite", "arr"):
            if self.source == "msi" and getattr(self, role) is None:
                raise at(role, 'is missing; expected a file or an https URL, because source is "msi"')
        if self.source == "msi" and self.feed is not None:
            raise at("feed", 'is not used with source = "msi"; expected source = "auto" or "webpi", or no such key')
        for each in ROLES:
            if self.source == "webpi" and self.of(each) is not None:
                raise at(each, 'is not used with source = "webpi"; expected source = "auto", or no such key')
            if isinstance(self.of(each), str) and self.sha256.of(each) is None:
                raise at(f"sha256.{each}", f"is missing; expected the SHA-256 of the file behind the URL of {each}")
        return self


def _ports_of_kinds() -> str:
    return ", ".join(f"`{kind}`: {http} and {https}" for kind, (http, https) in DEFAULT_PORTS.items()) + "."


class FarmTable(Table):
    """[[farms]] as written; farms.complete() makes a Farm of it."""

    name: Fqdn = Field(
        description="the published name, such as meet.contoso.com",
        examples=["meet.contoso.com"],
        json_schema_extra={
            "doc": "The published name, and the name of the farm on the host. No wildcard, no address, no single label, none twice."
        },
    )
    servers: tuple[Server, ...] = Field(
        min_length=1,
        max_length=100,
        description="a list of 1 to 100 server names or addresses",
        examples=[["fepool.contoso.local"]],
        json_schema_extra={
            "each": "the name or address of a server, as text",
            "doc": "The servers behind the name: names or addresses, no ports, none twice. One for a Lync pool, or its load balancer.",
        },
    )
    kind: FarmKind = Field(
        default="lync",
        description="lync or office-web-apps",
        json_schema_extra={"doc": f"What the servers are, which gives their ports. {_ports_of_kinds()}"},
    )
    http_port: Port | None = Field(
        default=None,
        description="a port from 1 to 65535",
        json_schema_extra={"doc": "The servers' port for HTTP.", "otherwise": "by `kind`"},
    )
    https_port: Port | None = Field(
        default=None,
        description="a port from 1 to 65535",
        json_schema_extra={"doc": "The servers' port for HTTPS; must differ from `http_port`.", "otherwise": "by `kind`"},
    )
    timeout_s: StrictInt = Field(
        default=DEFAULT_TIMEOUT_S,
        ge=1,
        le=86400,
        description="whole seconds from 1 to 86400",
        json_schema_extra={"doc": "Seconds that ARR waits for an answer of the servers."},
    )
    disk_cache: StrictBool = Field(
        default=False, description="true or false", json_schema_extra={"doc": "Whether ARR may keep answers on the proxy's disk."}
    )
    ssl_offload: StrictBool = Field(
        default=False,
        description="true or false",
        json_schema_extra={"doc": "With `true` the way to the servers is plain HTTP. Microsoft does not support that for Lync."},
    )
    http: HttpPolicy = Field(
        default="remove",
        description="remove, redirect or forward",
        json_schema_extra={
            "doc": "What becomes of requests without TLS, on port 80. `remove`: no rule of the farm answers them. `redirect`: they are "
            "sent to `https://`, for good (301). `forward`: they go on to the servers' `http_port`, unencrypted, as phones need it that "
            "ask for lyncdiscover there. Both exclude `ssl_offload = true`."
        },
    )
    https: StrictBool = Field(
        default=True,
        description="true or false",
        json_schema_extra={
            "doc": 'False, with `http = "forward"` only: the name is answered without TLS alone, and the public certificate need not '
            "cover it."
        },
    )
    host_pattern: HostPattern | None = Field(
        default=None,
        description='a pattern such as "meet.*"',
        examples=["meet.*", "*.contoso.com"],
        json_schema_extra={
            "doc": "The wildcard pattern that the Host header must match: letters, digits, `-`, `.`, `:`, `*` and `?`, at most "
            f"{MAX_PATTERN} characters.",
            "otherwise": '`"<first label>.*"`',
        },
    )

    @field_validator("servers")
    @classmethod
    def _none_twice(cls, servers: tuple[str, ...]) -> tuple[str, ...]:
        for number, server in enumerate(servers):
            first = servers.index(server)
            if first != number:
                raise at(f"[{number}]", f"{display(server)} is already servers[{first}]; expected each server once")
        return servers

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.ssl_offload and self.http != "remove":
            raise at("http", f'is "{self.http}", which ssl_offload = true excludes; expected http = "remove", or ssl_offload = false')
        if not self.https and self.http != "forward":
            raise at(
                "https", f'is false, and with http = "{self.http}" nothing would reach the farm; expected http = "forward", or no such key'
            )
        return self


class HostTables(Table):
    """The hosts of a file whose other tables may still be unfinished."""

    model_config = ConfigDict(extra="ignore")

    hosts: dict[str, HostConfig] = Field(
        default_factory=dict,
        description="tables such as [hosts.rp01]",
        json_schema_extra={
            "each": "a table such as [hosts.rp01]",
            "doc": "How to reach a server. NAME is a word of your own for `--host NAME`; a name with a dot needs quotes. Optional: "
            "`--host` takes any address.",
        },
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

    certificates: Certificates = Field(
        default=Certificates(),
        description="a table",
        json_schema_extra={
            "doc": "What the proxy trusts, and what it shows. Optional. What is not given here is left as it is on the host: without "
            "`public`, neither a certificate is imported nor is the binding touched."
        },
    )
    website: Website = Field(
        default=Website(), description="a table", json_schema_extra={"doc": "The IIS site that answers for all published names. Optional."}
    )
    installers: Installers = Field(
        default=Installers(),
        description="a table",
        json_schema_extra={
            "doc": "Where the packages of URL Rewrite and ARR come from. Optional. What is on the host, in any version, is in place."
        },
    )
    farms: tuple[FarmTable, ...] = Field(
        min_length=1,
        max_length=500,
        description="1 to 500 [[farms]] tables, each in two pairs of brackets",
        json_schema_extra={
            "each": "a [[farms]] table",
            "doc": "One table, in two pairs of brackets, is one published name. Their order is the order of the rules on the host.",
        },
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
