"""Is a readable certificate good enough to be shown to phones and browsers? Pure but for the clock that is handed in."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

import certifi
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import MD5, SHA1
from cryptography.x509.oid import ExtendedKeyUsageOID

from lyncarr.config.names import display
from lyncarr.materials.certificates import PublicCertificate, RootCertificate, is_self_signed, issued_by, label, name_of

SOON = timedelta(days=30)
SHORTEST_RSA = 2048


def covers(sans: Iterable[str], name: str) -> bool:
    """True where one of the alternative names is `name` or a wildcard for exactly its first label (RFC 6125, section 6.4.3)."""
    _, _, parent = name.partition(".")
    return any(san.removesuffix(".") in (name, f"*.{parent}") for san in sans)


def errors_of(public: PublicCertificate, names: Sequence[str], now: datetime) -> list[str]:
    """What makes `public` useless for the published `names`, each a sentence without a full stop."""
    errors = []
    if public.not_after < now:
        errors.append(f"{public.label} expired on {public.not_after:%Y-%m-%d}; expected a certificate that is valid today")
    if public.not_before > now:
        errors.append(
            f"{public.label} is not valid before {public.not_before:%Y-%m-%d}; expected one that is valid today, is the clock right?"
        )
    missing = [display(name) for name in names if not covers(public.sans, name)]
    if missing:
        errors.append(
            f"{public.label} does not cover {', '.join(missing)} in its alternative names; "
            "expected every farm's name there (a wildcard covers one label), or https = false for one that is asked for without TLS only"
        )
    return errors


def warnings_of(public: PublicCertificate, trusted: Sequence[RootCertificate], now: datetime) -> list[str]:
    """What will or may trouble clients of `public`, whose chain is looked for in the PFX and among the `trusted` authorities."""
    told = []
    if now <= public.not_after < now + SOON:
        days = (public.not_after - now).days
        told.append(f"{public.label} expires on {public.not_after:%Y-%m-%d}, in {days} days; have it renewed")
    if not _is_for_servers(public.certificate):
        told.append(f"{public.label} is not meant for TLS servers (extended key usage); clients may refuse it")
    authorities = [each.certificate for each in (*public.intermediates, *public.roots, *trusted)]
    chain = list(_chain(public.certificate, authorities))
    for certificate in chain:
        told += _weaknesses(certificate)
    for certificate in chain[1:]:
        told += _expiry_of_authority(certificate, now)
    last = chain[-1]
    if not is_self_signed(last) and last.issuer not in _public_roots():
        told.append(
            f"the certificate of {name_of(last.issuer)}, which issued {label(last)}, is neither in the PFX nor in trusted_roots; "
            "clients refuse a chain with a missing intermediate: export the PFX with the whole chain"
        )
    return told


def warnings_of_trusted(trusted: Sequence[RootCertificate], now: datetime) -> list[str]:
    """What is weak or out of date among the authorities that the host shall trust."""
    return [text for each in trusted for text in (*_weaknesses(each.certificate), *_expiry_of_authority(each.certificate, now))]


def _chain(leaf: x509.Certificate, authorities: Sequence[x509.Certificate]) -> Iterator[x509.Certificate]:
    """`leaf` and its issuers as far as they are known; ends at a self-signed one."""
    seen: set[x509.Certificate] = set()
    current: x509.Certificate | None = leaf
    while current is not None and current not in seen:
        yield current
        seen.add(current)
        last = current
        current = None if is_self_signed(last) else next((each for each in authorities if issued_by(last, each)), None)


def _weaknesses(certificate: x509.Certificate) -> Iterator[str]:
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < SHORTEST_RSA:
        yield f"{label(certificate)} has an RSA key of {key.key_size} bits; Windows and browsers want {SHORTEST_RSA} or more"
    try:
        algorithm = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return
    if isinstance(algorithm, (SHA1, MD5)) and not is_self_signed(certificate):
        yield f"{label(certificate)} is signed with {algorithm.name.upper()}, which clients refuse; have it issued with SHA-256"


def _expiry_of_authority(certificate: x509.Certificate, now: datetime) -> Iterator[str]:
    kind = "root" if is_self_signed(certificate) else "intermediate"
    if certificate.not_valid_after_utc < now:
        yield f"the {kind} {label(certificate)} expired on {certificate.not_valid_after_utc:%Y-%m-%d}; what it issued is trusted no more"
    elif certificate.not_valid_before_utc > now:
        yield f"the {kind} {label(certificate)} is not valid before {certificate.not_valid_before_utc:%Y-%m-%d}; is the clock right?"


def _is_for_servers(certificate: x509.Certificate) -> bool:
    try:
        usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, ValueError):
        return True
    return ExtendedKeyUsageOID.SERVER_AUTH in usages or ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in usages


@cache
def _public_roots() -> frozenset[x509.Name]:
    """The subjects of the roots that clients bring along: an issuer among them is no missing intermediate."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some old roots have serial numbers that cryptography frowns upon
        return frozenset(each.subject for each in x509.load_pem_x509_certificates(Path(certifi.where()).read_bytes()))
