"""Certificate files, read on this machine: a plan knows everything about certificates before it connects to a host.

Reading raises FileError for a file of the wrong kind. certificate_checks.py checks the certificates in a readable file. Thumbprints are
the SHA-1 of the DER form in upper case hexadecimal digits, as Windows shows them.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, TypeAlias

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.decrepit.ciphers.algorithms import RC2
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PrivateFormat, pkcs12
from cryptography.x509.oid import NameOID

from lyncarr.core.files import FileError
from lyncarr.core.model import Secret
from lyncarr.materials.chains import chain_of, is_self_signed, is_valid_at
from lyncarr.materials.encodings import pem_kinds, read_certificates
from lyncarr.materials.public_roots import is_publicly_known

MAX_BYTES = 10 * 1024 * 1024
MODERN_PFX_BUILD = 17763
"""The first Windows build (Server 2019) that reads a PFX with AES-256 and SHA-256."""

Store: TypeAlias = Literal["Root", "CA"]
Key: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

# pbeWithSHAAnd128BitRC2-CBC and pbeWithSHAAnd40BitRC2-CBC (RFC 7292, appendix C) in DER.
_RC2_OIDS = (bytes.fromhex("2a864886f70d010c0105"), bytes.fromhex("2a864886f70d010c0106"))


@dataclass(frozen=True)
class RootCertificate:
    """The certificate of a certificate authority, and the LocalMachine store for it."""

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
    """The certificate that clients see, with its private key. `sans` are its DNS names in lower case, in the order of the file.

    `chain` begins with it and ends with its root, or where the issuer was not found. `intermediates` are those of the chain that are in
    the PFX file and valid: they are imported together with it. A root is not: trusted_roots names the roots that a host trusts. `others`
    are further certificates in the PFX file for the same key, such as an expired one; they are not used.
    """

    label: str
    thumbprint: str
    subject: str
    sans: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    intermediates: tuple[RootCertificate, ...]
    chain: tuple[x509.Certificate, ...] = field(repr=False)
    others: tuple[str, ...]
    certificate: x509.Certificate = field(repr=False)
    key: Key = field(repr=False)

    def pfx_for(self, build: int) -> tuple[bytes, Secret]:
        """A new PFX with leaf, key and intermediates, and its one-time password. The password of the original file stays here.

        The encryption fits the Windows `build` of the host: AES-256 and SHA-256 from MODERN_PFX_BUILD on, else 3DES and SHA-1, because
        older builds read nothing else.
        """
        password = secrets.token_urlsafe(32)
        # Few rounds of key derivation, because 256 random bits cannot be guessed.
        builder = PrivateFormat.PKCS12.encryption_builder().kdf_rounds(2048)
        if build >= MODERN_PFX_BUILD:
            builder = builder.key_cert_algorithm(pkcs12.PBES.PBESv2SHA256AndAES256CBC).hmac_hash(SHA256())
        else:
            # The only algorithms that older builds read.
            builder = builder.key_cert_algorithm(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC).hmac_hash(SHA1())  # noqa: S303
        pfx = pkcs12.serialize_key_and_certificates(
            self.label.encode(),
            self.key,
            self.certificate,
            [each.certificate for each in self.intermediates],
            builder.build(password.encode()),
        )
        return pfx, Secret(password)


def thumbprint(certificate: x509.Certificate) -> str:
    return certificate.fingerprint(SHA1()).hex().upper()  # noqa: S303  Windows identifies certificates by it


def label(certificate: x509.Certificate) -> str:
    """A readable and unique name: 'Contoso Root CA (AB12CD34)'."""
    return f"{name_of(certificate.subject)} ({thumbprint(certificate)[:8]})"


def name_of(name: x509.Name) -> str:
    """The common name, else the organization, without characters that cannot be displayed."""
    for oid in (NameOID.COMMON_NAME, NameOID.ORGANIZATIONAL_UNIT_NAME, NameOID.ORGANIZATION_NAME):
        for attribute in name.get_attributes_for_oid(oid):
            text = "".join(c for c in str(attribute.value) if c.isprintable())
            if text:
                return text
    return "unnamed"


def read_roots(data: bytes) -> tuple[RootCertificate, ...]:
    """The certificate authorities in the content of a file: DER, PEM or PKCS #7, one or a bundle. Raises FileError."""
    return tuple(map(_authority, _certificates(data)))


def read_public(
    data: bytes,
    password: Secret | None,
    *,
    names: Sequence[str] = (),
    trusted: Sequence[RootCertificate] = (),
    now: datetime | None = None,
) -> PublicCertificate:
    """The certificate, key and chain in the content of a PFX file. Raises FileError.

    Of several certificates for the key, it is the one that is valid `now` and covers the published `names`, and of these the one that is
    valid for longest. Its chain may continue in the `trusted` authorities.
    """
    now = datetime.now(UTC) if now is None else now
    if pem_kinds(data):
        raise FileError("is a PEM file, not a PFX file", hint="Convert the file with openssl pkcs12 -export.")
    if not _is_pfx(data):
        raise FileError("is not a PFX file, or is incomplete", hint="Copy the exported file again, in binary mode.")
    try:
        content = pkcs12.load_pkcs12(data, None if password is None else password.reveal().encode())
    except (ValueError, UnsupportedAlgorithm):
        raise _unreadable(data, password) from None
    certificates = [each.certificate for each in (content.cert, *content.additional_certs) if each is not None]
    key = content.key
    if key is None:
        raise FileError("has no private key", hint="Export the certificate again with 'Yes, export the private key'.")
    if not isinstance(key, (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey)):
        raise FileError("has a private key that IIS does not support", hint="Use a certificate with an RSA or an elliptic-curve key.")
    own = [each for each in certificates if each.public_key() == key.public_key()]
    if not own:
        raise FileError("has a private key without its certificate", hint="Export the certificate and its private key together.")
    leaf = max(own, key=lambda each: _fitness(each, names, now))
    pool = [each for each in certificates if each not in own and (is_authority(each) or is_self_signed(each))]
    chain = chain_of(leaf, [*pool, *(each.certificate for each in trusted)], now, is_known=is_publicly_known)
    needed = [_as_authority(each) for each in chain[1:] if each in pool and is_valid_at(each, now)]
    return PublicCertificate(
        label=label(leaf),
        thumbprint=thumbprint(leaf),
        subject=name_of(leaf.subject),
        sans=_dns_names(leaf),
        not_before=leaf.not_valid_before_utc,
        not_after=leaf.not_valid_after_utc,
        intermediates=tuple(each for each in needed if each.store == "CA"),
        chain=chain,
        others=tuple(label(each) for each in own if each != leaf),
        certificate=leaf,
        key=key,
    )


def _fitness(certificate: x509.Certificate, names: Sequence[str], now: datetime) -> tuple[bool, bool, datetime]:
    sans = _dns_names(certificate)
    return is_valid_at(certificate, now), all(covers(sans, name) for name in names), certificate.not_valid_after_utc


def covers(sans: Iterable[str], name: str) -> bool:
    """True where one of the alternative names is `name` or a wildcard for exactly its first label (RFC 6125, section 6.4.3)."""
    _, _, parent = name.partition(".")
    return any(san.removesuffix(".") in (name, f"*.{parent}") for san in sans)


def _certificates(data: bytes) -> list[x509.Certificate]:
    kinds = pem_kinds(data)
    if any("PRIVATE KEY" in kind for kind in kinds):
        raise FileError("contains a private key", hint="Remove the private key: the file must contain certificates only.")
    if not kinds and _is_pfx(data):
        raise FileError("is a PFX file, which may contain private keys", hint="Export the certificates without keys, as DER or PEM.")
    return read_certificates(data)


def _authority(certificate: x509.Certificate) -> RootCertificate:
    """A self-signed certificate is its own root, also that of a server. Of all others only authorities belong into a store."""
    if not is_self_signed(certificate) and not is_authority(certificate):
        raise FileError(
            f"contains {label(certificate)}, which is not a certificate authority", hint="Use the root certificate that issued it."
        )
    return _as_authority(certificate)


def _as_authority(certificate: x509.Certificate) -> RootCertificate:
    return RootCertificate(
        label=label(certificate),
        thumbprint=thumbprint(certificate),
        store="Root" if is_self_signed(certificate) else "CA",
        der=certificate.public_bytes(Encoding.DER),
        certificate=certificate,
    )


def is_authority(certificate: x509.Certificate) -> bool:
    """Whether its basic constraints say so. Roots older than that extension are self-signed certificates of version 1."""
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return certificate.version is x509.Version.v1 and is_self_signed(certificate)
    except ValueError:
        return False


def _dns_names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return ()
    except ValueError:
        raise FileError("has subject alternative names that cannot be read", hint="Request a new certificate.") from None
    return tuple(value.lower() for value in extension.value.get_values_for_type(x509.DNSName))


def _is_pfx(data: bytes) -> bool:
    """True for a complete DER or BER SEQUENCE that begins with version 3 (RFC 7292, section 4)."""
    if len(data) < 8 or data[0] != 0x30:
        return False
    if data[1] == 0x80:  # BER of indefinite length, as in some older exports.
        return data[2:5] == b"\x02\x01\x03" and data.rstrip(b"\r\n").endswith(b"\0\0")
    octets = data[1] & 0x7F if data[1] & 0x80 else 0
    length = int.from_bytes(data[2 : 2 + octets], "big") if octets else data[1]
    start = 2 + octets
    return data[start : start + 3] == b"\x02\x01\x03" and start + length <= len(data)


def _unreadable(data: bytes, password: Secret | None) -> FileError:
    if any(oid in data for oid in _RC2_OIDS) and not _has_rc2():
        return FileError(
            "is encrypted with RC2, which the OpenSSL of this Python cannot read",
            hint="Export the file again with AES or TripleDES, or enable the legacy provider of OpenSSL.",
        )
    if password is None:
        return FileError("requires a password", hint='Add password = "prompt" to [certificates].')
    return FileError("cannot be opened with the given password", hint="Use the password that the file was exported with.")


def _has_rc2() -> bool:
    try:
        Cipher(RC2(bytes(16)), modes.CBC(bytes(8))).encryptor()
    except UnsupportedAlgorithm:
        return False
    return True
