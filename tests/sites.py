"""Sites for tests, made the way people make them: from a site file."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from lyncarr.config.loader import load_site
from lyncarr.config.schema import site_schema


def site_of(farms: list[dict[str, Any]], folder: Path, *, more: str = "") -> Any:
    """The site of `farms` (tables of the site file) and `more` TOML text, loaded from a file in `folder`.

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


def underlined(text: str) -> list[str]:
    """What an editor with the schema underlines in a site file: 'farms.0.timeout_s: -1 is less than the minimum of 1'."""
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
