"""Certificates for tests, made on the fly. RSA keys are slow to make, so each is made once in a session."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

NOW = datetime(2030, 6, 15, 12, tzinfo=UTC)
"""The day of these tests; certificates are valid a year around it where nothing else is said."""

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


@dataclass(frozen=True)
class Pair:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: Key

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@cache
def rsa_key(number: int, bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


@cache
def ec_key(name: str) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def make_ca(
    name: str = "Contoso Root CA",
    issuer: Pair | None = None,
    *,
    key: Key | None = None,
    start: datetime = NOW - timedelta(days=365),
    end: datetime = NOW + timedelta(days=3650),
    ca: bool | None = True,
    constraints: x509.NameConstraints | None = None,
) -> Pair:
    """A root, or below `issuer` an intermediate. With `ca` None it has no basic constraints."""
    return _make(name, issuer, key or ec_key(name), start, end, ca=ca, names=(), usage=None, constraints=constraints)


def make_leaf(
    names: Sequence[str],
    issuer: Pair | None = None,
    *,
    common_name: str | None = None,
    key: Key | None = None,
    start: datetime = NOW - timedelta(days=30),
    end: datetime = NOW + timedelta(days=335),
    usage: ObjectIdentifier | None = ExtendedKeyUsageOID.SERVER_AUTH,
) -> Pair:
    """A server certificate with `names` as its alternative names; self-signed without `issuer`."""
    subject = common_name or (names[0] if names else "nameless")
    return _make(subject, issuer, key or rsa_key(0), start, end, ca=False, names=names, usage=usage)


def with_sha1(pair: Pair, signer: rsa.RSAPrivateKey) -> Pair:
    """The same certificate, signed with RSA and SHA-1, which cryptography no longer writes. `pair` must be signed by an RSA key."""
    oids = bytes.fromhex("2a864886f70d01010b"), bytes.fromhex("2a864886f70d010105")
    certificate = pair.certificate
    signed = certificate.tbs_certificate_bytes.replace(*oids)
    signature = signer.sign(signed, PKCS1v15(), SHA1())
    der = pair.der.replace(certificate.tbs_certificate_bytes, signed).replace(*oids).replace(certificate.signature, signature)
    return Pair(x509.load_der_x509_certificate(der), pair.key)


def make_pfx(leaf: Pair, chain: Sequence[Pair] = (), password: str | None = "correct horse", *, with_key: bool = True) -> bytes:
    """A PFX as a person exports it; without key a bag of certificates alone."""
    encryption: KeySerializationEncryption = NoEncryption() if password is None else BestAvailableEncryption(password.encode())
    others = [each.certificate for each in chain]
    assert isinstance(leaf.key, (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey, ed25519.Ed25519PrivateKey))
    return pkcs12.serialize_key_and_certificates(b"public", leaf.key if with_key else None, leaf.certificate, others, encryption)


def _make(
    name: str,
    issuer: Pair | None,
    key: Key,
    start: datetime,
    end: datetime,
    *,
    ca: bool | None,
    names: Sequence[str],
    usage: ObjectIdentifier | None,
    constraints: x509.NameConstraints | None = None,
) -> Pair:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
    )
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    if constraints is not None:
        builder = builder.add_extension(constraints, critical=True)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(each) for each in names]), critical=False)
    if usage is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    signer = issuer.key if issuer else key
    return Pair(builder.sign(signer, None if isinstance(signer, ed25519.Ed25519PrivateKey) else SHA256()), key)
