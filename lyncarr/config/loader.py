"""From a file to a Site. Everything that is wrong with the text or its values is found here, without looking at other files."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from lyncarr.config.farms import complete
from lyncarr.config.names import display, parse_fqdn, parse_server
from lyncarr.config.problems import Problem, SiteProblems
from lyncarr.config.site import Hosts, Site
from lyncarr.config.tables import HostTables, Tables
from lyncarr.core.errors import SiteError
from lyncarr.core.text import quoted

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 64

Place: TypeAlias = tuple[int | str, ...]
Read = TypeVar("Read", bound=HostTables)

_SECRET_KEYS = frozenset({"password"})
_SWITCHES = frozenset({"yes", "no", "on", "off", "true", "false"})
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_LINE = re.compile(r"\(at line (\d+), column \d+\)")
_TWICE = re.compile(r"Cannot declare \((?P<key>.*)\) twice")
# Where it stands is said in other words, and a character that the parser stumbled over may be one of a secret.
_NOT_TO_SHOW = re.compile(r"\((?:at line \d+, column \d+|at end of document)\)|(?<=haracter) '.*'", re.DOTALL)
_BARE_WORD = re.compile(r"\s*(?P<key>[A-Za-z0-9_.\"' -]+?)\s*=\s*(?P<word>[A-Za-z][^\s#]*)")
_DOTTED = re.compile(r"""(?:(?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')[ \t]*\.[ \t]*)+""")


def load_site(path: Path) -> Site:
    """Read, check and complete the site file at `path`.

    Raises SiteError (exit 65) with one line for each problem: file, key, what is wrong, what was expected. Values of secrets
    and of other keys that may hold one are never part of a message.
    """
    tables = _tables(path, Tables)
    problems = _unnamed_hosts(tables)
    farms = complete(tables.farms, tables.website.port)
    problems += farms.problems
    if problems:
        raise SiteProblems(path, problems)
    return Site(path, tables.hosts, tables.certificates, tables.website, tables.installers, farms.farms, farms.warnings, farms.notes)


def load_hosts(path: Path) -> Hosts:
    """The hosts of a site file, of which nothing else is looked at. Raises SiteError (exit 65) as load_site does."""
    tables = _tables(path, HostTables)
    if problems := _unnamed_hosts(tables):
        raise SiteProblems(path, problems)
    return Hosts(path, tables.hosts)


def _tables(path: Path, model: type[Read]) -> Read:
    """What `model` makes of the file."""
    data = _parse(path, _read(path))
    try:
        return model.model_validate(data, context={"folder": path.absolute().parent})
    except ValidationError as error:
        errors = error.errors(include_url=False)
        meant = {_meant(details["loc"]) for details in errors if details["type"] == "extra_forbidden"}
        problems = [replace(_problem(details), farm=_farm(details["loc"], data)) for details in errors if not _follows(details, meant)]
        raise SiteProblems(path, problems) from None


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise SiteError(f"{path}: there is no such site file; lyncarr init DOMAIN writes one, --site FILE names another.") from None
    except OSError as error:
        raise SiteError(f"{path}: the site file cannot be read; expected a file that you may read.", detail=str(error)) from None
    if len(raw) > MAX_BYTES:
        raise SiteError(f"{path}: the site file is longer than 1 MB; expected a TOML file, is this the right one?")
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in raw[:2]:
        raise SiteError(f"{path}: the site file is UTF-16; expected UTF-8, save it again with that encoding.")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise SiteError(f"{path}: line {line} is not UTF-8; expected that encoding, save the file again with it.") from None


def _parse(path: Path, text: str) -> dict[str, Any]:
    if any(run[0].count(".") > MAX_DEPTH for run in _DOTTED.finditer(text)):
        # tomllib needs memory by the square of a dotted key's length: 400 KB of dots are more than a machine has.
        raise SiteError(f"{path}: a key has more than {MAX_DEPTH} parts; expected a site file as lyncarr init writes it.")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise SiteError(f"{path}: lists or tables are nested too deeply; expected a site file as lyncarr init writes it.") from None
    except ValueError as error:  # TOMLDecodeError is one; so is a number too long for Python
        raise SiteError(f"{path}: {_explained(str(error), text)}") from None


def _explained(message: str, text: str) -> str:
    """A TOML error in our words. The line's value is never shown: it may be a password without quotes."""
    found = _LINE.search(message)
    number = int(found[1]) if found else text.rstrip().count("\n") + 1
    line = text.split("\n")[number - 1]
    where = f"line {number}: "
    if twice := _TWICE.search(message):
        key = ".".join(part.strip(" '\"") for part in twice["key"].split(",") if part.strip())
        hint = "[[farms]] in two pairs of brackets for each farm" if key == "farms" else "each table once"
        return f"{where}the table [{key}] stands in the file twice; expected {hint}."
    if "Cannot overwrite a value" in message:
        key = line.partition("=")[0].strip(" \t[]")
        return f"{where}{quoted(key)} stands in its table twice, or is a value and a table; expected each key once."
    if message.startswith("Invalid value") and (word := _BARE_WORD.match(line)):
        return f"{where}the value of {word['key']} has no quotes; {_expected_of(word['key'], word['word'])}"
    if "Exceeds the limit" in message:
        return "a number has thousands of digits; expected one within its range."
    if "Unescaped" in message or "Invalid hex value" in message:
        return f"{where}a backslash in double quotes begins an escape; expected single quotes around it, or / in paths."
    reason = _NOT_TO_SHOW.sub("", message).strip()
    if not found:
        return f"the file ends within something ({reason}); expected every string, list and table to be closed, and key = value."
    return f"{where}this is not TOML ({reason}); expected key = value, [table] or a comment."


def _expected_of(key: str, word: str) -> str:
    if key.rsplit(".", 1)[-1].strip() not in _SECRET_KEYS and word.lower() in _SWITCHES:
        return f"expected {'true' if word.lower() in ('yes', 'on', 'true') else 'false'} for a switch, or text in quotes."
    return "expected text in quotes."


def _unnamed_hosts(tables: HostTables) -> list[Problem]:
    """Hosts without address, whose names are none either."""
    problems = []
    for name, host in tables.hosts.items():
        if host.address is None:
            try:
                parse_server(name)
            except ValueError as error:
                problems.append(
                    Problem(_key(("hosts", name, "address")), f"is missing, and the table's name cannot take its place: {error}")
                )
    return problems


def _problem(details: Mapping[str, Any]) -> Problem:
    """One of pydantic's errors in our words."""
    place: Place = details["loc"]
    kind, value, context = details["type"], details["input"], details.get("ctx", {})
    if kind == "at":
        return Problem(_key((*place, *_inner(context["at"]))), context["text"])
    if kind == "value_error":
        return Problem(_key(place), str(context["error"]))
    if kind == "extra_forbidden":
        return Problem(_key(place), _unknown_key(place, value))
    expected = _expectation(place)
    if kind == "missing":
        return Problem(_key(place), f"is missing; expected {expected}")
    if place[:1] == ("farms",) and len(place) == 1 and isinstance(value, dict):
        return Problem("farms", "is one table, [farms]; expected [[farms]] in two pairs of brackets for each farm")
    if kind in ("literal_error", "enum") and isinstance(value, str):
        near = difflib.get_close_matches(value, expected.replace(" or ", ", ").split(", "), 1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        return Problem(_key(place), f"{quoted(value)} is none of the words it may be; expected {expected}{hint}")
    return Problem(_key(place), f"{_what(place, value)}; expected {expected}")


def _farm(place: Place, data: Mapping[str, Any]) -> str:
    """The published name of the farm of `place`, if it has a good one; empty elsewhere."""
    if place[0] != "farms" or len(place) == 1:
        return ""
    table = data["farms"][place[1]]
    try:
        return display(parse_fqdn(table["name"]))
    except (TypeError, KeyError, ValueError):
        return ""


def _follows(details: Mapping[str, Any], meant: Set[Place | None]) -> bool:
    """True for what other problems brought about: a list too short because of its items, a key missing that is one of those `meant`."""
    return (details["type"] == "too_short" and bool(details["input"])) or (details["type"] == "missing" and details["loc"] in meant)


def _inner(key: str) -> Place:
    return (int(key[1:-1]),) if key.startswith("[") else tuple(key.split("."))


def _what(place: Place, value: object) -> str:
    """The kind of TOML value that was found; the value itself only where it is a number or a switch and cannot be a secret."""
    secret = any(part in _SECRET_KEYS for part in place)
    if isinstance(value, bool):
        return f"is the switch {str(value).lower()}"
    if isinstance(value, int) and not secret:
        return f"is {quoted(str(value)).strip(chr(39))}" if abs(value) < 10**30 else "is a very long number"
    if isinstance(value, float) and not secret:
        return f"is {value}, a number with a fraction"
    if isinstance(value, (int, float)):
        return "is a number"
    if isinstance(value, str):
        return "is text"
    if isinstance(value, (list, tuple)):
        return "is an empty list" if not value else "is a list"
    if isinstance(value, dict):
        return "is a table"
    return "is a date or a time"


def _key(place: Place) -> str:
    """`("farms", 1, "servers", 0)` as a person writes it, 'farms[1].servers[0]'; names with dots or spaces in quotes."""
    text = ""
    for part in place:
        if isinstance(part, int):
            text += f"[{part}]"
            continue
        name = part if _BARE_KEY.fullmatch(part) else f'"{quoted(part)[1:-1]}"'
        text += f".{name}" if text else name
    return text


def _model_at(place: Sequence[int | str]) -> type[BaseModel] | None:
    """The table class that stands at `place` of the file."""
    model: Any = Tables
    for part in place:
        if isinstance(model, type) and issubclass(model, BaseModel):
            field = model.model_fields.get(str(part))
            model = None if field is None else field.annotation
        else:
            # An item of tuple[X, ...] or of dict[str, X].
            inner = [each for each in get_args(model) if isinstance(each, type) and issubclass(each, BaseModel)]
            model = inner[0] if inner else None
    return model if isinstance(model, type) and issubclass(model, BaseModel) else None


def _expectation(place: Place) -> str:
    """What the nearest field with a description says is expected at `place`."""
    for length in range(len(place), 0, -1):
        model = _model_at(place[: length - 1])
        field = model.model_fields.get(str(place[length - 1])) if model else None
        if field is None:
            continue
        extra = field.json_schema_extra
        if length < len(place) and isinstance(extra, dict) and "each" in extra:
            return str(extra["each"])
        if field.description:
            return field.description
    return "a table"


def _meant(place: Place) -> Place | None:
    """The place of the key that the unknown one at `place` may have been meant for."""
    *parent, name = place
    model = _model_at(parent)
    near = difflib.get_close_matches(str(name).lower(), sorted(model.model_fields), 1) if model else []
    return (*parent, near[0]) if near else None


def _unknown_key(place: Place, value: object) -> str:
    if place[0] == "hosts" and len(place) == 3 and isinstance(value, dict):
        return _dotted_host(place, value)
    if meant := _meant(place):
        return f"is no key of this table; did you mean {meant[-1]}?"
    model = _model_at(place[:-1])
    return f"is no key of this table; expected one of {', '.join(sorted(model.model_fields) if model else [])}"


def _dotted_host(place: Place, value: dict[str, Any]) -> str:
    parts = [str(part) for part in place[1:]]
    inner: Any = value
    while isinstance(inner, dict) and inner and isinstance(first := next(iter(inner.values())), dict):
        parts.append(next(iter(inner)))
        inner = first
    name = ".".join(parts)
    return f'a dot divides tables in TOML; expected [hosts."{name}"], with the name in quotes'
