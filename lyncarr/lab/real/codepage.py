"""Code pages of WinRS shells: what runs behind them here speaks UTF-8, whatever a client asks for."""

from __future__ import annotations

import codecs
from typing import Protocol

UTF8 = 65001
SUBSTITUTE = b"?"  # what Windows writes for a character that a code page lacks


class Translate(Protocol):
    def __call__(self, data: bytes, final: bool = False) -> bytes:
        """The next bytes in the other encoding; `final` gives out what was held of an unfinished character."""


def from_utf8(codepage: int) -> Translate:
    """Translates output. Bytes that are no UTF-8 pass as they are: they are not text."""
    if codepage == UTF8:
        return _as_it_is
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    codec = f"cp{codepage}"

    def translate(data: bytes, final: bool = False) -> bytes:
        text = decoder.decode(data, final)
        try:
            return text.encode(codec, "surrogateescape")
        except UnicodeEncodeError:
            return b"".join(_character(character, codec) for character in text)

    return translate


def to_utf8(codepage: int) -> Translate:
    """Translates standard input."""
    if codepage == UTF8:
        return _as_it_is
    decoder = codecs.getincrementaldecoder(f"cp{codepage}")("replace")
    return lambda data, final=False: decoder.decode(data, final).encode()


def _character(character: str, codec: str) -> bytes:
    try:
        return character.encode(codec, "surrogateescape")
    except UnicodeEncodeError:
        return SUBSTITUTE


def _as_it_is(data: bytes, final: bool = False) -> bytes:
    return data
