"""How a key of a table is declared, and how a check of a whole table names one of its keys."""

from __future__ import annotations

from typing import Any

from pydantic import Field
from pydantic_core import PydanticCustomError


def at(key: str, text: str) -> PydanticCustomError:
    """A problem that is found by looking at a whole table but belongs to one of its keys."""
    return PydanticCustomError("at", "{text}", {"at": key, "text": text})


def declare(default: Any = ..., *, expected: str, doc: str, otherwise: str = "", each: str = "", **more: Any) -> Any:
    """A key of a table. `more` are pydantic's own words for a field, such as `examples` or `max_length`.

    `expected` says what is expected of the value and `each` what of each item of a list, for error messages. `doc` says what the key
    does, in one or two sentences of markdown without links. `otherwise` says what takes the place of a key that is left out and has
    no `default`.
    """
    words = {"doc": doc, "otherwise": otherwise, "each": each}
    if "default_factory" not in more:
        more["default"] = default
    return Field(description=expected, json_schema_extra={name: text for name, text in words.items() if text}, **more)
