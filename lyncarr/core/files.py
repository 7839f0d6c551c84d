"""Reading the files that a site file names, and writing those that a command makes."""

from __future__ import annotations

from pathlib import Path

from lyncarr.core.errors import SiteError


def read_file(path: Path, limit: int) -> bytes:
    """The whole file, which may hold 1 to `limit` bytes; ValueError with a reason for people else."""
    if not path.is_file():
        raise ValueError(f"{path} {'is no file' if path.exists() else 'does not exist'}; expected a file there")
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError:
        raise ValueError(f"{path} cannot be read; expected a file that you may read") from None
    if not data:
        raise ValueError(f"{path.name} is empty (0 bytes); expected it whole, copy it again")
    if len(data) > limit:
        raise ValueError(f"{path.name} is longer than {limit} bytes; is it the right file?")
    return data


def write_new(path: Path, data: bytes, option: str) -> None:
    """Write `data` to `path`, which must not exist yet; `option` is the command line's way to name another file.

    Raises SiteError (exit 65) where something is there, or where it cannot be written.
    """
    try:
        file = path.open("xb")
    except FileExistsError:
        raise SiteError(f"{path} is there already and is left alone; remove it first, or write another with {option} FILE.") from None
    except OSError as error:
        raise not_written(path, option, error) from None
    try:
        with file:
            file.write(data)
    except OSError as error:
        path.unlink(missing_ok=True)  # half a file would only be left alone by the next attempt
        raise not_written(path, option, error) from None


def not_written(path: Path, option: str, error: OSError) -> SiteError:
    return SiteError(f"{path} cannot be written; name a file in a folder that exists and is yours, with {option} FILE.", detail=str(error))
