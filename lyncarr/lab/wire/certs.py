"""Certificates of the simulated host: an authority of its own, and server certificates good and bad."""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from typing import Literal, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Variant = Literal["valid", "expired", "not-yet-valid", "wrong-name", "self-signed", "short-key"]
Key: TypeAlias = "ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey"


@dataclass(frozen=True)
class Identity:
    """A certificate and its key in PEM; `der` is the certificate alone, `authority` the PEM of who signed it."""

    certificate: bytes
    key: bytes
    der: bytes
    authority: bytes

    @property
    def pin(self) -> str:
        """SHA-256 of the certificate, upper hex."""
        return _certificate(self.der).fingerprint(hashes.SHA256()).hex().upper()

    @property
    def binding(self) -> bytes:
        """Channel binding of TLS sessions with this certificate: tls-server-end-point, RFC 5929 section 4.1."""
        algorithm = _certificate(self.der).signature_hash_algorithm
        if algorithm is None or algorithm.name in ("md5", "sha1"):
            algorithm = hashes.SHA256()
        digest = hashes.Hash(algorithm)
        digest.update(self.der)
        return b"tls-server-end-point:" + digest.finalize()


def _certificate(der: bytes) -> x509.Certificate:
    return x509.load_der_x509_certificate(der)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _pem(key: Key) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())


class Authority:
    """A root that signs what the lab needs. Nothing trusts it but those who are given `certificate`."""

    def __init__(self, common_name: str = "lyncarr lab root", key: Key | None = None) -> None:
        self._key = key or ec.generate_private_key(ec.SECP256R1())
        self._name = _name(common_name)
        now = datetime.datetime.now(datetime.UTC)
        self._certificate = _build(
            self._name, self._name, self._key, self._key, now - datetime.timedelta(days=1), now + datetime.timedelta(days=365), ca=True
        )

    @property
    def certificate(self) -> bytes:
        """PEM."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def root(self) -> x509.Certificate:
        return self._certificate

    def issue(
        self, common_name: str, names: tuple[str, ...], key: Key, *, start_days: int = -1, end_days: int = 90, client: bool = False
    ) -> x509.Certificate:
        """A leaf for `names` (DNS names or addresses), valid from and until so many days from now."""
        now = datetime.datetime.now(datetime.UTC)
        start, end = (now + datetime.timedelta(days=days) for days in (start_days, end_days))
        return _build(_name(common_name), self._name, key, self._key, start, end, names=names, client=client)


def _build(
    subject: x509.Name,
    issuer: x509.Name,
    key: Key,
    issuer_key: Key,
    start: datetime.datetime,
    end: datetime.datetime,
    *,
    names: tuple[str, ...] = (),
    ca: bool = False,
    client: bool = False,
) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if ca:
        builder = builder.add_extension(
            x509.KeyUsage(
                digital_signature=True,
                key_cert_sign=True,
                crl_sign=True,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
    else:
        usage = ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.SERVER_AUTH
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def server_identity(address: str, variant: Variant = "valid", *, authority: Authority | None = None, computer: str = "RP01") -> Identity:
    """The certificate that a host at `address` shows; each variant but `valid` is wrong in one way only."""
    key: Key = ec.generate_private_key(ec.SECP256R1())
    if variant == "short-key":
        key = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505  (the point of this variant)
    signer = authority or Authority()
    if variant == "self-signed":
        signer = Authority(computer, key)
    names = ("elsewhere.contoso.com",) if variant == "wrong-name" else (address, computer, "localhost")
    start, end = {"expired": (-30, -2), "not-yet-valid": (2, 30)}.get(variant, (-1, 90))
    return _identity(signer.issue(computer, names, key, start_days=start, end_days=end), key, signer)


def client_identity(authority: Authority, user: str) -> Identity:
    """A certificate with which `user` can log on."""
    key = ec.generate_private_key(ec.SECP256R1())
    return _identity(authority.issue(user, (), key, client=True), key, authority)


def _identity(leaf: x509.Certificate, key: Key, signer: Authority) -> Identity:
    der = leaf.public_bytes(serialization.Encoding.DER)
    return Identity(leaf.public_bytes(serialization.Encoding.PEM), _pem(key), der, signer.certificate)
