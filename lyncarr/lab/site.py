"""The configuration file of a lab: lyncarr.toml for its host, with the certificates, installer files and passwords that it names."""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import pkcs12

from lyncarr.core.errors import SiteError
from lyncarr.lab.wire.certs import Authority
from lyncarr.materials.certificates import thumbprint
from lyncarr.secrets import acl

SITE_NAME = "lyncarr.toml"
MARK = "# Written by `lyncarr lab`"
"""The first characters of each configuration file that a lab of any version wrote."""
DOMAIN = "contoso.com"
FARMS = (
    ("dialin", "fepool.contoso.local", "lync"),
    ("meet", "fepool.contoso.local", "lync"),
    ("lyncdiscover", "fepool.contoso.local", "lync"),
    ("lyncwebext", "fepool.contoso.local", "lync"),
    ("wac", "wacfarm.contoso.local", "office-web-apps"),
)
INSTALLERS = {"url_rewrite": "rewrite_amd64_en-US.msi", "arr": "requestRouter_amd64.msi"}
# The first bytes of every compound file, such as an MSI. The replay engine never runs what follows.
MSI_HEAD = bytes.fromhex("d0cf11e0a1b11ae1")
PFX_PASSWORD_BYTES = 12


def write_site(
    folder: Path, *, host: str, address: str, port: int, user: str, password: str, authority: bytes, packages: Path | None = None
) -> Path:
    """Write the configuration into `folder`, made where it is missing; returns the path of its lyncarr.toml.

    `authority` is the certificate, in PEM, of the authority that signed the host's certificate. `packages` is a folder with
    installer packages to copy, else stand-ins are written. Raises SiteError for a lyncarr.toml that no lab wrote.
    """
    path = folder / SITE_NAME
    if path.exists() and not path.read_text(encoding="utf-8-sig", errors="replace").startswith(MARK):
        raise SiteError(f"{path} was not written by lyncarr lab and is not replaced.", hint="Name another folder with --folder.")
    for part in (folder, folder / "certs", folder / "media"):
        part.mkdir(parents=True, exist_ok=True)
    (folder / "ca.pem").write_bytes(authority)
    _write_private(folder / "password.txt", password.encode())
    _write_certificates(folder)
    hashes = {role: _write_installer(folder / "media" / name, packages) for role, name in INSTALLERS.items()}
    path.write_text(_site_text(host, address, port, user, hashes), encoding="utf-8")
    return path


def marks(folder: Path) -> dict[str, str]:
    """The marks in a recorded preset and the thumbprints to replace them by. Each configuration written here has new certificates.

    A mark that ends in 8 stands for the first eight digits of the thumbprint, which are part of the names of items.
    """
    root = x509.load_der_x509_certificate((folder / "certs" / "contoso-root.cer").read_bytes())
    password = (folder / "certs" / "public-password.txt").read_bytes()
    _, leaf, _ = pkcs12.load_key_and_certificates((folder / "certs" / "public.pfx").read_bytes(), password)
    found: dict[str, str] = {}
    for name, certificate in (("ROOT", root), ("PUBLIC", leaf)):
        if certificate is not None:
            digits = thumbprint(certificate)
            found |= {f"@{name}8@": digits[:8], f"@{name}@": digits}
    return found


def _write_private(path: Path, data: bytes) -> None:
    """Write a file that only its owner can read, from its first byte on."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        acl.restrict(path)
        file.write(data)


def _write_certificates(folder: Path) -> None:
    """A root of RSA, as old Windows servers read it, and a PFX with a certificate for all published names."""
    root = Authority("Contoso root of the lab", rsa.generate_private_key(public_exponent=65537, key_size=2048))
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    names = tuple(f"{label}.{DOMAIN}" for label, _, _ in FARMS)
    leaf = root.issue(f"lyncwebext.{DOMAIN}", names, key)
    password = secrets.token_urlsafe(PFX_PASSWORD_BYTES).encode()
    pfx = pkcs12.serialize_key_and_certificates(b"public", key, leaf, [root.root], serialization.BestAvailableEncryption(password))
    (folder / "certs" / "contoso-root.cer").write_bytes(root.root.public_bytes(serialization.Encoding.DER))
    _write_private(folder / "certs" / "public.pfx", pfx)
    _write_private(folder / "certs" / "public-password.txt", password)


def _write_installer(path: Path, packages: Path | None) -> str:
    """Copy the package of this name from `packages`, else write a stand-in with the first bytes of one; returns its SHA-256."""
    if packages is not None:
        data = (packages / path.name).read_bytes()
    else:
        data = MSI_HEAD.ljust(512, b"\0") + f"Stand-in for {path.name}: the lab's replay engine installs nothing.\n".encode()
    path.write_bytes(data)
    return hashlib.sha256(data).hexdigest().upper()


def _site_text(host: str, address: str, port: int, user: str, hashes: dict[str, str]) -> str:
    farms = "".join(
        f'\n[[farms]]\nname = "{label}.{DOMAIN}"\nservers = ["{server}"]\n' + (f'kind = "{kind}"\n' if kind != "lync" else "")
        for label, server, kind in FARMS
    )
    sha256 = ", ".join(f'{role} = "{digest}"' for role, digest in hashes.items())
    files = "\n".join(f'{role} = "media/{name}"' for role, name in INSTALLERS.items())
    return (
        f"{MARK}. The next start replaces this file.\n"
        f"# A simulated Windows server on this machine, and five Lync names of {DOMAIN} to publish on it.\n\n"
        f"[hosts.{host}]\n"
        f'address = "{address}"\n'
        f"port = {port}\n"
        f'user = "{user}"\n'
        f'password = "file:password.txt"\n'
        f'tls = "ca:ca.pem"\n\n'
        f"[certificates]\n"
        f'trusted_roots = ["certs/contoso-root.cer"]\n'
        f'public = "certs/public.pfx"\n'
        f'password = "file:certs/public-password.txt"\n\n'
        f"[website]\n"
        f'name = "Default Web Site"\n'
        f'https = "*:443:"\n\n'
        f"[installers]\n"
        f'source = "msi"\n'
        f"{files}\n"
        f"sha256 = {{ {sha256} }}\n"
        f"{farms}"
    )
