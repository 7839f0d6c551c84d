"""Reading and writing the files that a person names. Every path may be wrong: missing, a folder, a device, not readable, too long."""

from __future__ import annotations

import os
import re
import stat
from contextlib import suppress
from io import BufferedReader
from pathlib import Path, PureWindowsPath

from lyncarr.core.errors import SiteError

# https://learn.microsoft.com/windows/win32/fileio/naming-a-file
_RESERVED = re.compile(r"(?:CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(?:COM|LPT)[0-9\u00b9\u00b2\u00b3]) *(?:[.:].*)?", re.IGNORECASE)
_WINDOWS = os.name == "nt"


class FileError(ValueError):
    """A file cannot be used. `reason` goes behind its name, without a full stop: "is a folder; give a file".

    `hint` is the next action, a sentence, "" where there is none. `detail` is the technical cause, None where there is none.
    """

    def __init__(self, reason: str, *, hint: str = "", detail: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint
        self.detail = detail


def open_file(path: Path, *, pipe: bool = False) -> BufferedReader:
    """The regular file at `path`, opened for reading; with `pipe` a pipe or a terminal too. Raises FileError."""
    _refuse_reserved(path)
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise FileError("is a folder; give a file")
        if not stat.S_ISREG(mode) and not (pipe and (stat.S_ISFIFO(mode) or stat.S_ISCHR(mode))):
            raise FileError("is a device, a pipe or a socket; give a file")
        return path.open("rb")
    except (FileNotFoundError, NotADirectoryError):
        raise FileError("does not exist") from None
    except OSError as error:
        raise FileError(f"cannot be read ({_cause(error)})", detail=str(error)) from None


def check_file(path: Path) -> None:
    """Raise FileError where `path` is neither a readable file nor a pipe. A pipe is not opened, because that would take its content."""
    with suppress(OSError):
        if stat.S_ISFIFO(path.stat().st_mode):
            return
    open_file(path).close()


def read_file(path: Path, limit: int, *, pipe: bool = False) -> bytes:
    """The content of the file at `path`: 1 to `limit` bytes. Raises FileError."""
    try:
        with open_file(path, pipe=pipe) as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise FileError(f"cannot be read ({_cause(error)})", detail=str(error)) from None
    if not data:
        raise FileError("is empty (0 bytes)")
    if len(data) > limit:
        raise FileError(f"is larger than {in_words(limit)}")
    return data


def write_new(path: Path, data: bytes, option: str) -> None:
    """Write `data` to `path`, which must not exist; `option` is the command-line option that names another file.

    Raises SiteError (exit 65) where something is there, or where it cannot be written.
    """
    _refuse_to_write(path, option)
    try:
        file = path.open("xb")
    except FileExistsError:
        raise SiteError(
            f"{path} already exists and was not changed.", hint=f"Remove the file first, or choose another one with {option} FILE."
        ) from None
    except OSError as error:
        raise not_written(path, option, error) from None
    try:
        with file:
            file.write(data)
    except OSError as error:
        path.unlink(missing_ok=True)  # An incomplete file would stop the next attempt.
        raise not_written(path, option, error) from None


def write_over(path: Path, data: bytes, option: str) -> None:
    """Write `data` to `path`, in place of what is there. Raises SiteError (exit 65) where it cannot be written."""
    _refuse_to_write(path, option)
    try:
        path.write_bytes(data)
    except OSError as error:
        raise not_written(path, option, error) from None


def not_written(path: Path, option: str, error: OSError) -> SiteError:
    """The error for a file that cannot be written."""
    return SiteError(
        f"{path} cannot be written ({_cause(error)}).",
        hint=f"Choose a file in an existing folder with {option} FILE.",
        detail=str(error),
    )


def in_words(size: int) -> str:
    """A limit in bytes as people write it: 10 MB, 64 KB, 2 GB."""
    for unit, name in ((1024**3, "GB"), (1024**2, "MB"), (1024, "KB")):
        if size >= unit and size % unit == 0:
            return f"{size // unit} {name}"
    return f"{size} bytes"


def is_reserved(path: Path, *, windows: bool = _WINDOWS) -> bool:
    """True for a path that is a device on Windows: a name such as con, NUL.toml or com1 anywhere in it, or the prefix of devices.

    Other systems know no such names. A file that they carry to Windows is checked where lyncarr writes it.
    """
    if not windows:
        return False
    path_there = PureWindowsPath(path)
    return path_there.drive.startswith("\\\\.\\") or any(_RESERVED.fullmatch(part) for part in path_there.parts)


def _refuse_reserved(path: Path) -> None:
    if is_reserved(path):
        raise FileError("is the name of a Windows device; give a file")


def _refuse_to_write(path: Path, option: str) -> None:
    if is_reserved(path):
        raise SiteError(f"{path} is the name of a Windows device.", hint=f"Choose another name with {option} FILE.")
    if os.path.isdir(path):  # noqa: PTH112  Path.is_dir raises where a folder above cannot be entered
        raise SiteError(f"{path} is a folder; give a file.", hint=f"Choose a file with {option} FILE.")


def _cause(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()
