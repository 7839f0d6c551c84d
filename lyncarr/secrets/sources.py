"""Where a secret comes from. A secret itself never stands in a site file or on a command line, a reference to it does."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from pathlib import Path

from lyncarr.core.errors import ConfigurationError
from lyncarr.core.model import Secret
from lyncarr.secrets import program

REFERENCES = "prompt, env:NAME, file:PATH, keyring:SERVICE or command:LINE"
REFERENCE = "^(prompt|env:[A-Za-z_][A-Za-z0-9_]*|(file|keyring|command):.+)$"
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
    if colon and scheme == "keyring":
        if not rest or not rest.isprintable():
            raise ValueError("keyring: is not followed by the name of a service; expected the one it is kept under, as in keyring:rp01")
        return text
    if colon and scheme == "command":
        if not rest.isprintable():
            raise ValueError("command: is followed by characters that cannot be shown; expected a program and its words on one line")
        try:
            program.words_of(rest)
        except ValueError as reason:
            raise ValueError(f"command: {reason}; expected a program and its words, as in command:pass show rp01") from None
        return text
    raise ValueError(f"is no reference to a secret (what was written is not shown, and must not stand here); expected {REFERENCES}")


def resolve(reference: str, *, base: Path, ask: Callable[[str], str] | None, account: str, what: str = "the password") -> Secret:
    """The secret behind `reference`.

    Relative paths start at `base`, where a command runs too; `ask` shows a question on a terminal, None without one; `account` is the
    user name that a keyring has it under. A command may take program.LONGEST_S seconds.
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
    elif scheme == "file":
        value = _from_file(base / rest, what)
    elif scheme == "keyring":
        value = _from_keyring(rest, account, what)
    else:
        value = _from_command(rest, base, ask is not None, what)
    if "\0" in value:
        shown = "command:" if scheme == "command" else reference
        raise ConfigurationError(f"The value of {shown} holds a NUL character, which no password can; write {what} again.")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise ConfigurationError(
            f"What is given as {what} holds bytes that are no text in this system's encoding; write it again."
        ) from None
    return Secret(value)


def _prompted(ask: Callable[[str], str] | None, what: str) -> str:
    if ask is None:
        raise ConfigurationError(f"There is no terminal to ask for {what}; take it from {REFERENCES.removeprefix('prompt, ')}.")
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
    return _one_line(data, f"The file {path}", what)


def _from_command(line: str, base: Path, interactive: bool, what: str) -> str:
    data = program.output_of(line, folder=base, interactive=interactive, what=what, limit=MAX_BYTES)
    return _one_line(data, f"The output of {program.name_of(line)}", what)


def _from_keyring(service: str, account: str, what: str) -> str:
    try:
        import keyring
        from keyring.errors import KeyringLocked, NoKeyringError
    except ModuleNotFoundError as missing:
        raise ConfigurationError(
            f"keyring: needs the package {missing.name}: pipx inject lyncarr keyring (or pip install keyring); or name another source."
        ) from None
    try:
        value = keyring.get_password(service, account)
    except NoKeyringError:
        raise ConfigurationError(f"This machine has no keyring to take {what} from; name another source.") from None
    except KeyringLocked as error:
        raise ConfigurationError(f"The keyring is locked; unlock it, then run this again for {what}.", detail=str(error)) from None
    except Exception as error:
        # A backend talks to a service of the system, and lets through whatever that throws.
        raise ConfigurationError(
            f"The keyring does not give {what}; see whether keyring get does, with the same service and user name.",
            detail=f"{type(error).__name__}: {error}",
        ) from None
    put = program.line_of(["keyring", "set", service, account])
    if value is None:
        raise ConfigurationError(f"The keyring has nothing for {what}; put it there: {put}")
    if not value:
        raise ConfigurationError(f"The keyring's entry for {what} is empty; write it again: {put}")
    return value


def _one_line(data: bytes, where: str, what: str) -> str:
    """The text of a file or program without one newline at its end; spaces are part of a password and stay."""
    try:
        value = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigurationError(f"{where} is not UTF-8; expected {what} in that encoding.") from None
    value = value.removesuffix("\n").removesuffix("\r") if value.endswith("\n") else value
    if not value:
        raise ConfigurationError(f"{where} is empty; expected {what} alone.")
    if "\n" in value or "\r" in value:
        raise ConfigurationError(f"{where} has more than one line; expected {what} alone.")
    return value
