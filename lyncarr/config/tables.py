"""The tables of the configuration file as pydantic models.

Each key says what is expected of its value, which loader.py puts into error messages, and what it does: schema.py and
docs/site-file.md are made of that. See config/keys.py.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, StrictBool, StrictInt, WithJsonSchema, field_validator, model_validator

from lyncarr.config.keys import at, declare
from lyncarr.config.kinds import KINDS, TIMEOUT_S, FarmKind, HttpPolicy
from lyncarr.config.names import MAX_PATTERN, display, parse_server
from lyncarr.config.values import (
    ROLES,
    Auth,
    Feed,
    Fqdn,
    HostPattern,
    PathOrUrl,
    PlainText,
    Port,
    Reference,
    Role,
    Server,
    Sha256,
    SitePath,
    Tls,
    Transport,
)
from lyncarr.core.kinds import AuthMethod, TransportKind
from lyncarr.core.text import quoted
from lyncarr.secrets.sources import REFERENCES

_WEBSITE_BINDING = re.compile(r"(?P<address>\*|[0-9.]+|\[[0-9A-Fa-f:.]+\]):(?P<port>[1-9][0-9]{0,4}):(?P<host>.*)")


class Table(BaseModel):
    """A table of the site file: unknown keys are errors, values do not change, and no input is repeated in pydantic's own messages."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class HostConfig(Table):
    """[hosts.NAME]: how to reach one server. Without `address` the table's name is the address.

    `port` None means 5986, or 5985 with tls = "off"; `user` None leaves it to --user. `password` is a reference, see secrets/sources.py.
    """

    address: Server | None = declare(
        None,
        expected="the name or address of the server, without port",
        doc="The server's DNS name or address, as this machine reaches it; IPv6 without brackets, no port.",
        otherwise="NAME",
        examples=["rp01.contoso.com", "192.0.2.10"],
    )
    user: PlainText | None = declare(
        None,
        expected='an account, such as "Administrator"',
        doc="The account to log on with, such as `Administrator` or `RP01\\admin`; without it `--user` must name one.",
        examples=["Administrator", "RP01\\admin"],
    )
    password: Reference = declare(
        "prompt",
        expected=REFERENCES,
        doc="Where the account's password comes from. The password itself never stands in the site file.",
        examples=["prompt", "env:RP01_PASSWORD", "file:rp01.password", "keyring:rp01"],
    )
    auth: Auth = declare(
        AuthMethod.negotiate,
        expected="negotiate, ntlm, basic or certificate",
        doc="How to log on. `basic` only under TLS; `certificate` takes the two keys below.",
    )
    certificate: SitePath | None = declare(
        None, expected="a PEM file, relative to the site file", doc='The client certificate (PEM), with `auth = "certificate"` only.'
    )
    key: SitePath | None = declare(
        None,
        expected="a PEM file, relative to the site file",
        doc='The private key of the client certificate (PEM, without a password), with `auth = "certificate"` only.',
    )
    tls: Tls = declare(
        "verify",
        expected="verify, ca:FILE, pin:sha256:HEX or off",
        doc="What makes the server's certificate right: `verify`, `ca:FILE`, `pin:sha256:HEX`, or `off` for plain HTTP.",
        examples=["verify", "ca:rp01-authority.pem", "pin:sha256:5891B5B522D5DF086D0FF0B110FBD9D21BB4FC7163AF34D08286A2E846F6BE03"],
    )
    port: Port | None = declare(
        None, expected="a port from 1 to 65535", doc="The port of WinRM.", otherwise='5986; with `tls = "off"` 5985'
    )
    transport: Transport = declare(
        TransportKind.psrp,
        expected="psrp or winrs",
        doc="What PowerShell is reached by: `psrp` is PowerShell remoting, `winrs` a `powershell.exe` in a command shell, for a server "
        "whose PowerShell endpoint is removed, constrained or broken. Port, TLS and logging on are the same.",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.auth == AuthMethod.certificate:
            for key in ("certificate", "key"):
                if getattr(self, key) is None:
                    raise at(key, 'is missing; expected a PEM file, because auth is "certificate"')
        elif self.certificate is not None or self.key is not None:
            unused = "certificate" if self.certificate is not None else "key"
            raise at(unused, f'is not used with auth = "{self.auth}"; expected auth = "certificate", or no such key')
        if self.tls == "off" and self.auth in (AuthMethod.basic, AuthMethod.certificate):
            raise at("auth", f'"{self.auth}" needs TLS; expected another tls than "off", or auth = "negotiate"')
        if self.auth == AuthMethod.basic and self.user is not None and ":" in self.user:
            raise at("user", 'holds a colon, which ends the user name under auth = "basic"; expected a name without one')
        return self


class Certificates(Table):
    """[certificates]. Without it, or without a key of it, the steps concerned want nothing: what the host has is left alone."""

    trusted_roots: tuple[SitePath, ...] = declare(
        (),
        expected="a list of certificate files, DER or PEM, relative to the site file",
        doc="Certificates of the authorities that issued the certificates of your internal servers; DER, PEM or PKCS #7, one or "
        "many in a file. Self-signed ones go to LocalMachine\\Root, others to LocalMachine\\CA.",
        each="a certificate file, DER or PEM, as text",
        max_length=100,
        examples=[["certs/contoso-root.cer"]],
    )
    public: SitePath | None = declare(
        None,
        expected="a PFX file, relative to the site file",
        doc="The PFX with the certificate that phones and browsers see, its private key and its chain.",
        examples=["certs/public.pfx"],
    )
    password: Reference | None = declare(
        None,
        expected=REFERENCES,
        doc="Where the password of the PFX comes from; only with `public`.",
        examples=["prompt", "env:LYNCARR_PFX_PASSWORD", "file:public.password"],
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

    name: PlainText = declare("Default Web Site", expected="the name of an IIS site", doc="The IIS site that answers. It must exist.")
    https: Annotated[str, WithJsonSchema({"type": "string", "pattern": r"^(\*|[0-9.]+|\[[0-9A-Fa-f:.]+\]):[1-9][0-9]{0,4}:$"})] = declare(
        "*:443:",
        expected='a binding without host name, such as "*:443:"',
        doc="The site's HTTPS binding, `address:port:`. The part for a host name stays empty: one binding serves all names.",
        examples=["*:443:", "192.0.2.10:443:"],
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

    url_rewrite: Sha256 | None = declare(None, expected="64 hexadecimal digits", doc="The hash of the package of the same key.")
    web_farm: Sha256 | None = declare(None, expected="64 hexadecimal digits", doc="The hash of the package of the same key.")
    arr: Sha256 | None = declare(None, expected="64 hexadecimal digits", doc="The hash of the package of the same key.")
    external_cache: Sha256 | None = declare(None, expected="64 hexadecimal digits", doc="The hash of the package of the same key.")

    def of(self, role: Role) -> str | None:
        value: str | None = getattr(self, role)
        return value


class Installers(Table):
    """[installers]: a Path is a file here, a str an https URL that the host fetches.

    `source` auto takes each product from its package where one is given, from WebPI where `feed` is, and expects the rest on the host.
    """

    source: Literal["auto", "msi", "webpi"] = declare(
        "auto",
        expected="auto, msi or webpi",
        doc="`auto`: a product whose package is given here comes from it, else from WebPI where `feed` is given and WebpiCmd is on "
        "the host; what has neither must be on the host. `msi`: `url_rewrite` and `arr` must be given. `webpi`: the Web Platform "
        "Installer of the host installs both, and no package may be given.",
    )
    feed: Feed | None = declare(
        None,
        expected="an https URL, or a file on the host such as 'C:\\Program Files\\webpi\\feeds\\latest\\webproductlist.xml'",
        doc="The product list (XML) that WebPI installs from: an https URL, or a file on a disk of the host, such as that of an "
        "offline cache. Microsoft retired its own in 2022; `webpi` without `feed` asks it all the same, and the plan warns.",
        examples=["https://files.contoso.com/webpi/webproductlist.xml"],
    )
    url_rewrite: PathOrUrl | None = declare(
        None,
        expected="a file, relative to the site file, or an https URL",
        doc="URL Rewrite 2.1 (`rewrite_amd64_en-US.msi`).",
        examples=["media/rewrite_amd64_en-US.msi"],
    )
    web_farm: PathOrUrl | None = declare(
        None,
        expected="a file, relative to the site file, or an https URL",
        doc="Web Farm Framework; ARR 3 brings what it needs of it, so this is optional.",
    )
    arr: PathOrUrl | None = declare(
        None,
        expected="a file, relative to the site file, or an https URL",
        doc="Application Request Routing 3.0 (`requestRouter_amd64.msi`).",
        examples=["media/requestRouter_amd64.msi"],
    )
    external_cache: PathOrUrl | None = declare(
        None, expected="a file, relative to the site file, or an https URL", doc="External Cache; optional."
    )
    sha256: Sha256Table = declare(
        Sha256Table(),
        expected='a table such as { arr = "64 hexadecimal digits" }',
        doc="The SHA-256 of each package that is not one of Microsoft's known files, by the package's key.",
    )
    publisher: PlainText = declare(
        "Microsoft Corporation",
        expected="the name in the signature of the packages",
        doc="Who must have signed the packages; checked on the host.",
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
    return ", ".join(f"`{kind}`: {ports.http} and {ports.https}" for kind, ports in KINDS.items()) + "."


class FarmTable(Table):
    """[[farms]] as written; farms.complete() makes a Farm of it."""

    name: Fqdn = declare(
        expected="the published name, such as meet.contoso.com",
        doc="The published name, and the name of the farm on the host. No wildcard, no address, no single label, none twice.",
        examples=["meet.contoso.com"],
    )
    servers: tuple[Server, ...] = declare(
        expected="a list of 1 to 100 server names or addresses",
        doc="The servers behind the name: names or addresses, no ports, none twice. One for a Lync pool, or its load balancer.",
        each="the name or address of a server, as text",
        min_length=1,
        max_length=100,
        examples=[["fepool.contoso.local"]],
    )
    kind: FarmKind = declare(
        "lync", expected="lync or office-web-apps", doc=f"What the servers are, which gives their ports. {_ports_of_kinds()}"
    )
    http_port: Port | None = declare(None, expected="a port from 1 to 65535", doc="The servers' port for HTTP.", otherwise="by `kind`")
    https_port: Port | None = declare(
        None, expected="a port from 1 to 65535", doc="The servers' port for HTTPS; must differ from `http_port`.", otherwise="by `kind`"
    )
    timeout_s: StrictInt = declare(
        TIMEOUT_S, expected="whole seconds from 1 to 86400", doc="Seconds that ARR waits for an answer of the servers.", ge=1, le=86400
    )
    disk_cache: StrictBool = declare(False, expected="true or false", doc="Whether ARR may keep answers on the proxy's disk.")
    ssl_offload: StrictBool = declare(
        False, expected="true or false", doc="With `true` the way to the servers is plain HTTP. Microsoft does not support that for Lync."
    )
    http: HttpPolicy = declare(
        "remove",
        expected="remove, redirect or forward",
        doc="What becomes of requests without TLS, on port 80. `remove`: no rule of the farm answers them. `redirect`: they are "
        "sent to `https://`, for good (301). `forward`: they go on to the servers' `http_port`, unencrypted, as phones need it that "
        "ask for lyncdiscover there. Both exclude `ssl_offload = true`.",
    )
    https: StrictBool = declare(
        True,
        expected="true or false",
        doc='False, with `http = "forward"` only: the name is answered without TLS alone, and the public certificate need not cover it.',
    )
    host_pattern: HostPattern | None = declare(
        None,
        expected='a pattern such as "meet.*"',
        doc="The wildcard pattern that the Host header must match: letters, digits, `-`, `.`, `:`, `*` and `?`, at most "
        f"{MAX_PATTERN} characters.",
        otherwise='`"<first label>.*"`',
        examples=["meet.*", "*.contoso.com"],
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

    hosts: dict[str, HostConfig] = declare(
        default_factory=dict,
        expected="tables such as [hosts.rp01]",
        doc="How to reach a server. NAME is a word of your own for `--host NAME`; a name with a dot needs quotes. Optional: "
        "`--host` takes any address.",
        each="a table such as [hosts.rp01]",
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

    certificates: Certificates = declare(
        Certificates(),
        expected="a table",
        doc="What the proxy trusts, and what it shows. Optional. What is not given here is left as it is on the host: without "
        "`public`, neither a certificate is imported nor is the binding touched.",
    )
    website: Website = declare(Website(), expected="a table", doc="The IIS site that answers for all published names. Optional.")
    installers: Installers = declare(
        Installers(),
        expected="a table",
        doc="Where the packages of URL Rewrite and ARR come from. Optional. What is on the host, in any version, is in place.",
    )
    farms: tuple[FarmTable, ...] = declare(
        expected="1 to 500 [[farms]] tables, each in two pairs of brackets",
        doc="One table, in two pairs of brackets, is one published name. Their order is the order of the rules on the host.",
        each="a [[farms]] table",
        min_length=1,
        max_length=500,
    )
