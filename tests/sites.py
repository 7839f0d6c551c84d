"""Sites for tests, loaded from a configuration file as in real use."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from jsonschema import Draft202012Validator

from lyncarr.config.farms import complete
from lyncarr.config.loader import load_site
from lyncarr.config.schema import site_schema
from lyncarr.config.tables import FarmTable, Website


def site_of(farms: list[dict[str, Any]], folder: Path, *, more: str = "") -> Any:
    """The site of `farms` (tables of the configuration file) and `more` TOML text, loaded from a file in `folder`.

    What the loader takes, an editor must not underline: each such file is held against the schema too.
    """
    lines = [more]
    for farm in farms:
        lines.append("[[farms]]")
        lines += [f"{name} = {_toml(value)}" for name, value in farm.items()]
    text = "\n".join(lines) + "\n"
    path = folder / "lyncarr.toml"
    path.write_text(text, encoding="utf-8")
    site = load_site(path)
    assert underlined(text) == []
    return site


def full_site() -> Any:
    """A site with which each step desires every attribute that it can. It has only the members that the declarations read."""
    servers = ("fepool.contoso.local",)
    tables = (
        FarmTable(name="meet.contoso.com", servers=servers, http="redirect"),
        FarmTable(name="lyncdiscover.contoso.com", servers=servers, http="forward"),
    )
    authority = SimpleNamespace(label="Root (1234)", store="CA", thumbprint="AB" * 20)
    return SimpleNamespace(
        farms=complete(tables, 443).farms,
        website=Website(),
        roots=(authority,),
        public=SimpleNamespace(thumbprint="CD" * 20, intermediates=(authority,)),
        installers=(),
    )


def underlined(text: str) -> list[str]:
    """What an editor with the schema underlines in a configuration file: 'farms.0.timeout_s: -1 is less than the minimum of 1'."""
    found = _validator().iter_errors(tomllib.loads(text))
    return sorted(f"{'.'.join(map(str, error.absolute_path))}: {error.message}" for error in found)


@cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(site_schema())


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(one) for one in value) + "]"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(value)
