"""The tables of the configuration file as pydantic models.

Each key declares what is expected of its value, for the error messages of loader.py, and what the key does, for schema.py and
docs/site-file.md. See config/keys.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, StrictBool, StrictInt, field_validator, model_validator

from lyncarr.config.keys import at, declare
from lyncarr.config.kinds import KINDS, TIMEOUT_S, FarmKind, HttpPolicy
from lyncarr.config.names import MAX_PATTERN, display
from lyncarr.config.problems import key_at
from lyncarr.config.values import (
    ROLES,
    Auth,
    Binding,
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
from lyncarr.secrets.sources import REFERENCES

A_PORT = "a port number from 1 to 65535"
A_PACKAGE = "a file, relative to the configuration file, or an https URL"
A_PEM_FILE = "a PEM file, relative to the configuration file"


class Table(BaseModel):
    """A table of the configuration file. Unknown keys are errors, values do not change, and pydantic's own messages repeat no input."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class HostConfig(Table):
    """[hosts.NAME]: how to connect to one server. Without `address`, the name of the table is the address.

    `port` None means 5986, or 5985 with tls = "off". `user` None means that --user names the account. `password` is a reference to a
    secret, see secrets/sources.py.
    """

    address: Server | None = declare(
        None,
        expected="the name or address of the server, without a port",
        doc="The DNS name or IP address of the server, as seen from this machine. Write IPv6 addresses without brackets.",
        otherwise="NAME",
        examples=["rp01.contoso.com", "192.0.2.10"],
    )
    user: PlainText | None = declare(
        None,
        expected='an account, such as "Administrator"',
        doc="The account to log on with, such as `Administrator` or `RP01\\admin`. Without this key, `--user` is required, except with "
        '`auth = "sspi"`, `"kerberos"` or `"certificate"`.',
        examples=["Administrator", "RP01\\admin"],
    )
    password: Reference = declare(
        "prompt",
        expected=REFERENCES,
        doc="Where to read the password of the account from. Never write the password itself into the configuration file.",
        examples=["prompt", "env:RP01_PASSWORD", "file:rp01.password", "keyring:rp01"],
    )
    auth: Auth = declare(
        AuthMethod.negotiate,
        expected="negotiate, ntlm, kerberos, sspi, basic or certificate",
        doc="How to log on. `negotiate` and `ntlm` use NTLM with the account and its password. `kerberos` uses the account, or without "
        "`user` the present ticket. `sspi` uses the account that is logged on to this Windows machine. `basic` requires TLS. "
        "`certificate` requires TLS and the two keys below.",
    )
    certificate: SitePath | None = declare(None, expected=A_PEM_FILE, doc='The client certificate (PEM). Only with `auth = "certificate"`.')
    key: SitePath | None = declare(
        None,
        expected=A_PEM_FILE,
        doc='The private key of the client certificate (PEM, without a password). Only with `auth = "certificate"`.',
    )
    tls: Tls = declare(
        "verify",
        expected="verify, ca:FILE, pin:sha256:HEX or off",
        doc="How to verify the TLS certificate of the host: `verify`, `ca:FILE` or `pin:sha256:HEX`. `off` uses plain HTTP.",
        examples=["verify", "ca:rp01-authority.pem", "pin:sha256:5891B5B522D5DF086D0FF0B110FBD9D21BB4FC7163AF34D08286A2E846F6BE03"],
    )
    port: Port | None = declare(
        None,
        expected=A_PORT,
        doc="The port of WinRM.",
        otherwise='5986; with `tls = "off"` 5985',
    )
    transport: Transport = declare(
        TransportKind.psrp,
        expected="psrp or winrs",
        doc="The protocol for PowerShell. `psrp` is PowerShell remoting. `winrs` runs `powershell.exe` in a command shell, for a server "
        "whose PowerShell endpoint is removed, restricted or broken. Port, TLS and logon are the same for both.",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.auth == AuthMethod.certificate:
            for key in ("certificate", "key"):
                if getattr(self, key) is None:
                    raise at(key, text='missing; auth = "certificate" requires a PEM file')
        elif self.auth == AuthMethod.sspi and self.user is not None:
            raise at("user", text='not used with auth = "sspi", which logs on as the user of this machine; remove this key')
        elif self.certificate is not None or self.key is not None:
            unused = "certificate" if self.certificate is not None else "key"
            raise at(unused, text=f'not used with auth = "{self.auth}"; remove this key, or use auth = "certificate"')
        if self.tls == "off" and self.auth in (AuthMethod.basic, AuthMethod.certificate):
            raise at("auth", text=f'"{self.auth}" requires TLS; use another value of tls than "off", or auth = "negotiate"')
        if self.auth == AuthMethod.basic and self.user is not None and ":" in self.user:
            raise at("user", text='a user name with a colon cannot be used with auth = "basic"')
        return self


class Certificates(Table):
    """[certificates]. A certificate that is not given here is not managed: that part of the host stays as it is."""

    trusted_roots: tuple[SitePath, ...] = declare(
        (),
        expected="a list of certificate files, DER or PEM, relative to the configuration file",
        doc="The certificates of the certificate authorities that issued the certificates of your internal servers. The files are DER, PEM "
        "or PKCS #7, with one or more certificates each. Self-signed certificates are stored in LocalMachine\\Root, others in "
        "LocalMachine\\CA.",
        each="a certificate file, DER or PEM, as text",
        max_length=100,
        examples=[["certs/contoso-root.cer"]],
    )
    public: SitePath | None = declare(
        None,
        expected="a PFX file, relative to the configuration file",
        doc="The PFX file with the certificate that clients see, its private key and its chain.",
        examples=["certs/public.pfx"],
    )
    password: Reference | None = declare(
        None,
        expected=REFERENCES,
        doc="Where to read the password of the PFX file from. Only with `public`.",
        examples=["prompt", "env:LYNCARR_PFX_PASSWORD", "file:public.password"],
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.password is not None and self.public is None:
            raise at("public", text="missing; add the PFX file that the password is for")
        return self


class Website(Table):
    """[website]: the IIS site for all farms, and its HTTPS binding in the notation of IIS, address:port:host.

    The host part is empty, because one binding serves all published names.
    """

    name: PlainText = declare(
        "Default Web Site", expected="the name of an IIS site", doc="The IIS site that receives the requests. It must exist."
    )
    https: Binding = declare(
        "*:443:",
        expected='a binding without a host name, such as "*:443:"',
        doc="The HTTPS binding of the site, as `address:port:`. There is no host name behind the last colon: one binding serves all names.",
        examples=["*:443:", "192.0.2.10:443:"],
    )

    @property
    def port(self) -> int:
        return int(self.https.rsplit(":", 2)[1])


def _hash_of_a_package() -> Sha256 | None:
    hash_of: Sha256 | None = declare(None, expected="64 hexadecimal digits", doc="The SHA-256 of the package with the same key.")
    return hash_of


class Sha256Table(Table):
    """installers.sha256: the SHA-256 of packages, in upper case."""

    url_rewrite: Sha256 | None = _hash_of_a_package()
    web_farm: Sha256 | None = _hash_of_a_package()
    arr: Sha256 | None = _hash_of_a_package()
    external_cache: Sha256 | None = _hash_of_a_package()

    def of(self, role: Role) -> str | None:
        value: str | None = getattr(self, role)
        return value


class Installers(Table):
    """[installers]: a Path is a file on this machine, a str is an https URL from which the host downloads."""

    source: Literal["auto", "msi", "webpi"] = declare(
        "auto",
        expected="auto, msi or webpi",
        doc="Where missing products are installed from. `auto`: from the package that is given here; else by WebPI, if `feed` is given and "
        "the host has WebpiCmd; a product with neither must be installed already. `msi`: from packages, and `url_rewrite` and `arr` are "
        "required. `webpi`: by the Web Platform Installer of the host, and packages are not allowed.",
    )
    feed: Feed | None = declare(
        None,
        expected="an https URL, or a file on the host such as 'C:\\Program Files\\webpi\\feeds\\latest\\webproductlist.xml'",
        doc="The product list (XML) for WebPI: an https URL, or a file on a disk of the host, such as that of an offline cache. Microsoft "
        "retired its own list in 2022. `webpi` without `feed` still uses that list, and the plan shows a warning.",
        examples=["https://files.contoso.com/webpi/webproductlist.xml"],
    )
    url_rewrite: PathOrUrl | None = declare(
        None,
        expected=A_PACKAGE,
        doc="URL Rewrite 2.1 (`rewrite_amd64_en-US.msi`).",
        examples=["media/rewrite_amd64_en-US.msi"],
    )
    web_farm: PathOrUrl | None = declare(
        None, expected=A_PACKAGE, doc="Web Farm Framework. Optional: ARR 3 includes the parts that it needs."
    )
    arr: PathOrUrl | None = declare(
        None,
        expected=A_PACKAGE,
        doc="Application Request Routing 3.0 (`requestRouter_amd64.msi`).",
        examples=["media/requestRouter_amd64.msi"],
    )
    external_cache: PathOrUrl | None = declare(None, expected=A_PACKAGE, doc="External Cache. Optional.")
    sha256: Sha256Table = declare(
        Sha256Table(),
        expected='a table such as { arr = "64 hexadecimal digits" }',
        doc="The SHA-256 of each package that is not one of Microsoft's known packages, by the key of the package.",
    )
    publisher: PlainText = declare(
        "Microsoft Corporation",
        expected="the name in the signature of the packages",
        doc="The required signer of the packages. The host checks the signature.",
    )

    def of(self, role: Role) -> Path | str | None:
        value: Path | str | None = getattr(self, role)
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for role in ("url_rewrite", "arr"):
            if self.source == "msi" and getattr(self, role) is None:
                raise at(role, text='missing; source = "msi" requires a file or an https URL')
        if self.source == "msi" and self.feed is not None:
            raise at("feed", text='not used with source = "msi"; remove this key, or use source = "auto" or "webpi"')
        for each in ROLES:
            if self.source == "webpi" and self.of(each) is not None:
                raise at(each, text='not used with source = "webpi"; remove this key, or use source = "auto"')
            if isinstance(self.of(each), str) and self.sha256.of(each) is None:
                raise at("sha256", each, text="missing; a package from a URL requires its SHA-256")
        return self


def _ports_of_kinds() -> str:
    return ", ".join(f"`{kind}`: {ports.http} and {ports.https}" for kind, ports in KINDS.items()) + "."


class FarmTable(Table):
    """[[farms]] as written. farms.complete() makes a Farm of it."""

    name: Fqdn = declare(
        expected="the published name, such as meet.contoso.com",
        doc="The published name, and the name of the farm on the host: a full DNS name, without wildcard, and each name once.",
        examples=["meet.contoso.com"],
    )
    servers: tuple[Server, ...] = declare(
        expected="a list of 1 to 100 server names or addresses",
        doc="The servers for this name: DNS names or IP addresses, without ports, and each server once. For a Lync pool, give one: the "
        "pool, or its load balancer.",
        each="the name or address of a server, as text",
        min_length=1,
        max_length=100,
        examples=[["fepool.contoso.local"]],
    )
    kind: FarmKind = declare(
        "lync",
        expected="lync or office-web-apps",
        doc=f"The kind of servers, which sets the default ports for HTTP and HTTPS. {_ports_of_kinds()}",
    )
    http_port: Port | None = declare(None, expected=A_PORT, doc="The port of the servers for HTTP.", otherwise="by `kind`")
    https_port: Port | None = declare(
        None, expected=A_PORT, doc="The port of the servers for HTTPS. It must differ from `http_port`.", otherwise="by `kind`"
    )
    timeout_s: StrictInt = declare(
        TIMEOUT_S,
        expected="a whole number of seconds from 1 to 86400",
        doc="The number of seconds that ARR waits for a response of the servers.",
        ge=1,
        le=86400,
    )
    disk_cache: StrictBool = declare(False, expected="true or false", doc="Whether ARR may cache responses on the disk of the proxy.")
    ssl_offload: StrictBool = declare(
        False,
        expected="true or false",
        doc="With `true`, the proxy connects to the servers by plain HTTP. Microsoft does not support this for Lync.",
    )
    http: HttpPolicy = declare(
        "remove",
        expected="remove, redirect or forward",
        doc="What happens to requests without TLS, on port 80. `remove`: no rule of the farm answers them. `redirect`: a permanent "
        "redirect (301) to `https://`. `forward`: they go to the `http_port` of the servers, unencrypted, for phones that look for "
        "lyncdiscover on port 80. `redirect` and `forward` are not allowed with `ssl_offload = true`.",
    )
    https: StrictBool = declare(
        True,
        expected="true or false",
        doc="With `false`, only requests without TLS are answered, and the public certificate need not include the name. Requires `http = "
        '"forward"`.',
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
    def _no_duplicates(cls, servers: tuple[str, ...]) -> tuple[str, ...]:
        for number, server in enumerate(servers):
            first = servers.index(server)
            if first != number:
                raise at(number, text=f"{display(server)} is the same as servers[{first}]; list each server once")
        return servers

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.ssl_offload and self.http != "remove":
            raise at("http", text=f'"{self.http}" is not allowed with ssl_offload = true; use http = "remove", or ssl_offload = false')
        if not self.https and self.http != "forward":
            raise at(
                "https",
                text=f'with https = false and http = "{self.http}", no request reaches the farm; use http = "forward"',
            )
        return self


class HostTables(Table):
    """The hosts of a file whose other tables may be incomplete."""

    model_config = ConfigDict(extra="ignore")

    hosts: dict[str, HostConfig] = declare(
        default_factory=dict,
        expected="tables such as [hosts.rp01]",
        doc="How to connect to a server. NAME is a name of your choice, for `--host NAME`; a name with a dot needs quotes. Optional: "
        "`--host` accepts any address.",
        each="a table such as [hosts.rp01]",
    )

    @field_validator("hosts")
    @classmethod
    def _names_differ(cls, hosts: dict[str, HostConfig]) -> dict[str, HostConfig]:
        seen: dict[str, str] = {}
        for name in hosts:
            if not name or not name.isprintable():
                raise at(name, text="the name cannot be displayed; use a plain name, as in [hosts.rp01]")
            other = seen.setdefault(name.lower(), name)
            if other != name:
                raise at(name, text=f"differs from {key_at(('hosts', other))} only in upper and lower case; use each name once")
        return hosts


class Tables(HostTables):
    """The whole file as written."""

    model_config = ConfigDict(extra="forbid")

    certificates: Certificates = declare(
        Certificates(),
        expected="a table",
        doc="The certificates that the proxy trusts, and the certificate that clients see. Optional. Without `public`, lyncarr imports no "
        "certificate and does not change the HTTPS binding.",
    )
    website: Website = declare(
        Website(), expected="a table", doc="The IIS site that receives the requests for all published names. Optional."
    )
    installers: Installers = declare(
        Installers(),
        expected="a table",
        doc="Where the packages of URL Rewrite and ARR come from. Optional. A product that is already installed stays, in any version.",
    )
    farms: tuple[FarmTable, ...] = declare(
        expected="1 to 500 [[farms]] tables, each in two pairs of brackets",
        doc="Each table, in two pairs of brackets, is one published name. The order of the tables is the order of the rules on the host.",
        each="a [[farms]] table",
        min_length=1,
        max_length=500,
    )
