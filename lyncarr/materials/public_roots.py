"""The roots that phones and browsers have already, from the list of the package certifi."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TypeAlias

import certifi
from cryptography import x509

BMP_STRING = 0x1E

NameKey: TypeAlias = tuple[tuple[bytes, bytes], ...]

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----\s(.*?)-----END CERTIFICATE-----", re.DOTALL)


def is_publicly_known(certificate: x509.Certificate) -> bool:
    """Whether clients have the issuer of `certificate`, by its name."""
    return name_key(certificate.issuer.public_bytes()) in public_roots()


@cache
def public_roots() -> frozenset[NameKey]:
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
