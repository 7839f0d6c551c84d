"""Reading the files that a site file names."""

from __future__ import annotations

from pathlib import Path


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
