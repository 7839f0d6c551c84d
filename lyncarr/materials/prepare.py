"""All checks that need no host: the site file against the certificates and packages that it names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from lyncarr.config.farms import Farm
from lyncarr.config.names import display
from lyncarr.config.problems import Problem, SiteProblems
from lyncarr.config.site import Site
from lyncarr.config.tables import Installers, Website
from lyncarr.core.errors import ConfigurationError
from lyncarr.core.files import read_file
from lyncarr.core.model import Secret
from lyncarr.materials import certificate_checks as checks
from lyncarr.materials.certificates import MAX_BYTES, PublicCertificate, RootCertificate, read_public, read_roots
from lyncarr.materials.installers import Installer, given_roles, read_installer
from lyncarr.secrets.sources import resolve

Ask = Callable[[str], str] | None


@dataclass(frozen=True)
class Prepared:
    """A site with its certificates and packages, each read once; what the steps derive their desired states from.

    Without [certificates] `roots` is empty and `public` None: the steps trusted-roots, certificate and https-binding then want
    nothing. `warnings` must be told in every run; `notes` are what a check says besides.
    """

    site: Site
    roots: tuple[RootCertificate, ...]
    public: PublicCertificate | None
    installers: tuple[Installer, ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def farms(self) -> tuple[Farm, ...]:
        return self.site.farms

    @property
    def website(self) -> Website:
        return self.site.website

    @property
    def package_sources(self) -> Installers:
        """The table [installers]: where packages come from, and who must have signed them."""
        return self.site.installers


@dataclass(frozen=True)
class CheckReport:
    """What `lyncarr check` says: `warnings` that every run repeats, and `facts`, a line for each farm, certificate and package."""

    warnings: tuple[str, ...]
    facts: tuple[str, ...]


def prepare(site: Site, ask: Ask, *, now: datetime | None = None) -> Prepared:
    """Read what the site file names and judge it. Never contacts a host.

    Raises SiteError (exit 65) with a line for each problem, ConfigurationError (exit 78) where nothing is wrong but the
    reference to the PFX's password. `ask` is called for that password where the site file says `prompt`.
    """
    now = datetime.now(UTC) if now is None else now
    problems: list[Problem] = []
    roots = _roots(site, problems)
    installers = _installers(site, problems)
    try:
        public = _public(site, ask, problems, now)
    except ConfigurationError:
        if not problems:
            raise
        public = None
    if problems:
        raise SiteProblems(site.path, problems)
    of_trusted = checks.warnings_of_trusted(roots, now)
    # A root that is trusted and ends the public chain is told of once.
    of_public = [] if public is None else [text for text in checks.warnings_of(public, roots, now) if text not in of_trusted]
    warnings = (
        *site.warnings,
        *(f"certificates.trusted_roots: {text}" for text in of_trusted),
        *(f"certificates.public: {text}" for text in of_public),
    )
    return Prepared(site, roots, public, installers, warnings, site.notes)


def check(site: Site, ask: Ask, *, now: datetime | None = None) -> CheckReport:
    """`prepare` for people: what is warned of, and what the site file comes to."""
    prepared = prepare(site, ask, now=now)
    facts = [_farm(farm) for farm in site.farms]
    facts += prepared.notes
    facts += [f"{root.label} goes to LocalMachine\\{root.store}, valid until {root.not_after:%Y-%m-%d}" for root in prepared.roots]
    if prepared.public is None:
        facts.append(f"no public certificate is given: the HTTPS binding of {site.website.name} is left as it is")
    else:
        facts.append(f"{prepared.public.label} answers on {site.website.https}, valid until {prepared.public.not_after:%Y-%m-%d}")
    given = site.installers
    if given.source == "webpi" or given.feed is not None:
        feed = given.feed or "Microsoft's product list, which was retired in 2022: name one of your own as installers.feed"
        facts.append(f"what is missing on the host and has no package here comes by WebPI, from {feed}")
    facts += [f"{installer.name} is the expected package for {installer.role}" for installer in prepared.installers if installer.path]
    return CheckReport(prepared.warnings, tuple(facts))


def _farm(farm: Farm) -> str:
    """Where requests for a farm go, with and without TLS."""
    servers = ", ".join(display(server) for server in farm.servers)
    limit = f"and may take {farm.timeout_s} s"
    ways = []
    if farm.https:
        port = farm.http_port if farm.ssl_offload else farm.https_port
        ways.append(f"requests for {farm.host_pattern} go to {servers}, port {port}, {limit}")
    if farm.http == "forward":
        unsafe = f"port {farm.http_port}, unencrypted all the way"
        ways.append(f"requests without TLS for {farm.http_pattern} go to {servers}, {unsafe}, {limit}")
    if farm.http == "redirect":
        ways.append(f"requests without TLS for {farm.http_pattern} are redirected to https")
    return f"farm {display(farm.name)}: {'; '.join(ways)}"


def _roots(site: Site, problems: list[Problem]) -> tuple[RootCertificate, ...]:
    """All authorities in the file's order, each once."""
    found: dict[str, RootCertificate] = {}
    for number, path in enumerate(site.certificates.trusted_roots):
        try:
            for root in read_roots(read_file(path, MAX_BYTES), path.name):
                found.setdefault(root.thumbprint, root)
        except ValueError as error:
            problems.append(Problem(f"certificates.trusted_roots[{number}]", str(error)))
    return tuple(found.values())


def _public(site: Site, ask: Ask, problems: list[Problem], now: datetime) -> PublicCertificate | None:
    path, reference = site.certificates.public, site.certificates.password
    if path is None:
        return None
    try:
        # Before the password is asked for: nobody should type one for a file that is not there.
        data = read_file(path, MAX_BYTES)
        password: Secret | None = None
        if reference is not None:
            password = resolve(reference, base=site.folder, ask=ask, account=path.name, what=f"the password of {path.name}")
        public = read_public(data, path.name, password)
    except ValueError as error:
        problems.append(Problem("certificates.public", str(error)))
        return None
    names = [farm.name for farm in site.farms if farm.https]
    problems += [Problem("certificates.public", text) for text in checks.errors_of(public, names, now)]
    return public


def _installers(site: Site, problems: list[Problem]) -> tuple[Installer, ...]:
    found = []
    for role in given_roles(site.installers):
        try:
            found.append(read_installer(site.installers, role))
        except ValueError as error:
            problems.append(Problem(f"installers.{role}", str(error)))
    return tuple(found)
