"""The kinds of values in the configuration file, as annotated types: the check of each, and what an editor's schema says of it.

Paths are relative to the configuration file and are kept absolute; pass `context={"folder": Path}` when validating.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, StrictInt, ValidationInfo, WithJsonSchema

from lyncarr.config.names import MAX_PATTERN, check_host_pattern, parse_fqdn, parse_server
from lyncarr.core.kinds import AuthMethod, TransportKind
from lyncarr.core.text import quoted, swallowed_backslash
from lyncarr.secrets.sources import REFERENCE, check_reference

Role: TypeAlias = Literal["url_rewrite", "web_farm", "arr", "external_cache"]
ROLES: tuple[Role, ...] = get_args(Role)
"""In the order of installation: the package of ARR requires the two before it."""
PRODUCTS: dict[str, str] = {
    "url_rewrite": "URL Rewrite",
    "web_farm": "Web Farm Framework",
    "arr": "Application Request Routing",
    "external_cache": "External Cache",
}
"""Key in [installers] -> the product's name, in the order of installation."""

_HEX64 = re.compile(r"[0-9A-Fa-f]{64}")
# Both are put in quotes on a command line of the target host: no quote, and no backslash at the end.
_FEED_URL = re.compile(r"[!#-;=?-\[\]-~]+")
_FEED_FILE = re.compile(r"[A-Za-z]:[\\/][^\"<>|?*:]+\.xml", re.IGNORECASE)

_BINDING = re.compile(r"(?P<address>\*|[0-9.]+|\[[0-9A-Fa-f:.]+\]):(?P<port>[1-9][0-9]{0,4}):(?P<host>.*)")


def _text(value: str) -> str:
    if not value:
        raise ValueError("must not be empty")
    if not value.isprintable():
        reason = swallowed_backslash(value)
        raise ValueError(f"{quoted(value)} contains a character that cannot be displayed; {reason or 'use plain text'}")
    return value


def _path(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, str):
        return value
    folder: Path = (info.context or {})["folder"]
    return folder / _text(value)


def _path_or_url(value: Any, info: ValidationInfo) -> Path | str:
    if not isinstance(value, str):
        raise ValueError("not text; use a file path or an https URL, in quotes")
    if "://" not in value:
        path: Path = _path(value, info)
        return path
    return _https(value)


def _https(value: str) -> str:
    # A URL may contain a token or a password, so no message repeats it.
    _text(value)
    try:
        parts = urlsplit(value)
        port_is_fine = parts.port is None or parts.port > 0
        parse_server(parts.hostname or "")
    except ValueError:
        raise ValueError("not a valid URL; use one such as https://files.contoso.com/arr.msi") from None
    if parts.scheme.lower() != "https" or not port_is_fine:
        raise ValueError("not an https URL; use https, so that the file cannot be replaced in transit")
    if parts.username is not None or parts.password is not None:
        raise ValueError("the URL contains a user name or a password; use a URL without them, or a file")
    return value


def _feed(value: str) -> str:
    if "://" in value:
        _https(value)
        if not _FEED_URL.fullmatch(value):
            raise ValueError("the URL contains a character that must be percent-encoded, such as %20 for a space")
    elif not _FEED_FILE.fullmatch(_text(value)):
        raise ValueError(
            r"not a product list that the target host can open; use an https URL, or a file on a disk of that host, "
            r"such as 'C:\Program Files\webpi\feeds\latest\webproductlist.xml'"
        )
    return value


def _sha256(value: str) -> str:
    if not _HEX64.fullmatch(value):
        raise ValueError("not a valid SHA-256; use 64 hexadecimal digits")
    return value.upper()


def _binding(value: str) -> str:
    parts = _BINDING.fullmatch(value)
    if parts is None or int(parts["port"]) > 65535:
        raise ValueError(f'{quoted(value)} is not a valid binding; use address:port:, such as "*:443:"')
    if parts["host"]:
        raise ValueError(f'{quoted(value)} would serve one host name only; leave the host name out, as in "*:443:"')
    if parts["address"] != "*":
        parse_server(parts["address"].strip("[]"))
    return value


def check_tls(text: str) -> str:
    """The canonical form of a `tls` value: a pin is in upper case without colons. Raises ValueError with the reason."""
    if text in ("verify", "off"):
        return text
    mode, _, rest = text.partition(":")
    if mode == "ca" and rest:
        _text(rest)
        return text
    if mode == "pin":
        algorithm, _, digits = rest.partition(":")
        digits = digits.replace(":", "").upper()
        if algorithm != "sha256" or not _HEX64.fullmatch(digits):
            raise ValueError("not a valid pin; use pin:sha256: followed by the 64 hexadecimal digits of the certificate's SHA-256")
        return f"pin:sha256:{digits}"
    raise ValueError(f"invalid value {quoted(text)}; use verify, ca:FILE, pin:sha256:HEX or off")


# The JSON schemas are for editors: each may accept more than the validator beside it, and never less.
PlainText = Annotated[str, AfterValidator(_text), WithJsonSchema({"type": "string", "minLength": 1})]
SitePath = Annotated[Path, BeforeValidator(_path), WithJsonSchema({"type": "string", "format": "path", "minLength": 1})]
PathOrUrl = Annotated[
    Path | str,
    PlainValidator(_path_or_url),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "format": "path", "pattern": r"^(?!.*://).+$"},
                {"type": "string", "format": "uri", "pattern": r"^[Hh][Tt][Tt][Pp][Ss]://.+$"},
            ]
        }
    ),
]
Fqdn = Annotated[str, AfterValidator(parse_fqdn), WithJsonSchema({"type": "string", "pattern": r"^[^\s:/\\*?%]+\.[^\s:/\\*?%]+$"})]
Server = Annotated[str, AfterValidator(parse_server), WithJsonSchema({"type": "string", "pattern": r"^[^\s/\\*?%\[\]]+$"})]
Reference = Annotated[str, AfterValidator(check_reference), WithJsonSchema({"type": "string", "pattern": REFERENCE})]
Feed = Annotated[str, AfterValidator(_feed), WithJsonSchema({"type": "string", "minLength": 1})]
Sha256 = Annotated[str, AfterValidator(_sha256), WithJsonSchema({"type": "string", "pattern": "^[0-9A-Fa-f]{64}$"})]
Auth = Annotated[AuthMethod, WithJsonSchema({"type": "string", "enum": [*AuthMethod]})]
Transport = Annotated[TransportKind, WithJsonSchema({"type": "string", "enum": [*TransportKind]})]
Tls = Annotated[
    str,
    AfterValidator(check_tls),
    WithJsonSchema({"type": "string", "pattern": "^(verify|off|ca:.+|pin:sha256:[0-9A-Fa-f:]{64,})$"}),
]
HostPattern = Annotated[
    str,
    AfterValidator(check_host_pattern),
    WithJsonSchema({"type": "string", "pattern": "^[A-Za-z0-9.*?:-]+$", "maxLength": MAX_PATTERN}),
]
Binding = Annotated[
    str,
    AfterValidator(_binding),
    WithJsonSchema({"type": "string", "pattern": r"^(\*|[0-9.]+|\[[0-9A-Fa-f:.]+\]):[1-9][0-9]{0,4}:$"}),
]
Port = Annotated[StrictInt, Field(ge=1, le=65535, description="a port number from 1 to 65535")]
