"""Where secrets come from. The configuration file and the command line never contain a secret, only a reference to one."""

from __future__ import annotations

import getpass
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path

from lyncarr.core.errors import ConfigurationError
from lyncarr.core.files import FileError, in_words, open_file
from lyncarr.core.model import Secret
from lyncarr.core.text import safe, swallowed_backslash
from lyncarr.secrets import acl, program
from lyncarr.secrets.writers import refuse_changeable

REFERENCES = "prompt, env:NAME, file:PATH, keyring:SERVICE or command:LINE"
REFERENCE = "^(prompt|env:[A-Za-z_][A-Za-z0-9_]*|(file|keyring|command):.+)$"
"""The form of a reference, for the JSON schema. check_reference() is stricter."""
MAX_BYTES = 64 * 1024

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_READABLE_BY_OTHERS = stat.S_IRGRP | stat.S_IROTH
_OTHER_SOURCES = REFERENCES.removeprefix("prompt, ")


def check_reference(text: str) -> str:
    """`text`, if it is a valid reference. Raises ValueError with the reason, which never repeats `text`: it may be a password."""
    scheme, colon, rest = text.partition(":")
    if text == "prompt":
        return text
    if colon and scheme == "env":
        if not _NAME.fullmatch(rest):
            raise ValueError("env: requires the name of a variable, of letters, digits and underscores, as in env:RP01_PASSWORD")
        return text
    if colon and scheme == "file":
        if not rest or not rest.isprintable():
            if reason := swallowed_backslash(rest):
                raise ValueError(f"file: contains characters that cannot be displayed; {reason}")
            raise ValueError("file: requires a path, relative to the configuration file, as in file:rp01.password")
        return text
    if colon and scheme == "keyring":
        if not rest or not rest.isprintable():
            if reason := swallowed_backslash(rest):
                raise ValueError(f"keyring: contains characters that cannot be displayed; {reason}")
            raise ValueError("keyring: requires the name of a service in the keyring, as in keyring:rp01")
        return text
    if colon and scheme == "command":
        if not rest.isprintable():
            reason = swallowed_backslash(rest) or "use a program and its arguments on one line"
            raise ValueError(f"command: contains characters that cannot be displayed; {reason}")
        try:
            program.words_of(rest)
        except ValueError as reason:
            raise ValueError(f"command: {reason}; use a program and its arguments, as in command:pass show rp01") from None
        return text
    raise ValueError(f"not a valid secret reference; use {REFERENCES} (the value is not shown, and must not be a password)")


def resolve(
    reference: str,
    *,
    base: Path,
    ask: Callable[[str], str] | None,
    account: str,
    label: str = "the password",
    written_in: Path | None = None,
) -> Secret:
    """The secret behind `reference`.

    Relative paths start at the folder `base`, in which a command runs too. `ask` shows a question on the terminal and returns the answer,
    None where there is no terminal. `account` is the user name of the entry in a keyring. `label` names the secret in messages. A command
    may take program.LONGEST_S seconds. `written_in` is the configuration file that has the reference, None for the command line.
    Raises ConfigurationError (exit 78) where the secret cannot be read, where other users could have read it, or where they could have
    chosen the command.
    """
    try:
        check_reference(reference)
    except ValueError as error:
        raise ConfigurationError(f"Cannot read {label}: {error}.") from None
    scheme, _, rest = reference.partition(":")
    if scheme == "prompt":
        value = _prompted(ask, label)
    elif scheme == "env":
        value = _from_environment(rest, label)
    elif scheme == "file":
        value = _from_file(base / rest, label)
    elif scheme == "keyring":
        value = _from_keyring(rest, account, label)
    else:
        if written_in is not None:
            refuse_changeable(written_in, "the configuration file")
        value = _from_command(rest, base, ask is not None, label)
    if "\0" in value:
        # The arguments of a command may contain a secret of their own.
        shown = "command:" if scheme == "command" else reference
        raise ConfigurationError(
            f"The value of {shown} contains a NUL character, which no password can contain.", hint=f"Store {label} again."
        )
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise ConfigurationError(
            f"The value of {label} is not valid text in the encoding of this system.", hint=f"Store {label} again."
        ) from None
    return Secret(value)


def _prompted(ask: Callable[[str], str] | None, label: str) -> str:
    if ask is None:
        raise ConfigurationError(f"There is no terminal to ask for {label}.", hint=f"Use another source: {_OTHER_SOURCES}.")
    value = ask(f"{label[:1].upper()}{label[1:]}: ")
    if not value:
        raise ConfigurationError(f"Nothing was entered for {label}.", hint="Run the command again.")
    return value


def _from_environment(name: str, label: str) -> str:
    value = os.environ.get(name)
    if value is None:
        raise ConfigurationError(
            f"The environment variable {name} is not set.", hint=f"Set the variable to {label}, or use another source: {_OTHER_SOURCES}."
        )
    if not value:
        raise ConfigurationError(f"The environment variable {name} is empty.", hint=f"Set the variable to {label}.")
    return value


def _from_file(path: Path, label: str) -> str:
    try:
        with open_file(path) as file:
            # The mode of the open file, because the path may lead to another file by now.
            if os.name == "posix" and os.fstat(file.fileno()).st_mode & _READABLE_BY_OTHERS:
                command = program.line_of(["chmod", "600", str(path)])
                raise ConfigurationError(
                    f"Other users can read the file {path}.",
                    hint=f"Change {label} if another user read the file. To restrict the file, run:\n  {command}",
                )
            if others := acl.readers_of(file.fileno()):
                command = program.line_of(["icacls", str(path), "/inheritance:r", "/grant:r", f"{getpass.getuser()}:R"])
                raise ConfigurationError(
                    f"Other accounts can read the file {path}: {', '.join(map(safe, others))}.",
                    hint=f"Change {label} if another user read the file. To restrict the file, run:\n  {command}",
                )
            data = file.read(MAX_BYTES + 1)
    except FileError as error:
        hint = f"Write {label} into a file that only you can read."
        raise ConfigurationError(f"The file {path} {error.reason}.", hint=hint, detail=error.detail) from None
    except OSError as error:
        raise ConfigurationError(f"The file {path} cannot be read.", detail=str(error)) from None
    if len(data) > MAX_BYTES:
        raise ConfigurationError(
            f"The file {path} is larger than {in_words(MAX_BYTES)}.", hint=f"Use a file that contains {label} and nothing else."
        )
    return _single_line(data, f"The file {path}", label)


def _from_command(line: str, base: Path, interactive: bool, label: str) -> str:
    data = program.output_of(line, folder=base, interactive=interactive, label=label, limit=MAX_BYTES)
    return _single_line(data, f"The output of {program.name_of(line)}", label)


def _from_keyring(service: str, account: str, label: str) -> str:
    try:
        import keyring
        from keyring.errors import KeyringLocked, NoKeyringError
    except ModuleNotFoundError as missing:
        raise ConfigurationError(
            f"keyring: requires the package {missing.name}.",
            hint=f"Run pipx inject lyncarr keyring (or pip install keyring), or use another source: {_OTHER_SOURCES}.",
        ) from None
    try:
        value = keyring.get_password(service, account)
    except NoKeyringError:
        raise ConfigurationError(
            f"This machine has no keyring to read {label} from.", hint=f"Use another source: {_OTHER_SOURCES}."
        ) from None
    except KeyringLocked as error:
        raise ConfigurationError(
            f"The keyring with {label} is locked.", hint="Unlock the keyring, and run the command again.", detail=str(error)
        ) from None
    except Exception as error:
        # A backend calls a service of the system, and passes on whatever that raises.
        raise ConfigurationError(
            f"The keyring does not return {label}.",
            hint="Test it with keyring get, with the same service and user name.",
            detail=f"{type(error).__name__}: {error}",
        ) from None
    command = program.line_of(["keyring", "set", service, account])
    if value is None:
        raise ConfigurationError(f"The keyring has no entry for {label}.", hint=f"To add the entry, run:\n  {command}")
    if not value:
        raise ConfigurationError(f"The entry of the keyring for {label} is empty.", hint=f"To write the entry again, run:\n  {command}")
    return value


def _single_line(data: bytes, where: str, label: str) -> str:
    """The text of a file or program without one newline at its end. Spaces may be part of a password, and are kept."""
    hint = f"{where} must contain {label} and nothing else, on one line of UTF-8."
    try:
        value = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigurationError(f"{where} is not UTF-8.", hint=hint) from None
    value = value.removesuffix("\n").removesuffix("\r") if value.endswith("\n") else value
    if not value:
        raise ConfigurationError(f"{where} is empty.", hint=hint)
    if "\n" in value or "\r" in value:
        raise ConfigurationError(f"{where} has more than one line.", hint=hint)
    return value
