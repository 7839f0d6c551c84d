"""Checks of certificates that were read: are they valid for phones and browsers? The caller gives the time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import MD5, SHA1
from cryptography.x509.oid import ExtendedKeyUsageOID

from lyncarr.config.names import display
from lyncarr.core.files import FileError
from lyncarr.materials.certificates import PublicCertificate, RootCertificate, covers, is_authority, label, name_of
from lyncarr.materials.chains import chain_of, excluded_names, is_self_signed
from lyncarr.materials.public_roots import is_publicly_known

SOON = timedelta(days=30)
SHORTEST_RSA = 2048


def errors_of(public: PublicCertificate, names: Sequence[str], now: datetime) -> list[FileError]:
    """What makes `public` unusable for the published `names`."""
    errors = []
    if public.not_after < now:
        errors.append(FileError(f"{public.label} expired on {public.not_after:%Y-%m-%d}", hint="Use a certificate that is valid today."))
    if public.not_before > now:
        errors.append(
            FileError(
                f"{public.label} is not valid before {public.not_before:%Y-%m-%d}",
                hint="Use a certificate that is valid today, and check the clock of this machine.",
            )
        )
    missing = [display(name) for name in names if not covers(public.sans, name)]
    if missing:
        errors.append(
            FileError(
                f"{public.label} does not include {', '.join(missing)} in its subject alternative names",
                hint="Request a certificate that includes all published names; a wildcard covers one label. "
                "For a name that is used without TLS only, set https = false in its [[farms]] table.",
            )
        )
    for name, authority in excluded_names(public.sans, public.chain):
        errors.append(
            FileError(
                f"{public.label} includes {display(name)}, which its authority {label(authority)} must not issue (name constraints)",
                hint="Clients reject the whole certificate. Request a certificate from another authority, or without that name.",
            )
        )
    return errors


def warnings_of(public: PublicCertificate, trusted: Sequence[RootCertificate], now: datetime) -> list[str]:
    """What clients of `public` may reject. Its chain is looked up in the PFX file and among the `trusted` certificate authorities."""
    warnings = []
    if now <= public.not_after < now + SOON:
        days = (public.not_after - now).days
        warnings.append(f"{public.label} expires on {public.not_after:%Y-%m-%d}, in {days} days; renew it")
    if not _is_for_servers(public.certificate):
        warnings.append(f"{public.label} has no extended key usage for TLS servers; clients may reject it")
    if is_self_signed(public.certificate):
        warnings.append(f"{public.label} is self-signed; phones and browsers reject it, so request a certificate from a public authority")
    chain = chain_of(public.certificate, [*public.chain[1:], *(each.certificate for each in trusted)], now, is_known=is_publicly_known)
    for certificate in chain:
        warnings += _weaknesses(certificate)
    for certificate in chain[1:]:
        warnings += _expiry_of_authority(certificate, now)
    last = chain[-1]
    if not is_self_signed(last) and not is_publicly_known(last):
        warnings.append(
            f"the certificate of {name_of(last.issuer)}, which issued {label(last)}, is neither in the PFX file nor in trusted_roots; "
            "if it is a root, nothing is missing; if it is an intermediate, clients reject the chain, so export the PFX file with the "
            "whole chain"
        )
    return warnings


def warnings_of_trusted(trusted: RootCertificate, now: datetime) -> list[str]:
    """What is weak, expired or unusual in a certificate that the host will trust."""
    return [*_not_an_authority(trusted), *_weaknesses(trusted.certificate), *_expiry_of_authority(trusted.certificate, now)]


def _not_an_authority(trusted: RootCertificate) -> Iterator[str]:
    if is_authority(trusted.certificate):
        return
    try:
        trusted.certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    except (x509.ExtensionNotFound, ValueError):
        yield (
            f"{trusted.label} does not say whether it is a certificate authority; the host trusts this certificate, "
            "but may reject certificates that it issued"
        )
    else:
        yield f"{trusted.label} is not a certificate authority; the host trusts exactly this certificate, and none that it issued"


def _weaknesses(certificate: x509.Certificate) -> Iterator[str]:
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < SHORTEST_RSA:
        yield f"{label(certificate)} has an RSA key of {key.key_size} bits; Windows and browsers require {SHORTEST_RSA} or more"
    try:
        algorithm = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return
    if isinstance(algorithm, (SHA1, MD5)) and not is_self_signed(certificate):
        yield f"{label(certificate)} is signed with {algorithm.name.upper()}, which clients reject; request a certificate with SHA-256"


def _expiry_of_authority(certificate: x509.Certificate, now: datetime) -> Iterator[str]:
    name = f"the {'root' if is_self_signed(certificate) else 'intermediate'} {label(certificate)}"
    if certificate.not_valid_after_utc < now:
        yield f"{name} expired on {certificate.not_valid_after_utc:%Y-%m-%d}; certificates that it issued are no longer trusted"
    elif certificate.not_valid_before_utc > now:
        yield f"{name} is not valid before {certificate.not_valid_before_utc:%Y-%m-%d}; check the clock of this machine"


def _is_for_servers(certificate: x509.Certificate) -> bool:
    try:
        usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, ValueError):
        return True
    return ExtendedKeyUsageOID.SERVER_AUTH in usages or ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in usages
