"""Sites for tests, made the way people make them: from a site file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lyncarr.config.loader import load_site


def site_of(farms: list[dict[str, Any]], folder: Path, *, more: str = "") -> Any:
    """The site of `farms` (tables of the site file) and `more` TOML text, loaded from a file in `folder`."""
    lines = [more]
    for farm in farms:
        lines.append("[[farms]]")
        lines += [f"{name} = {_toml(value)}" for name, value in farm.items()]
    path = folder / "lyncarr.toml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return load_site(path)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(one) for one in value) + "]"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(value)
