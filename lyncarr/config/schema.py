"""The JSON Schema (2020-12) of the site file, for editors: made from the models of tables.py, so that it cannot tell another story.

It is wider than the loader: what several keys or files have to do with each other only `lyncarr check` knows.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeAlias

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from lyncarr.config.tables import Tables
from lyncarr.core.errors import SiteError
from lyncarr.core.files import not_written

DIALECT = "https://json-schema.org/draft/2020-12/schema"
TITLE = "Site file of lyncarr"

Schema: TypeAlias = dict[str, Any]


class _ForEditors(GenerateJsonSchema):
    """TOML has no null, and a title made of a key's name says nothing that the key does not."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def site_schema() -> Schema:
    """The schema as JSON-able data. A key's description is its "doc" of tables.py; its words for error messages stay out."""
    made = Tables.model_json_schema(schema_generator=_ForEditors)
    for table in (made, *made["$defs"].values()):
        del table["title"], table["description"]  # the class's name and docstring, which are for programmers
        for key in table["properties"].values():
            key["description"] = key.pop("doc")
            for word in ("each", "otherwise"):
                key.pop(word, None)
            if not isinstance(key.get("default"), (str, int)):
                key.pop("default", None)
    return {"$schema": DIALECT, "title": TITLE, **made}


def schema_text() -> str:
    """The schema in ASCII, so that no console or redirection can spoil it."""
    return json.dumps(site_schema(), indent=2) + "\n"


def write_schema(path: Path) -> None:
    """Write the schema to `path`, over an older one of ours.

    Raises SiteError (exit 65) where something else is there, or where it cannot be written.
    """
    try:
        if path.exists() and not _is_ours(path):
            raise SiteError(f"{path} is there already, is no schema of lyncarr and is left alone; name another file with --file.")
        path.write_text(schema_text(), encoding="ascii", newline="\n")
    except OSError as error:
        raise not_written(path, "--file", error) from None


def _is_ours(path: Path) -> bool:
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and found.get("title") == TITLE
