"""Standard streams that never end a run: characters that a console cannot show are escaped, and a closed pipe is ignored.

A run that writes to a server must not stop halfway because `lyncarr provision --yes | head` closed its output.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from pathlib import Path
from typing import Any, TextIO, cast


class LastingStream:
    """A text stream that continues when its reader has closed it or its disk is full. From then on its output is discarded.

    `lost` is the first error, None without one.
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
        discard = os.open(os.devnull, os.O_WRONLY)
        # The descriptor is replaced, not the stream: Python flushes the stream's buffer again when the process ends.
        os.dup2(discard, self._stream.fileno())
        os.close(discard)


def prepare_streams() -> None:
    """Replace sys.stdout and sys.stderr. Call it once, at the start of the process."""
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")
    sys.stdout = _lasting(sys.stdout)
    sys.stderr = _lasting(sys.stderr)


def lost_output() -> str | None:
    """Why standard output did not take everything; None where it did, or where its reader closed the pipe."""
    sys.stdout.flush()
    lost = getattr(sys.stdout, "lost", None)
    # Windows reports a pipe without a reader as EINVAL.
    return None if lost is None or lost.errno in (errno.EPIPE, errno.EINVAL) else str(lost.strerror)


def _lasting(stream: TextIO | None) -> TextIO:
    if stream is None:  # The parent process closed it, or it never existed, as under pythonw.
        return Path(os.devnull).open("w", encoding="utf-8")
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
    return cast(TextIO, LastingStream(stream))
