"""Windows Installer packages that stand for Microsoft's: real .msi files made by wixl, with the files, registry values, launch
conditions and configuration sections of the products, and none of their code."""

from __future__ import annotations

import datetime
import hashlib
import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from lyncarr.core.errors import ConfigurationError

STANDINS = Path(__file__).parent / "standins"
PUBLISHER = "Microsoft Corporation"
CERTIFICATE = "publisher.cer"


@dataclass(frozen=True)
class Package:
    """One product: the .wxs it is made of, the file name that Microsoft gives it, the list of what it adds to
    applicationHost.config, and rows that msibuild puts into the finished package."""

    product: str
    source: str
    file: str
    adds: str | None = None
    rows: tuple[str, ...] = ()


URL_REWRITE = Package("url_rewrite", "rewrite", "rewrite_amd64_en-US.msi", "package-rewrite.xml")
ARR = Package("arr", "arr", "requestRouter_amd64.msi", "package-arr.xml")
EXTERNAL_CACHE = Package("external_cache", "external_cache", "ExternalDiskCache_amd64.msi")
WEB_FARM = Package("web_farm", "web_farm", "webfarm_v1.1_amd64_en_US.msi")
REBOOTING = Package(
    "arr",
    "arr",
    "requestRouter_reboot.msi",
    "package-arr.xml",
    ("INSERT INTO `InstallExecuteSequence` (`Action`, `Condition`, `Sequence`) VALUES ('ScheduleReboot', '', 6602)",),
)
"""Ends with 3010."""
FAILING = Package(
    "arr",
    "arr",
    "requestRouter_fails.msi",
    "package-arr.xml",
    ("INSERT INTO `LaunchCondition` (`Condition`, `Description`) VALUES ('0', 'This package refuses every computer.')",),
)
"""Ends with 1603."""
PACKAGES = (URL_REWRITE, ARR, EXTERNAL_CACHE, WEB_FARM, REBOOTING, FAILING)


def build_packages(folder: Path) -> None:
    """Write every package into `folder`, with signers.txt (`SHA256 Valid certificate` a line) and the publisher's certificate.

    Needs wixl and msitools; ConfigurationError where they are missing or fail. No two builds have the same bytes.
    """
    folder.mkdir(parents=True)
    work = folder / "work"
    shutil.copytree(STANDINS / "schema", work)
    (work / "module.dll").write_bytes(b"stand-in of the lyncarr lab: no code\n")
    for package in PACKAGES:
        _build(package, work, folder / package.file)
    shutil.rmtree(work)
    (folder / CERTIFICATE).write_bytes(_publisher_certificate())
    digests = (hashlib.sha256((folder / package.file).read_bytes()).hexdigest().upper() for package in PACKAGES)
    (folder / "signers.txt").write_text("".join(f"{digest} Valid {CERTIFICATE}\n" for digest in digests), encoding="ascii")


def _build(package: Package, work: Path, target: Path) -> None:
    shutil.copyfile(STANDINS / "packages" / f"{package.source}.wxs", work / "package.wxs")
    if package.adds is not None:
        description = (STANDINS / "config" / package.adds).read_text(encoding="utf-8")
        action = (STANDINS / "packages" / "declare.js").read_text(encoding="ascii")
        (work / "declare.js").write_text(f"var PACKAGE = {json.dumps(description)};\n{action}", encoding="ascii")
    _tool(["wixl", "-a", "x64", "-o", str(target), "package.wxs"], work)
    for row in package.rows:
        _tool(["msibuild", str(target), "-q", row], work)


def _tool(command: list[str], work: Path) -> None:
    try:
        # wixl takes the paths inside a .wxs as relative to where it runs.
        done = subprocess.run(  # noqa: S603 the lab's own command lines
            command, cwd=work, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
    except FileNotFoundError as error:
        raise ConfigurationError(
            f"{command[0]} is required to make the lab's installer packages.", hint="Run apt-get install wixl msitools."
        ) from error
    if done.returncode != 0:
        raise ConfigurationError(
            f"{command[0]} could not make one of the lab's packages.",
            hint="Reinstall wixl and msitools.",
            detail=done.stderr,
        )


def _publisher_certificate() -> bytes:
    """DER of a self-signed certificate with the subject that Microsoft's packages are signed under, and a unit that names the lab."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "US"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, PUBLISHER),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "lyncarr lab stand-in"),
            x509.NameAttribute(NameOID.COMMON_NAME, PUBLISHER),
        ]
    )
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=365))
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.DER)
