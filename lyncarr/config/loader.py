"""From a file to a Site. All errors of its text and its values are found here, without a look at other files."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence, Set
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from lyncarr.config.farms import complete
from lyncarr.config.lines import Place
from lyncarr.config.names import display, parse_fqdn, parse_server
from lyncarr.config.parse import parse, read_text
from lyncarr.config.problems import KeyProblem, about, in_file_order, key_at, located, site_error, written
from lyncarr.config.site import Hosts, Site
from lyncarr.config.tables import HostTables, Tables
from lyncarr.core.text import quoted

Read = TypeVar("Read", bound=HostTables)

_SECRET_KEYS = frozenset({"password"})


def load_site(path: Path) -> Site:
    """Read, check and complete the configuration file at `path`.

    Raises SiteError (exit 65) with all problems: each has file and line, the key, what is wrong and what is expected. Values of
    secrets, and of other keys that may hold one, are never part of a message.
    """
    text = read_text(path)
    tables = _tables(path, text, Tables)
    problems = _unnamed_hosts(tables)
    farms = complete(tables.farms, tables.website.port)
    problems += farms.problems
    if problems:
        raise site_error(path, text, in_file_order(text, problems))
    return Site(
        path,
        tables.hosts,
        tables.certificates,
        tables.website,
        tables.installers,
        farms.farms,
        tuple(map(str, located(path, text, farms.warnings))) if farms.warnings else (),
        farms.notes,
        text=text,
    )


def load_hosts(path: Path) -> Hosts:
    """The hosts of a configuration file, whose other tables are ignored. Raises SiteError (exit 65) as load_site does."""
    text = read_text(path)
    tables = _tables(path, text, HostTables)
    if problems := _unnamed_hosts(tables):
        raise site_error(path, text, problems)
    return Hosts(path, tables.hosts, text=text)


def _tables(path: Path, text: str, model: type[Read]) -> Read:
    """The tables of the file, as `model` has them."""
    data = parse(path, text)
    try:
        return model.model_validate(data, context={"folder": path.absolute().parent})
    except ValidationError as error:
        errors = error.errors(include_url=False)
        meant = {_meant(details["loc"]) for details in errors if details["type"] == "extra_forbidden"}
        problems = [_problem(details, _farm(details["loc"], data)) for details in errors if not _follows(details, meant)]
        raise site_error(path, text, in_file_order(text, problems)) from None


def _unnamed_hosts(tables: HostTables) -> list[KeyProblem]:
    """Hosts without `address` whose names are not addresses either."""
    problems = []
    for name, host in tables.hosts.items():
        if host.address is None:
            try:
                parse_server(name)
            except ValueError as error:
                place = ("hosts", name, "address")
                problems.append(about(place, f"missing, and the name of the table cannot be used as the address: {error}"))
    return problems


def _problem(details: Mapping[str, Any], farm: str) -> KeyProblem:
    """One of pydantic's errors in plain words."""
    place: Place = details["loc"]
    kind, value, context = details["type"], details["input"], details.get("ctx", {})
    if kind == "at":
        return about((*place, *context["at"]), context["text"], farm=farm)
    if kind == "value_error":
        return about(place, str(context["error"]), farm=farm)
    if kind == "extra_forbidden":
        return _unknown_key(place, value, farm)
    expected = _expectation(place)
    if kind in ("literal_error", "enum") and isinstance(value, str):
        return about(place, f"invalid value {quoted(value)}; use {expected}", farm=farm)
    if kind == "missing":
        found = "is missing"
    elif place == ("farms",) and isinstance(value, dict):
        found, expected = "is written as one table, [farms]", "[[farms]] in two pairs of brackets for each farm"
    else:
        found = _kind_of(place, value)
    return KeyProblem(place, f"{key_at(place, farm)} {found}; expected {expected}.")


def _farm(place: Place, data: Mapping[str, Any]) -> str:
    """The published name of the farm that `place` is in, if the file has a valid one; else empty."""
    if place[0] != "farms" or len(place) == 1:
        return ""
    table = data["farms"][place[1]]
    try:
        return display(parse_fqdn(table["name"]))
    except (TypeError, KeyError, ValueError):
        return ""


def _follows(details: Mapping[str, Any], meant: Set[Place | None]) -> bool:
    """True for the consequence of another problem.

    A list is too short because of an invalid item, or a missing key is one of those `meant` by a misspelt key.
    """
    return (details["type"] == "too_short" and bool(details["input"])) or (details["type"] == "missing" and details["loc"] in meant)


def _kind_of(place: Place, value: object) -> str:
    """The kind of value that was found. The value itself only where it is a number, and not where a secret belongs."""
    secret = any(part in _SECRET_KEYS for part in place)
    if isinstance(value, bool):
        return "is a boolean"
    if isinstance(value, int) and not secret:
        return f"is {value}" if abs(value) < 10**30 else "is a number with more than 30 digits"
    if isinstance(value, float) and not secret:
        return f"is {value}, not a whole number"
    if isinstance(value, (int, float)):
        return "is a number"
    if isinstance(value, str):
        return "is text"
    if isinstance(value, (list, tuple)):
        return "is an empty list" if not value else "is a list"
    if isinstance(value, dict):
        return "is a table"
    return "is a date or a time"


def _model_at(place: Sequence[int | str]) -> type[BaseModel] | None:
    """The class of the table at `place` of the file."""
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
    """What is expected at `place`: in the words of the nearest key that is declared."""
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
    """The place of the key that the unknown key at `place` may be meant for."""
    *parent, name = place
    model = _model_at(parent)
    near = _nearest_word(str(name).lower(), tuple(sorted(model.model_fields))) if model else None
    return (*parent, near) if near else None


@lru_cache(maxsize=4096)
def _nearest_word(word: str, known: tuple[str, ...]) -> str | None:
    longest = max(map(len, known))
    # A word that is twice as long is not similar, and takes time.
    near = difflib.get_close_matches(word, known, 1) if len(word) <= 2 * longest else []
    return near[0] if near else None


def _unknown_key(place: Place, value: object, farm: str) -> KeyProblem:
    if place[0] == "hosts" and len(place) == 3 and isinstance(value, dict):
        return _dotted_host(place, value)
    unknown = f"unknown key {key_at(place, farm)}"
    if meant := _meant(place):
        return KeyProblem(place, f"{unknown}; did you mean `{meant[-1]}`?")
    model = _model_at(place[:-1])
    return KeyProblem(place, f"{unknown}; known keys: {', '.join(sorted(model.model_fields) if model else [])}.")


def _dotted_host(place: Place, value: dict[str, Any]) -> KeyProblem:
    parts = [str(part) for part in place[1:]]
    inner: Any = value
    while isinstance(inner, dict) and inner and isinstance(first := next(iter(inner.values())), dict):
        parts.append(next(iter(inner)))
        inner = first
    return about(place, f"a dot separates tables in TOML; put the name in quotes: [{written(('hosts', '.'.join(parts)))}]")
