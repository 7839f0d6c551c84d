"""Standard streams that never end a run: characters that a console cannot show are escaped, and a closed pipe is ignored.

A run that writes to a server must not stop halfway because `lyncarr provision --yes | head` closed its output.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, cast

if TYPE_CHECKING:
    from rich.console import Console

ENABLE_VIRTUAL_TERMINAL_PROCESSING = 0x0004
"""The bit of a console's mode that means that it understands escape sequences."""


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

    def isatty(self) -> bool:
        """For libraries, which ask their stream."""
        return is_terminal(self._stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _lose(self, error: OSError) -> None:
        self.lost = self.lost or error
        discard = os.open(os.devnull, os.O_WRONLY)
        # The descriptor is replaced, not the stream: Python flushes the stream's buffer again when the process ends.
        os.dup2(discard, self._stream.fileno())
        os.close(discard)


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a user sees what `stream` writes, or types what it reads.

    Not isatty alone: on Windows it is also True for NUL, which scheduled tasks have as their standard streams.
    """
    try:
        if stream is None or not stream.isatty():
            return False
    except ValueError:  # The stream is closed.
        return False
    return sys.platform != "win32" or console_mode(stream) is not None


def console_mode(stream: TextIO) -> int | None:
    """The mode of the console of Windows that `stream` is: https://learn.microsoft.com/windows/console/getconsolemode. Else None."""
    if sys.platform == "win32":
        import ctypes
        import msvcrt

        mode = ctypes.c_uint32()
        with suppress(OSError, ValueError):
            handle = ctypes.c_void_p(msvcrt.get_osfhandle(stream.fileno()))
            if ctypes.windll.kernel32.GetConsoleMode(handle, ctypes.byref(mode)):
                return mode.value
    return None


def rich_console(stream: TextIO) -> Console:
    """rich's console on `stream`, with the abilities of that stream.

    Where Windows' console has no escape sequences, rich calls the console instead, always the one that is standard output. It also
    judges by standard output only. So a console on standard error gets no colors and no progress line where standard output is redirected
    and escape sequences are off.
    """
    from rich.console import Console

    if sys.platform != "win32":
        return Console(file=stream, highlight=False)
    escapes = bool((console_mode(stream) or 0) & ENABLE_VIRTUAL_TERMINAL_PROCESSING)
    usable = escapes or is_terminal(sys.stdout)
    return Console(file=stream, highlight=False, legacy_windows=not escapes, force_terminal=None if usable else False)


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
