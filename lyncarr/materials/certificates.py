"""Certificate files, read locally: everything that a plan says about certificates is known before a host is touched.

Reading raises ValueError whose text is a reason for people; what is readable but not good is judged in certificate_checks.py.
Thumbprints are the SHA-1 of the DER form in upper hex, as Windows shows them.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.decrepit.ciphers.algorithms import RC2
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PrivateFormat, pkcs7, pkcs12
from cryptography.x509.oid import NameOID

from lyncarr.core.model import Secret

MAX_BYTES = 10 * 1024 * 1024
MODERN_PFX_BUILD = 17763
"""The first Windows build (Server 2019) that reads a PFX with AES-256 and SHA-256."""

Store: TypeAlias = Literal["Root", "CA"]
Key: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----")
# pbeWithSHAAnd128BitRC2-CBC and pbeWithSHAAnd40BitRC2-CBC (RFC 7292, appendix C), as they stand in DER
_RC2_OIDS = (bytes.fromhex("2a864886f70d010c0105"), bytes.fromhex("2a864886f70d010c0106"))


@dataclass(frozen=True)
class RootCertificate:
    """A certificate of an authority and the LocalMachine store that it belongs into."""

    label: str
    thumbprint: str
    store: Store
    der: bytes = field(repr=False)
    certificate: x509.Certificate = field(repr=False)

    @property
    def not_after(self) -> datetime:
        """UTC."""
        return self.certificate.not_valid_after_utc


@dataclass(frozen=True)
class PublicCertificate:
    """The certificate that clients see, with its private key. `sans` are its DNS names, lower case, in the file's order.

    `intermediates` go to the host with it; `roots` are those that the PFX holds, which are imported only if trusted_roots names them.
    """

    label: str
    thumbprint: str
    subject: str
    sans: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    intermediates: tuple[RootCertificate, ...]
    roots: tuple[RootCertificate, ...]
    certificate: x509.Certificate = field(repr=False)
    key: Key = field(repr=False)

    def pfx_for(self, build: int) -> tuple[bytes, Secret]:
        """A new PFX with leaf, key and intermediates, and the one-time password that opens it; the owner's password stays here.

        It is encrypted for the Windows `build` of the host: from MODERN_PFX_BUILD on with AES-256 and SHA-256, before with 3DES and
        SHA-1, because older builds read nothing else.
        """
        password = secrets.token_urlsafe(32)
        builder = PrivateFormat.PKCS12.encryption_builder().kdf_rounds(2048)  # no guessing of 256 random bits, so no need to be slow
        builder = (
            builder.key_cert_algorithm(pkcs12.PBES.PBESv2SHA256AndAES256CBC).hmac_hash(SHA256())
            if build >= MODERN_PFX_BUILD
            else builder.key_cert_algorithm(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC).hmac_hash(SHA1())  # noqa: S303  all that they read
        )
        pfx = pkcs12.serialize_key_and_certificates(
            self.label.encode(),
            self.key,
            self.certificate,
            [each.certificate for each in self.intermediates],
            builder.build(password.encode()),
        )
        return pfx, Secret(password)


def thumbprint(certificate: x509.Certificate) -> str:
    return certificate.fingerprint(SHA1()).hex().upper()  # noqa: S303  Windows names certificates by it


def label(certificate: x509.Certificate) -> str:
    """A name for people that is still unique: 'Contoso Root CA (AB12CD34)'."""
    return f"{name_of(certificate.subject)} ({thumbprint(certificate)[:8]})"


def name_of(name: x509.Name) -> str:
    """The common name, else the organisation, made printable."""
    for oid in (NameOID.COMMON_NAME, NameOID.ORGANIZATIONAL_UNIT_NAME, NameOID.ORGANIZATION_NAME):
        for attribute in name.get_attributes_for_oid(oid):
            text = "".join(c for c in str(attribute.value) if c.isprintable())
            if text:
                return text
    return "unnamed"


def is_self_signed(certificate: x509.Certificate) -> bool:
    return certificate.issuer == certificate.subject and issued_by(certificate, certificate)


def issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """True where `issuer`'s name and key fit; where its algorithm cannot be verified here, the name decides."""
    if certificate.issuer != issuer.subject:
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except UnsupportedAlgorithm:
        return True
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def read_roots(data: bytes, name: str) -> tuple[RootCertificate, ...]:
    """The authorities in a file's bytes: DER, PEM, or PKCS #7, one or a bundle. `name` is the file's, for messages."""
    return tuple(_authority(certificate, name) for certificate in _certificates(data, name))


def read_public(data: bytes, name: str, password: Secret | None) -> PublicCertificate:
    """The certificate, key and chain in a PFX file's bytes. `name` is the file's, for messages."""
    if _PEM.search(data):
        raise ValueError(f"{name} is PEM; expected a PFX file, openssl pkcs12 -export makes one")
    if not _is_pfx(data):
        raise ValueError(f"{name} is no PFX file, or not whole; expected the exported file, copy it again in binary")
    try:
        content = pkcs12.load_pkcs12(data, None if password is None else password.reveal().encode())
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError(_why_unreadable(data, name, password)) from None
    certificates = [each.certificate for each in (content.cert, *content.additional_certs) if each is not None]
    key = content.key
    if key is None:
        raise ValueError(f"{name} has no private key; export it again with 'Yes, export the private key'")
    if not isinstance(key, (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey)):
        raise ValueError(f"{name} has a key that IIS cannot use; expected an RSA or an elliptic-curve key")
    leaf = next((each for each in certificates if each.public_key() == key.public_key()), None)
    if leaf is None:
        raise ValueError(f"{name} has a private key, but not the certificate that it belongs to; export both together")
    chain = [_as_authority(each) for each in certificates if each != leaf and _is_authority(each)]
    return PublicCertificate(
        label=label(leaf),
        thumbprint=thumbprint(leaf),
        subject=name_of(leaf.subject),
        sans=_dns_names(leaf, name),
        not_before=leaf.not_valid_before_utc,
        not_after=leaf.not_valid_after_utc,
        intermediates=tuple(each for each in chain if each.store == "CA"),
        roots=tuple(each for each in chain if each.store == "Root"),
        certificate=leaf,
        key=key,
    )


def _certificates(data: bytes, name: str) -> Iterable[x509.Certificate]:
    kinds = {kind.decode() for kind in _PEM.findall(data)}
    if any("PRIVATE KEY" in kind for kind in kinds):
        raise ValueError(f"{name} holds a private key; expected certificates alone, take the key out of this file")
    if not kinds and _is_pfx(data):
        raise ValueError(f"{name} is a PFX file, which is made for private keys; expected certificates alone, DER or PEM")
    try:
        if "PKCS7" in kinds:
            return pkcs7.load_pem_pkcs7_certificates(data)
        if kinds:
            return x509.load_pem_x509_certificates(data)
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError(f"{name} has no whole certificate in it; expected PEM blocks between BEGIN and END CERTIFICATE") from None
    try:
        return [x509.load_der_x509_certificate(data)]
    except ValueError:
        pass
    try:
        return pkcs7.load_der_pkcs7_certificates(data)
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError(f"{name} is no certificate; expected DER or PEM") from None


def _authority(certificate: x509.Certificate, name: str) -> RootCertificate:
    if not _is_authority(certificate):
        raise ValueError(f"{name} holds {label(certificate)}, which is no certificate of an authority; expected the root that issued it")
    return _as_authority(certificate)


def _as_authority(certificate: x509.Certificate) -> RootCertificate:
    return RootCertificate(
        label=label(certificate),
        thumbprint=thumbprint(certificate),
        store="Root" if is_self_signed(certificate) else "CA",
        der=certificate.public_bytes(Encoding.DER),
        certificate=certificate,
    )


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        # Roots older than the extension are self-signed certificates of version 1; a leaf of today has version 3.
        return certificate.version is x509.Version.v1 and is_self_signed(certificate)
    except ValueError:
        return False


def _dns_names(certificate: x509.Certificate, name: str) -> tuple[str, ...]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return ()
    except ValueError:
        raise ValueError(f"{name} has alternative names that cannot be read; expected a certificate made anew") from None
    return tuple(value.lower() for value in extension.value.get_values_for_type(x509.DNSName))


def _is_pfx(data: bytes) -> bool:
    """True for a whole DER (or BER) SEQUENCE that begins with version 3 (RFC 7292, section 4)."""
    if len(data) < 8 or data[0] != 0x30:
        return False
    if data[1] == 0x80:  # BER of indefinite length, as some older exports are
        return data[2:5] == b"\x02\x01\x03" and data.rstrip(b"\r\n").endswith(b"\0\0")
    octets = data[1] & 0x7F if data[1] & 0x80 else 0
    length = int.from_bytes(data[2 : 2 + octets], "big") if octets else data[1]
    start = 2 + octets
    return data[start : start + 3] == b"\x02\x01\x03" and start + length <= len(data)


def _why_unreadable(data: bytes, name: str, password: Secret | None) -> str:
    if any(oid in data for oid in _RC2_OIDS) and not _has_rc2():
        return (
            f"{name} is encrypted with RC2, which the OpenSSL of this Python cannot read; "
            "export it again with AES or TripleDES, or allow OpenSSL's legacy provider"
        )
    if password is None:
        return f"{name} needs a password; add password = to [certificates]"
    return f"{name} cannot be opened with the given password; expected the one that it was exported with"


def _has_rc2() -> bool:
    try:
        Cipher(RC2(bytes(16)), modes.CBC(bytes(8))).encryptor()
    except UnsupportedAlgorithm:
        return False
    return True
