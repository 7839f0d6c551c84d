"""Where a secret comes from: `prompt`, `env:NAME` or `file:PATH`. A secret itself never stands in a site file or on a command line."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from pathlib import Path

from lyncarr.core.errors import ConfigurationError
from lyncarr.core.model import Secret

EXPECTED = "expected prompt, env:NAME or file:PATH"
REFERENCE = "^(prompt|env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$"
"""The form of a reference for the JSON schema; what counts is check_reference()."""
MAX_BYTES = 64 * 1024

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_READABLE_BY_OTHERS = stat.S_IRGRP | stat.S_IROTH


def check_reference(text: str) -> str:
    """`text` where it is a well-formed reference; else ValueError. What was written is never repeated: it may be a password."""
    scheme, colon, rest = text.partition(":")
    if text == "prompt":
        return text
    if colon and scheme == "env":
        if not _NAME.fullmatch(rest):
            raise ValueError(
                "env: is not followed by the name of a variable; expected letters, digits and underscores, as in env:RP01_PASSWORD"
            )
        return text
    if colon and scheme == "file":
        if not rest or not rest.isprintable():
            raise ValueError("file: is not followed by a path; expected one relative to the site file, as in file:rp01.password")
        return text
    raise ValueError(f"is no reference to a secret (what was written is not shown, and must not stand here); {EXPECTED}")


def resolve(reference: str, *, base: Path, ask: Callable[[str], str] | None, what: str = "the password") -> Secret:
    """The secret behind `reference`. Relative paths start at `base`; `ask` shows a question on a terminal, None without one.

    Raises ConfigurationError (exit 78) where there is no secret to be had, or where others could have read it.
    """
    try:
        check_reference(reference)
    except ValueError as error:
        raise ConfigurationError(f"The reference to {what} cannot be used: {error}.") from None
    scheme, _, rest = reference.partition(":")
    if scheme == "prompt":
        value = _prompted(ask, what)
    elif scheme == "env":
        value = _from_environment(rest, what)
    else:
        value = _from_file(base / rest, what)
    if "\0" in value:
        raise ConfigurationError(f"The value of {reference} holds a NUL character, which no password can; write {what} again.")
    return Secret(value)


def _prompted(ask: Callable[[str], str] | None, what: str) -> str:
    if ask is None:
        raise ConfigurationError(f"There is no terminal to ask for {what}; take it from env:NAME or file:PATH.")
    value = ask(f"{what[:1].upper()}{what[1:]}: ")
    if not value:
        raise ConfigurationError(f"Nothing was typed for {what}; an empty one is not taken. Run this again.")
    return value


def _from_environment(name: str, what: str) -> str:
    value = os.environ.get(name)
    if value is None:
        raise ConfigurationError(f"The environment variable {name} is not set; put {what} there, or name another source.")
    if not value:
        raise ConfigurationError(f"The environment variable {name} is empty; put {what} there.")
    return value


def _from_file(path: Path, what: str) -> str:
    """The file's text without one newline at its end; spaces are part of a password and stay."""
    try:
        if not path.is_file():
            kind = "is no regular file" if path.exists() else "does not exist"
            raise ConfigurationError(f"The file {path} {kind}; put {what} into one, readable by you alone.")
        with path.open("rb") as file:
            # Asked of the open file: the path may lead elsewhere by now.
            if os.name == "posix" and os.fstat(file.fileno()).st_mode & _READABLE_BY_OTHERS:
                raise ConfigurationError(f"The file {path} can be read by others; chmod 600 {path}, and change {what} if they did.")
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(f"The file {path} cannot be read; give yourself the right to read it.", detail=str(error)) from None
    if len(data) > MAX_BYTES:
        raise ConfigurationError(f"The file {path} is longer than {MAX_BYTES} bytes; expected {what} alone.")
    try:
        value = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigurationError(f"The file {path} is not UTF-8; save it again with that encoding.") from None
    value = value.removesuffix("\n").removesuffix("\r") if value.endswith("\n") else value
    if not value:
        raise ConfigurationError(f"The file {path} is empty; put {what} there.")
    if "\n" in value or "\r" in value:
        raise ConfigurationError(f"The file {path} has more than one line; expected {what} alone.")
    return value
