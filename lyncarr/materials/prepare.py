"""All checks that need no host: the configuration file, and the certificates and packages that it names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from lyncarr.config.farms import Farm
from lyncarr.config.lines import Place
from lyncarr.config.names import display
from lyncarr.config.problems import KeyProblem, about, located, site_error
from lyncarr.config.site import Site
from lyncarr.config.tables import Installers, Website
from lyncarr.config.values import PRODUCTS, Role
from lyncarr.core.errors import ConfigurationError
from lyncarr.core.files import FileError, read_file
from lyncarr.core.model import Secret
from lyncarr.materials import certificate_checks as checks
from lyncarr.materials.certificates import MAX_BYTES, PublicCertificate, RootCertificate, read_public, read_roots
from lyncarr.materials.installers import Installer, UnknownPackageError, given_roles, read_installer, trust_hint
from lyncarr.secrets.sources import resolve

Ask = Callable[[str], str] | None

_PUBLIC: Place = ("certificates", "public")
_ROOTS: Place = ("certificates", "trusted_roots")


@dataclass(frozen=True)
class Prepared:
    """A site with its certificates and packages, each read once. The steps derive their desired states from it.

    Without [certificates], `roots` is empty and `public` is None: the steps trusted-roots, certificate and https-binding then have no
    desired state. `warnings` are shown in every run, `notes` by `lyncarr check` only.
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
    """The result of `lyncarr check`: `warnings`, which every run shows too, and `facts`, one for each farm, certificate and package."""

    warnings: tuple[str, ...]
    facts: tuple[str, ...]


@dataclass(frozen=True)
class _Root:
    """A certificate authority with the key and the file that it comes from."""

    place: Place
    path: Path
    certificate: RootCertificate


def prepare(site: Site, ask: Ask, *, now: datetime | None = None) -> Prepared:
    """Read and check the files that the configuration file names. Contacts no host.

    Raises SiteError (exit 65) with all problems, and ConfigurationError (exit 78) where the only problem is the reference to the
    password of the PFX file. `ask` reads that password from a person where the configuration file says `prompt`.
    """
    now = datetime.now(UTC) if now is None else now
    problems: list[KeyProblem] = []
    roots = _read_roots(site, problems)
    installers = _read_installers(site, problems)
    try:
        public = _read_public(site, ask, problems, [root.certificate for root in roots], now)
    except ConfigurationError:
        if not problems:
            raise
        public = None
    if problems:
        raise site_error(site.path, site.text, problems)
    certificates = tuple(root.certificate for root in roots)
    found = [_about_file(root.place, root.path, text) for root in roots for text in checks.warnings_of_trusted(root.certificate, now)]
    if public is not None and site.certificates.public is not None:
        # A warning of a trusted root that is also the end of the public chain is shown once.
        known = {text for root in certificates for text in checks.warnings_of_trusted(root, now)}
        of_public = [text for text in checks.warnings_of(public, certificates, now) if text not in known]
        found += [_about_file(_PUBLIC, site.certificates.public, text) for text in of_public]
    warnings = (*site.warnings, *map(str, located(site.path, site.text, found)))
    return Prepared(site, certificates, public, installers, warnings, site.notes)


def check(site: Site, ask: Ask, *, now: datetime | None = None) -> CheckReport:
    """`prepare` for people: the warnings, and what the configuration file amounts to."""
    prepared = prepare(site, ask, now=now)
    facts = [_farm(farm) for farm in site.farms]
    facts += prepared.notes
    facts += [f"{root.label}: stored in LocalMachine\\{root.store}, valid until {root.not_after:%Y-%m-%d}" for root in prepared.roots]
    if prepared.public is None:
        facts.append(f"no public certificate in the configuration file: the HTTPS binding of {site.website.name} is not changed")
    else:
        facts.append(f"{prepared.public.label}: bound to {site.website.https}, valid until {prepared.public.not_after:%Y-%m-%d}")
        if others := prepared.public.others:
            text = f"the PFX file has {len(others) + 1} certificates for its key; not used: {', '.join(others)}"
            facts.append(f"{prepared.public.label}: {text}")
    given = site.installers
    if given.source == "webpi" or given.feed is not None:
        feed = given.feed or "Microsoft's product list, which was retired in 2022; set installers.feed to a list of your own"
        facts.append(f"missing products without a package here are installed by WebPI, from {feed}")
    facts += [f"{installer.name}: verified package of {PRODUCTS[installer.role]}" for installer in prepared.installers if installer.path]
    return CheckReport(prepared.warnings, tuple(facts))


def _farm(farm: Farm) -> str:
    """Where the requests for a farm go, with and without TLS."""
    servers = ", ".join(display(server) for server in farm.servers)
    timeout = f"timeout {farm.timeout_s} s"
    routes = []
    if farm.https:
        port = farm.http_port if farm.ssl_offload else farm.https_port
        routes.append(f"requests for {farm.host_pattern} go to {servers}, port {port}, {timeout}")
    if farm.http == "forward":
        unsafe = f"port {farm.http_port}, unencrypted"
        routes.append(f"requests without TLS for {farm.http_pattern} go to {servers}, {unsafe}, {timeout}")
    if farm.http == "redirect":
        routes.append(f"requests without TLS for {farm.http_pattern} are redirected to https")
    return f"farm {display(farm.name)}: {'; '.join(routes)}"


def _about_file(place: Place, path: Path, text: str) -> KeyProblem:
    """A problem or warning of what a file contains."""
    return about(place, f"{path}: {text}")


def _of_file(place: Place, path: Path, error: FileError) -> KeyProblem:
    """A problem of a file itself: `error` says what it is."""
    missing = error.reason == "does not exist"
    return about(place, f"{path} {error.reason}", hint=error.hint or ("Copy the file there, or correct the path." if missing else ""))


def _read_roots(site: Site, problems: list[KeyProblem]) -> list[_Root]:
    """All certificate authorities in the order of the configuration file, without duplicates."""
    found: dict[str, _Root] = {}
    for number, path in enumerate(site.certificates.trusted_roots):
        place = (*_ROOTS, number)
        try:
            for root in read_roots(read_file(path, MAX_BYTES)):
                found.setdefault(root.thumbprint, _Root(place, path, root))
        except FileError as error:
            problems.append(_of_file(place, path, error))
    return list(found.values())


def _read_public(
    site: Site, ask: Ask, problems: list[KeyProblem], trusted: Sequence[RootCertificate], now: datetime
) -> PublicCertificate | None:
    path, reference = site.certificates.public, site.certificates.password
    if path is None:
        return None
    names = [farm.name for farm in site.farms if farm.https]
    try:
        # Before the password is read: people must not type a password for a missing file.
        data = read_file(path, MAX_BYTES)
        password: Secret | None = None
        if reference is not None:
            label = f"the password of {path.name}"
            password = resolve(reference, base=site.folder, ask=ask, account=path.name, label=label, written_in=site.path)
        public = read_public(data, password, names=names, trusted=trusted, now=now)
    except FileError as error:
        problems.append(_of_file(_PUBLIC, path, error))
        return None
    problems += [about(_PUBLIC, f"{path}: {error.reason}", hint=error.hint) for error in checks.errors_of(public, names, now)]
    return public


def _read_installers(site: Site, problems: list[KeyProblem]) -> tuple[Installer, ...]:
    found = []
    unknown: dict[Role, str] = {}
    for role in given_roles(site.installers):
        path = Path(str(site.installers.of(role)))
        try:
            found.append(read_installer(site.installers, role))
        except UnknownPackageError as error:
            unknown[role] = error.sha256
        except FileError as error:
            problems.append(_of_file(("installers", role), path, error))
    for role in unknown:
        # The table with all hashes comes once, below the last of them.
        hint = trust_hint(site.installers, unknown, site.path) if role == list(unknown)[-1] else ""
        problems.append(_of_file(("installers", role), Path(str(site.installers.of(role))), FileError("has an unknown SHA-256", hint=hint)))
    return tuple(found)
