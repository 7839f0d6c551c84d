"""Names and addresses as people write them, and the one form in which the rest of the program keeps them.

Every function takes text and returns its canonical form, or raises ValueError whose text is the reason, fit for a person.
The canonical form of a DNS name is its A-label (RFC 5891), lower case, without the trailing dot.
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
"""Reserved by RFC 2606, so no real server is lost by refusing it; `lyncarr init` writes its placeholders under it."""

_LDH = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
_PATTERN = re.compile(r"[A-Za-z0-9.*?:-]+")
_HOST_AND_PORT = re.compile(r"[^:\[\]]+:\d*|\[.*\]:\d*")

# One writing system may need several Unicode scripts (UTS 39, section 5.1).
_SCRIPT_SETS = (
    frozenset({"CJK", "HIRAGANA", "KATAKANA"}),
    frozenset({"CJK", "HANGUL"}),
    frozenset({"CJK", "BOPOMOFO"}),
)


def parse_fqdn(text: str) -> str:
    """The A-label form of a fully qualified DNS name such as 'meet.contoso.com' or 'bücher.example'."""
    _refuse_other_things(text)
    if "*" in text or "?" in text:
        raise ValueError(f"{quoted(text)} is a wildcard; expected one full name, such as meet.contoso.com")
    if _address(text) is not None:
        raise ValueError(f"{quoted(text)} is an address; expected a DNS name, such as meet.contoso.com")
    name = _dns_name(text)
    if "." not in name:
        raise ValueError(f"{quoted(text)} has a single label; expected a full name with its domain, such as meet.contoso.com")
    return name


def parse_server(text: str) -> str:
    """The canonical form of a machine's name or address: A-labels, dotted IPv4, or compressed IPv6 without brackets.

    A single label is taken: a proxy in a perimeter network often finds its pool by the hosts file alone.
    """
    _refuse_other_things(text)
    address = _address(text)
    if address is None:
        if "*" in text or "?" in text:
            raise ValueError(f"{quoted(text)} is a wildcard; expected the name or address of one server")
        name = _dns_name(text)
        if name.endswith(PLACEHOLDER_SUFFIX):
            raise ValueError(f"{quoted(name)} is a placeholder, as lyncarr init writes it; put the real name or address there")
        return name
    if address.is_unspecified or address.is_multicast or address == ipaddress.IPv4Address("255.255.255.255"):
        raise ValueError(f"{quoted(text)} is no address of one machine; expected the name or address of one server")
    return str(address)


def display(name: str) -> str:
    """A canonical name for people: an IDN in both forms, 'xn--bcher-kva.example (bücher.example)'."""
    if "xn--" not in name:
        return name
    return f"{name} ({'.'.join(idna.ulabel(label) if label.startswith('xn--') else label for label in name.split('.'))})"


def first_label(name: str) -> str:
    return name.partition(".")[0]


def check_host_pattern(text: str) -> str:
    """A wildcard pattern of URL Rewrite for the Host header: letters, digits, - . * ? and : only. Returned as it is."""
    if not text:
        raise ValueError("is empty; expected a pattern such as meet.*")
    if len(text) > MAX_PATTERN:
        raise ValueError(f"is {len(text)} characters long; expected at most {MAX_PATTERN}")
    if not _PATTERN.fullmatch(text):
        raise ValueError(f"{quoted(text)} is no host pattern; expected letters, digits, '-', '.', ':' and the wildcards '*' and '?'")
    return text


def pattern_matches(pattern: str, host: str) -> bool:
    """True where URL Rewrite's wildcard `pattern` takes the Host header `host`: anchored at both ends, letter case ignored.

    '*' stands for any number of characters, '?' for exactly one (URL Rewrite Module 2.0 Configuration Reference).
    """
    # Not a regular expression: several '*' in one backtrack for minutes on a hostile pattern.
    pattern, given = pattern.lower(), host.lower()
    if not given.startswith(re.split(r"[*?]", pattern, maxsplit=1)[0]):
        return False
    taken = [True] + [False] * len(given)  # taken[n]: the pattern so far takes the first n characters
    for sign in pattern:
        if sign == "*":
            taken = list(accumulate(taken, or_))
        else:
            taken = [False, *(before and sign in ("?", character) for before, character in zip(taken, given, strict=False))]
    return taken[-1]


def _refuse_other_things(text: str) -> None:
    """Reasons that hold for names and addresses alike, the most telling first."""
    if not text:
        raise ValueError("is empty; expected a name")
    if len(text) > MAX_NAME + 1:
        # First of all, because IDNA takes its time over long labels.
        raise ValueError(f"{quoted(text)} is {len(text)} characters long; expected at most {MAX_NAME}")
    for character in text:
        if unicodedata.category(character) == "Cc":
            raise ValueError(f"{quoted(text)} holds the control character U+{ord(character):04X}; expected a plain name")
    if any(character.isspace() for character in text):
        raise ValueError(f"{quoted(text)} holds a space; expected a plain name")
    if "/" in text or "\\" in text:
        raise ValueError(f"{quoted(text)} is a URL or a path; expected the host name alone")
    if _HOST_AND_PORT.fullmatch(text):
        raise ValueError(f"{quoted(text)} has a port; expected the host alone, ports have keys of their own")
    if text.startswith("["):
        raise ValueError(f"{quoted(text)} has brackets; expected an IPv6 address without them")
    if "%" in text:
        raise ValueError(f"{quoted(text)} has a zone or an escape; expected a plain name or address")


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        pass
    if ":" in text:
        raise ValueError(f"{quoted(text)} is no IPv6 address; expected one such as 2001:db8::10")
    if text.rstrip(".").rpartition(".")[2].isdigit():
        # No top-level domain is a number (RFC 3696), and Windows reads 10.1 as 10.0.0.1.
        raise ValueError(f"{quoted(text)} is neither a name nor a whole IPv4 address; expected one such as 192.0.2.10")
    return None


def _dns_name(text: str) -> str:
    labels = text.removesuffix(".").split(".")
    if not all(labels):
        raise ValueError(f"{quoted(text)} has an empty label; expected labels divided by single dots")
    name = ".".join(_label(label, text) for label in labels)
    if len(name) > MAX_NAME:
        raise ValueError(f"{quoted(text)} is {len(name)} characters long; expected at most {MAX_NAME}")
    return name


def _label(label: str, whole: str) -> str:
    if label.isascii():
        lower = label.lower()
        if not _LDH.fullmatch(lower):
            raise ValueError(f"{quoted(whole)} is no host name; expected letters, digits and inner hyphens in each label")
        if len(lower) > MAX_LABEL:
            raise ValueError(f"{quoted(whole)} has a label of {len(lower)} characters; expected at most {MAX_LABEL}")
        if lower.startswith("xn--"):
            _unicode(lower, whole)
        return lower
    # U+212A KELVIN SIGN and U+0130 become ASCII in lower case: another name than the one that was written.
    if any(not c.isascii() and any(low.isascii() for low in c.lower()) for c in label):
        raise ValueError(f"{quoted(whole)} holds a character that only looks like an ASCII letter; expected the letter itself")
    lower = unicodedata.normalize("NFC", label.lower())
    scripts = _scripts(lower)
    if len(scripts) > 1 and not any(scripts <= allowed for allowed in _SCRIPT_SETS):
        mixed = " and ".join(sorted(script.capitalize() for script in scripts))
        alabel = _alabel(lower, whole)
        raise ValueError(
            f"{quoted(whole)} mixes {mixed} letters in one label, as look-alike names do; "
            f"where it is meant, expected its A-label, {alabel!r} for {quoted(label)}"
        )
    return _alabel(lower, whole)


def _alabel(label: str, whole: str) -> str:
    try:
        alabel = idna.alabel(label).decode("ascii")
    except idna.IDNAError as error:
        if "too long" in str(error):
            raise ValueError(f"{quoted(whole)} has a label that is too long as an A-label; expected at most {MAX_LABEL}") from None
        raise ValueError(f"{quoted(whole)} is no name that DNS can carry (IDNA2008); expected letters, digits and inner hyphens") from None
    return alabel


def _unicode(alabel: str, whole: str) -> str:
    try:
        return idna.ulabel(alabel)
    except idna.IDNAError:
        raise ValueError(f"{quoted(whole)} has a label that begins with xn-- but is no A-label (IDNA2008); expected a real one") from None


def _scripts(label: str) -> set[str]:
    """The scripts of the letters of `label`, by the first word of their Unicode names; ideographs of all kinds count as CJK."""
    words = {
        re.split("[ -]", unicodedata.name(c, "UNKNOWN"), maxsplit=1)[0] for c in label if unicodedata.category(c) in ("Ll", "Lo", "Lu")
    }
    return {"CJK" if word == "IDEOGRAPHIC" else word for word in words}
