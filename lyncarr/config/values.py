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
from lyncarr.core.text import quoted
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
# Both stand between quotes on a command line of the host: no quote, and no backslash at the end.
_FEED_URL = re.compile(r"[!#-;=?-\[\]-~]+")
_FEED_FILE = re.compile(r"[A-Za-z]:[\\/][^\"<>|?*:]+\.xml", re.IGNORECASE)


def _text(value: str) -> str:
    if not value:
        raise ValueError("is empty; expected text")
    if not value.isprintable():
        raise ValueError(f"{quoted(value)} holds a character that cannot be shown; expected plain text")
    return value


def _path(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, str):
        return value
    folder: Path = (info.context or {})["folder"]
    return folder / _text(value)


def _path_or_url(value: Any, info: ValidationInfo) -> Path | str:
    if not isinstance(value, str):
        raise ValueError("is no text; expected a file, relative to the site file, or an https URL")
    if "://" not in value:
        path: Path = _path(value, info)
        return path
    return _https(value)


def _https(value: str) -> str:
    # A URL may hold a token or a password: none of it is repeated.
    _text(value)
    try:
        parts = urlsplit(value)
        port_is_fine = parts.port is None or parts.port > 0
        parse_server(parts.hostname or "")
    except ValueError:
        raise ValueError("is no URL that a host could fetch; expected one such as https://files.contoso.com/arr.msi") from None
    if parts.scheme.lower() != "https" or not port_is_fine:
        raise ValueError("is no https URL; expected https, so that the file cannot be exchanged on its way")
    if parts.username is not None or parts.password is not None:
        raise ValueError("is a URL with a user or password in it; expected one that needs none, or a file")
    return value


def _feed(value: str) -> str:
    if "://" in value:
        _https(value)
        if not _FEED_URL.fullmatch(value):
            raise ValueError("holds a character that no URL may hold as it is; expected it as %20 and the like")
    elif not _FEED_FILE.fullmatch(_text(value)):
        raise ValueError(
            r"is no product list that the host could open; expected an https URL, or a file on a disk of the host, "
            r"such as 'C:\Program Files\webpi\feeds\latest\webproductlist.xml'"
        )
    return value


def _sha256(value: str) -> str:
    if not _HEX64.fullmatch(value):
        raise ValueError("is no SHA-256; expected 64 hexadecimal digits")
    return value.upper()


def check_tls(text: str) -> str:
    """A `tls` value in its canonical form (a pin in upper hex without colons); ValueError with the reason else."""
    if text in ("verify", "off"):
        return text
    mode, _, rest = text.partition(":")
    if mode == "ca" and rest and rest.isprintable():
        return text
    if mode == "pin":
        algorithm, _, digits = rest.partition(":")
        digits = digits.replace(":", "").upper()
        if algorithm != "sha256" or not _HEX64.fullmatch(digits):
            raise ValueError("is no pin; expected pin:sha256: and the 64 hexadecimal digits of the certificate's SHA-256")
        return f"pin:sha256:{digits}"
    raise ValueError(f"{quoted(text)} is no way to trust a host; expected verify, ca:FILE, pin:sha256:HEX or off")


# The JSON schemas are for editors: they may be wider than the validators beside them, and never narrower.
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
Port = Annotated[StrictInt, Field(ge=1, le=65535, description="a port from 1 to 65535")]
