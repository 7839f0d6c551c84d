"""Certificates out of the content of a file: DER, PEM or PKCS #7, as Windows, OpenSSL and people write them. Nothing is skipped.

cryptography's readers of PEM drop a block that has no end, and read neither UTF-16 nor base64 without armour.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import re
from collections.abc import Iterator

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import pkcs7

from lyncarr.core.files import FileError

_BEGIN = re.compile(rb"-----BEGIN ([A-Z0-9 #]+)-----")
_LINE = re.compile(rb"-----(BEGIN|END) ([A-Z0-9 #]+)-----")
_BASE64 = re.compile(rb"[A-Za-z0-9+/\s]+=*\s*")
EXPORT_AGAIN = "Export the certificates again, or copy the whole file again."


def pem_kinds(data: bytes) -> set[str]:
    """The words of the BEGIN lines in the content of a file."""
    return {kind.decode() for kind in _BEGIN.findall(as_bytes(data))}


def as_bytes(data: bytes) -> bytes:
    """The content without a byte order mark, and text of UTF-16 as ASCII. Other content is returned unchanged."""
    if data.startswith(codecs.BOM_UTF8):
        return data[len(codecs.BOM_UTF8) :]
    encoding = "utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else ""
    if not encoding and b"-\0-\0-\0" in data[:200]:
        encoding = "utf-16-le" if data[1:2] == b"\0" else "utf-16-be"
    if not encoding:
        return data
    try:
        return data.decode(encoding).encode("ascii")
    except UnicodeError:
        return data


def read_certificates(data: bytes) -> list[x509.Certificate]:
    """All certificates in the content of a file. Raises FileError where one cannot be read."""
    content = as_bytes(data)
    if _LINE.search(content):
        found = [certificate for number, der in enumerate(_blocks(content), 1) for certificate in _of_block(der, number)]
    elif _BASE64.fullmatch(content):
        try:
            found = _of_der(base64.b64decode(b"".join(content.split()), validate=True))
        except binascii.Error:
            found = []
    else:
        found = _of_der(content)
    if not found:
        raise FileError("is not a certificate in DER, PEM or PKCS #7 format", hint=EXPORT_AGAIN)
    return list(dict.fromkeys(found))


def _blocks(content: bytes) -> Iterator[bytes]:
    """The DER content of each PEM block. Text between the blocks is a comment, as openssl writes it."""
    open_kind, start, number = b"", 0, 0
    for line in _LINE.finditer(content):
        begins, kind = line[1] == b"BEGIN", line[2]
        number += begins
        if begins == bool(open_kind) or (open_kind and kind != open_kind):
            raise _incomplete(number - (begins and bool(open_kind)))
        if begins:
            open_kind, start = kind, line.end()
            continue
        try:
            yield base64.b64decode(b"".join(content[start : line.start()].split()), validate=True)
        except binascii.Error:
            raise _incomplete(number) from None
        open_kind = b""
    if open_kind:
        raise _incomplete(number)


def _of_block(der: bytes, number: int) -> list[x509.Certificate]:
    found = _of_der(der)
    if not found:
        raise _incomplete(number)
    return found


def _of_der(der: bytes) -> list[x509.Certificate]:
    """The certificate, or those in a PKCS #7 file; [] where `der` is neither. Windows writes PKCS #7 under BEGIN CERTIFICATE too."""
    try:
        return [x509.load_der_x509_certificate(der)]
    except ValueError:
        pass
    try:
        return list(pkcs7.load_der_pkcs7_certificates(der))
    except (ValueError, UnsupportedAlgorithm):
        return []


def _incomplete(number: int) -> FileError:
    return FileError(f"has a certificate that is not complete: number {max(number, 1)} in the file", hint=EXPORT_AGAIN)
