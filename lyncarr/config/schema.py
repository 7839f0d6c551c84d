"""The JSON Schema (2020-12) of the configuration file, for editors. It is made from the models of tables.py.

It accepts more than the loader: only `lyncarr check` checks relations between keys, and the files that the keys name.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeAlias

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from lyncarr.config.tables import Tables
from lyncarr.core.errors import SiteError
from lyncarr.core.files import FileError, read_file, write_over

DIALECT = "https://json-schema.org/draft/2020-12/schema"
TITLE = "lyncarr configuration file"
FORMER_TITLES = ("Site file of lyncarr",)

MAX_BYTES = 1024 * 1024

Schema: TypeAlias = dict[str, Any]


class _ForEditors(GenerateJsonSchema):
    """Without null, which TOML does not have, and without titles that only repeat the key."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def site_schema() -> Schema:
    """The schema as data for JSON. The description of a key is its `doc`; its texts for error messages are left out."""
    made = Tables.model_json_schema(schema_generator=_ForEditors)
    for table in (made, *made["$defs"].values()):
        del table["title"], table["description"]  # the name and the docstring of the class, which are for programmers
        for key in table["properties"].values():
            key["description"] = key.pop("doc")
            for word in ("each", "otherwise"):
                key.pop(word, None)
            if not isinstance(key.get("default"), (str, int)):
                key.pop("default", None)
    return {"$schema": DIALECT, "title": TITLE, **made}


def schema_text() -> str:
    """The schema in ASCII, because a console or a redirection may change other characters."""
    return json.dumps(site_schema(), indent=2) + "\n"


def write_schema(path: Path) -> None:
    """Write the schema to `path`, in place of an older one.

    Raises SiteError (exit 65) where another file is there, or where the schema cannot be written.
    """
    try:
        found = read_file(path, MAX_BYTES)
    except FileError as error:
        if error.reason != "does not exist":
            raise SiteError(f"{path} {error.reason}.", hint="Choose another file with --file FILE.", detail=error.detail) from None
    else:
        if not _is_ours(found):
            raise SiteError(
                f"{path} exists, is not a schema of lyncarr, and was not changed.", hint="Choose another file with --file FILE."
            )
    write_over(path, schema_text().encode("ascii"), "--file")


def _is_ours(data: bytes) -> bool:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and found.get("title") in (TITLE, *FORMER_TITLES)
