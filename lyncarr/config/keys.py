"""How a key of a table is declared, and how a check of a whole table names one of its keys."""

from __future__ import annotations

from typing import Any

from pydantic import Field
from pydantic_core import PydanticCustomError


def at(*place: int | str, text: str) -> PydanticCustomError:
    """The error of a check that reads a whole table or list, for the key or item at `place` in it.

    `text` says what is wrong and what to use instead, without a full stop.
    """
    return PydanticCustomError("at", "{text}", {"at": place, "text": text})


def declare(default: Any = ..., *, expected: str, doc: str, otherwise: str = "", each: str = "", **more: Any) -> Any:
    """A key of a table. `more` are arguments of pydantic's Field, such as `examples` or `max_length`.

    `expected` describes a valid value and `each` a valid item of a list, for error messages: "a port number from 1 to 65535". `doc`
    says what the key does, in one or two sentences of markdown without links. `otherwise` describes the default of a key without
    `default`.
    """
    texts = {"doc": doc, "otherwise": otherwise, "each": each}
    if "default_factory" not in more:
        more["default"] = default
    return Field(description=expected, json_schema_extra={name: text for name, text in texts.items() if text}, **more)
