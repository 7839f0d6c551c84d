"""Checks of certificates that were read: are they valid for phones and browsers? The caller gives the time."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TypeAlias

import certifi
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import MD5, SHA1
from cryptography.x509.oid import ExtendedKeyUsageOID

from lyncarr.config.names import display
from lyncarr.core.files import FileError
from lyncarr.materials.certificates import PublicCertificate, RootCertificate, is_self_signed, issued_by, label, name_of

SOON = timedelta(days=30)
SHORTEST_RSA = 2048
BMP_STRING = 0x1E

NameKey: TypeAlias = tuple[tuple[bytes, bytes], ...]

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----\s(.*?)-----END CERTIFICATE-----", re.DOTALL)


def covers(sans: Iterable[str], name: str) -> bool:
    """True where one of the alternative names is `name` or a wildcard for exactly its first label (RFC 6125, section 6.4.3)."""
    _, _, parent = name.partition(".")
    return any(san.removesuffix(".") in (name, f"*.{parent}") for san in sans)


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
    return errors


def warnings_of(public: PublicCertificate, trusted: Sequence[RootCertificate], now: datetime) -> list[str]:
    """What clients of `public` may reject. Its chain is looked up in the PFX file and among the `trusted` certificate authorities."""
    warnings = []
    if now <= public.not_after < now + SOON:
        days = (public.not_after - now).days
        warnings.append(f"{public.label} expires on {public.not_after:%Y-%m-%d}, in {days} days; renew it")
    if not _is_for_servers(public.certificate):
        warnings.append(f"{public.label} has no extended key usage for TLS servers; clients may reject it")
    authorities = [each.certificate for each in (*public.intermediates, *public.roots, *trusted)]
    chain = list(_chain(public.certificate, authorities))
    for certificate in chain:
        warnings += _weaknesses(certificate)
    for certificate in chain[1:]:
        warnings += _expiry_of_authority(certificate, now)
    last = chain[-1]
    if not is_self_signed(last) and name_key(last.issuer.public_bytes()) not in _public_roots():
        warnings.append(
            f"the certificate of {name_of(last.issuer)}, which issued {label(last)}, is neither in the PFX file nor in trusted_roots; "
            "clients reject a chain without its intermediates, so export the PFX file with the whole chain"
        )
    return warnings


def warnings_of_trusted(trusted: RootCertificate, now: datetime) -> list[str]:
    """What is weak or expired in the certificate of an authority that the host will trust."""
    return [*_weaknesses(trusted.certificate), *_expiry_of_authority(trusted.certificate, now)]


def _chain(leaf: x509.Certificate, authorities: Sequence[x509.Certificate]) -> Iterator[x509.Certificate]:
    """`leaf` and its issuers, up to a self-signed certificate or an unknown issuer."""
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


@cache
def _public_roots() -> frozenset[NameKey]:
    """The subjects of the roots that clients already have: an issuer among them is not a missing intermediate."""
    return frozenset(name_key(_subject(base64.b64decode(block))) for block in _PEM.findall(Path(certifi.where()).read_bytes()))


def _subject(certificate: bytes) -> bytes:
    """The subject of a certificate, both in DER (RFC 5280, section 4.1).

    cryptography would warn of the serial numbers of some old roots for the whole process, and announces that it will reject them.
    """
    ((_, content),) = _elements(certificate)
    _, to_be_signed = next(_elements(content))
    parts = [whole for whole, _ in _elements(to_be_signed)]
    has_version = parts[0][0] == 0xA0
    return parts[5 if has_version else 4]


def name_key(name: bytes) -> NameKey:
    """The types and texts of the attributes of a name in DER, in their order, without the kinds of the strings.

    An authority may write its name as a PrintableString in its own certificate, and as a UTF8String in those that it issues.
    """
    ((_, sequence),) = _elements(name)
    key = []
    for _, attributes in _elements(sequence):
        for _, attribute in _elements(attributes):
            (kind, _), (value, text) = _elements(attribute)
            key.append((kind, text.decode("utf-16-be", "replace").encode() if value[0] == BMP_STRING else text))
    return tuple(key)


def _elements(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The DER elements in `data`, one after the other: each as a whole, and its content."""
    position = 0
    while position < len(data):
        start = position
        length = data[position + 1]
        position += 2
        if length & 0x80:
            octets = length & 0x7F
            length = int.from_bytes(data[position : position + octets], "big")
            position += octets
        yield data[start : position + length], data[position : position + length]
        position += length
