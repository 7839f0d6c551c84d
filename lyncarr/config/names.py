"""Names and addresses as people write them, and their canonical form, which the rest of the program uses.

Every function takes text and returns its canonical form, or raises ValueError. The text of the error is the reason for people, and
begins in lower case and without a full stop. The canonical form of a DNS name is its A-label (RFC 5891), lower case, without the
trailing dot.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from itertools import accumulate
from operator import or_

import idna

from lyncarr.core.text import quoted

MAX_LABEL = 63
MAX_NAME = 253
MAX_PATTERN = 255
PLACEHOLDER_SUFFIX = ".invalid"
"""The domain of the placeholders that `lyncarr init` writes. RFC 2606 reserves it, so no real server has such a name."""

_LDH = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
_PATTERN = re.compile(r"[A-Za-z0-9.*?:-]+")
_HOST_AND_PORT = re.compile(r"[^:\[\]]+:\d*|\[.*\]:\d*")

# One writing system may need several Unicode scripts (UTS 39, section 5.1).
_SCRIPT_SETS = (
    frozenset({"CJK", "HIRAGANA", "KATAKANA"}),
    frozenset({"CJK", "HANGUL"}),
    frozenset({"CJK", "BOPOMOFO"}),
)


def parse_fqdn(text: str, *, example: str = "meet.contoso.com") -> str:
    """The A-label form of a fully qualified DNS name such as 'meet.contoso.com' or 'bücher.example'. Errors show `example`."""
    _refuse_other_things(text)
    if "*" in text or "?" in text:
        raise ValueError(f"{quoted(text)} is a wildcard; use one full DNS name, such as {example}")
    if _address(text) is not None:
        raise ValueError(f"{quoted(text)} is an IP address; use a DNS name, such as {example}")
    name = _dns_name(text)
    if "." not in name:
        raise ValueError(f"{quoted(text)} has no domain; use a full DNS name, such as {example}")
    return name


def parse_server(text: str) -> str:
    """The canonical form of the name or address of a server: A-labels, dotted IPv4, or compressed IPv6 without brackets.

    A single label is valid: a proxy in a perimeter network often resolves its pool by the hosts file only.
    """
    _refuse_other_things(text)
    address = _address(text)
    if address is None:
        if "*" in text or "?" in text:
            raise ValueError(f"{quoted(text)} is a wildcard; use the name or address of one server")
        name = _dns_name(text)
        if name.endswith(PLACEHOLDER_SUFFIX):
            raise ValueError(f"{quoted(name)} is a placeholder of lyncarr init; replace it with the real name or address")
        return name
    if address.is_unspecified or address.is_multicast or address == ipaddress.IPv4Address("255.255.255.255"):
        raise ValueError(f"{quoted(text)} is not the address of a single server; use the name or address of one server")
    return str(address)


def display(name: str) -> str:
    """A canonical name for people. Internationalized names are in both forms: 'xn--bcher-kva.example (bücher.example)'."""
    if "xn--" not in name:
        return name
    return f"{name} ({'.'.join(idna.ulabel(label) if label.startswith('xn--') else label for label in name.split('.'))})"


def first_label(name: str) -> str:
    return name.partition(".")[0]


def check_host_pattern(text: str) -> str:
    """A wildcard pattern of URL Rewrite for the Host header, unchanged: letters, digits, and - . * ? : only."""
    if not text:
        raise ValueError("must not be empty; use a pattern such as meet.*")
    if len(text) > MAX_PATTERN:
        raise ValueError(f"the pattern has {len(text)} characters; the maximum is {MAX_PATTERN}")
    if not _PATTERN.fullmatch(text):
        raise ValueError(f"{quoted(text)} is not a valid host pattern; use letters, digits, '-', '.', ':' and the wildcards '*' and '?'")
    return text


def pattern_matches(pattern: str, host: str) -> bool:
    """True where the wildcard `pattern` of URL Rewrite matches the whole Host header `host`, in upper or lower case.

    '*' matches any number of characters, '?' exactly one. Source: URL Rewrite Module 2.0 Configuration Reference.
    """
    # Not a regular expression: one with several '*' backtracks for minutes on a hostile pattern.
    pattern, given = pattern.lower(), host.lower()
    if not given.startswith(re.split(r"[*?]", pattern, maxsplit=1)[0]):
        return False
    matched = [True] + [False] * len(given)  # matched[n]: the pattern so far matches the first n characters
    for sign in pattern:
        if sign == "*":
            matched = list(accumulate(matched, or_))
        else:
            matched = [False, *(before and sign in ("?", character) for before, character in zip(matched, given, strict=False))]
    return matched[-1]


def _refuse_other_things(text: str) -> None:
    """Raise the reason that applies to names and addresses alike, the most helpful one first."""
    if not text:
        raise ValueError("must not be empty")
    if len(text) > MAX_NAME + 1:
        # Checked first, because IDNA is slow with long labels.
        raise ValueError(f"{quoted(text)} has {len(text)} characters; the maximum is {MAX_NAME}")
    for character in text:
        if unicodedata.category(character) == "Cc":
            raise ValueError(f"{quoted(text)} contains the control character U+{ord(character):04X}")
    if any(character.isspace() for character in text):
        raise ValueError(f"{quoted(text)} contains a space")
    if "/" in text or "\\" in text:
        raise ValueError(f"{quoted(text)} is a URL or a path; use the host name only")
    if _HOST_AND_PORT.fullmatch(text):
        raise ValueError(f"{quoted(text)} includes a port; use the name or address only, ports have their own keys")
    if text.startswith("["):
        raise ValueError(f"{quoted(text)} has brackets; write an IPv6 address without them")
    if "%" in text:
        raise ValueError(f"{quoted(text)} contains '%'; zones and escapes are not supported")


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        pass
    if ":" in text:
        raise ValueError(f"{quoted(text)} is not a valid IPv6 address; use one such as 2001:db8::10")
    if text.rstrip(".").rpartition(".")[2].isdigit():
        # No top-level domain is a number (RFC 3696). Windows reads 10.1 as 10.0.0.1.
        raise ValueError(f"{quoted(text)} is not a valid name and not a complete IPv4 address; use one such as 192.0.2.10")
    return None


def _dns_name(text: str) -> str:
    labels = text.removesuffix(".").split(".")
    if not all(labels):
        raise ValueError(f"{quoted(text)} has an empty label; separate labels with single dots")
    name = ".".join(_label(label, text) for label in labels)
    if len(name) > MAX_NAME:
        raise ValueError(f"{quoted(text)} has {len(name)} characters; the maximum is {MAX_NAME}")
    return name


def _label(label: str, whole: str) -> str:
    if label.isascii():
        lower = label.lower()
        if not _LDH.fullmatch(lower):
            raise ValueError(f"{quoted(whole)} is not a valid host name; use letters, digits and hyphens inside the labels")
        if len(lower) > MAX_LABEL:
            raise ValueError(f"{quoted(whole)} has a label of {len(lower)} characters; the maximum is {MAX_LABEL}")
        if lower.startswith("xn--"):
            _unicode(lower, whole)
        return lower
    # U+212A KELVIN SIGN and U+0130 become ASCII letters in lower case: a different name from the one in the file.
    if any(not c.isascii() and any(low.isascii() for low in c.lower()) for c in label):
        raise ValueError(f"{quoted(whole)} contains a character that only looks like an ASCII letter; type the ASCII letter")
    lower = unicodedata.normalize("NFC", label.lower())
    scripts = _scripts(lower)
    if len(scripts) > 1 and not any(scripts <= allowed for allowed in _SCRIPT_SETS):
        mixed = " and ".join(sorted(script.capitalize() for script in scripts))
        alabel = _alabel(lower, whole)
        raise ValueError(
            f"{quoted(whole)} mixes {mixed} letters in one label, as look-alike names do; "
            f"if that is intended, write {alabel!r}, the A-label of {quoted(label)}"
        )
    return _alabel(lower, whole)


def _alabel(label: str, whole: str) -> str:
    try:
        alabel = idna.alabel(label).decode("ascii")
    except idna.IDNAError as error:
        if "too long" in str(error):
            raise ValueError(f"{quoted(whole)} has a label that is too long as an A-label; the maximum is {MAX_LABEL} characters") from None
        raise ValueError(
            f"{quoted(whole)} is not a valid internationalized name (IDNA2008); use letters, digits and hyphens inside the labels"
        ) from None
    return alabel


def _unicode(alabel: str, whole: str) -> str:
    try:
        return idna.ulabel(alabel)
    except idna.IDNAError:
        raise ValueError(f"{quoted(whole)} has a label that begins with xn-- but is not a valid A-label (IDNA2008)") from None


def _scripts(label: str) -> set[str]:
    """The scripts of the letters of `label`, by the first word of their Unicode names; ideographs of all kinds count as CJK."""
    words = {
        re.split("[ -]", unicodedata.name(c, "UNKNOWN"), maxsplit=1)[0] for c in label if unicodedata.category(c) in ("Ll", "Lo", "Lu")
    }
    return {"CJK" if word == "IDEOGRAPHIC" else word for word in words}
