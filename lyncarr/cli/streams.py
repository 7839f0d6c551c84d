"""The standard streams, made unable to end a run: what a console cannot show is escaped, a reader that went away is not missed.

A run that writes to a server must not die halfway because `lyncarr provision --yes | head` closed its output.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from pathlib import Path
from typing import Any, TextIO, cast


class LastingStream:
    """A text stream that goes on when its reader has gone, or its disk is full: from then on it writes to nowhere.

    `lost` is the reason, for whoever wants to tell it.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.lost: OSError | None = None

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError as error:
            self._lose(error)
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            self._lose(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _lose(self, error: OSError) -> None:
        self.lost = self.lost or error
        nowhere = os.open(os.devnull, os.O_WRONLY)
        # Under the stream and not instead of it: Python flushes what it still holds once more when the process ends.
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)


def prepare_streams() -> None:
    """Replace sys.stdout and sys.stderr; called once, at the start of the process."""
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")
    sys.stdout = _lasting(sys.stdout)
    sys.stderr = _lasting(sys.stderr)


def lost_output() -> str | None:
    """Why standard output did not take everything; None where it did, or where its reader went away by itself."""
    sys.stdout.flush()
    lost = getattr(sys.stdout, "lost", None)
    # EINVAL is Windows' word for a pipe without a reader.
    return None if lost is None or lost.errno in (errno.EPIPE, errno.EINVAL) else str(lost.strerror)


def _lasting(stream: TextIO | None) -> TextIO:
    if stream is None:  # closed by whoever started this process, or never there, as under pythonw
        return Path(os.devnull).open("w", encoding="utf-8")
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
    return cast(TextIO, LastingStream(stream))
