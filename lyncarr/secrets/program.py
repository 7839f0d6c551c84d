"""What a program of this machine says on its standard output: a secret, from `pass`, `op`, `gpg` or whatever keeps it."""

from __future__ import annotations

import codecs
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from threading import Thread
from typing import cast

from lyncarr.core.errors import ConfigurationError
from lyncarr.core.text import safe, safe_lines
from lyncarr.secrets.words import join, split

LONGEST_S = 60.0
MAX_SHOWN_CHARS = 20_000
POLL_S = 0.02
GRACE_S = 2.0

_WINDOWS = os.name == "nt"


def words_of(line: str) -> list[str]:
    """The words of a command line by the rules of this system; ValueError with a reason else."""
    return split(line, windows=_WINDOWS)


def line_of(words: Sequence[str]) -> str:
    """The line to type at a prompt of this system."""
    return join(words, windows=_WINDOWS)


def name_of(line: str) -> str:
    """The program's name: all of a command line that is ever told, because what follows may hold a secret of its own."""
    return safe(Path(words_of(line)[0]).name, 60)


def output_of(line: str, *, folder: Path, interactive: bool, what: str, limit: int) -> bytes:
    """The standard output of a program, which is shown nowhere. However this is left, the program has ended by then.

    It runs without a shell in `folder`, with this process's environment. Its standard error is shown as it comes, made harmless; its
    standard input is this process's where `interactive`, so that it can ask for what opens its own store, else empty.
    Raises ConfigurationError for a program that is not there, fails, takes longer than LONGEST_S or says more than `limit` bytes.
    """
    name = name_of(line)
    program, *arguments = words_of(line)
    found = find(program, folder)
    if found is None:
        raise ConfigurationError(f"The program {name} for {what} is not found; install it, or write its whole path behind command:.")
    end = time.monotonic() + LONGEST_S
    with _started([str(found), *arguments], folder, interactive, f"{name} for {what}") as process:
        said = _Said(cast(BufferedReader, process.stdout), limit + 1)
        shown = _Shown(cast(BufferedReader, process.stderr))
        said.start()
        shown.start()
        # Not wait() or join(): on Windows Ctrl-C does not break them.
        ended_at: float | None = None
        while said.is_alive() or (process.poll() is None and len(said.data) <= limit):
            if process.poll() is not None:
                # What it left running, an agent say, may hold its pipe open; what it had to say itself is in there by now.
                ended_at = ended_at or time.monotonic()
                if time.monotonic() > ended_at + GRACE_S:
                    break
            if time.monotonic() > end:
                raise ConfigurationError(
                    f"The program {name} did not give {what} within {LONGEST_S:g} seconds, and was ended; "
                    "run it by itself to see what it waits for."
                )
            time.sleep(POLL_S)
        if len(said.data) > limit:
            raise ConfigurationError(f"The program {name} says more than {limit} bytes; expected {what} alone.")
        shown.join(GRACE_S)
    if process.returncode:
        how = f"with exit code {process.returncode}" if process.returncode > 0 else f"by signal {-process.returncode}"
        raise ConfigurationError(f"The program {name} ended {how} instead of giving {what}; run it by itself, and mend that.")
    return said.data


def find(program: str, folder: Path) -> Path | None:
    """The file of a program: from `folder` on where it is named by a path, else on the PATH; None where there is none.

    Unlike Windows and shutil.which this never looks into the working folder for a bare name: whoever can write there would choose
    what runs.
    """
    if Path(program).name == program:
        folders = [Path(place) for place in os.get_exec_path() if Path(place).is_absolute()]
    else:
        folders = [folder.absolute()]
    endings = os.environ.get("PATHEXT", ".EXE").upper().split(os.pathsep) if _WINDOWS else []
    names = [program] if not endings or Path(program).suffix.upper() in endings else [program + ending for ending in endings]
    candidates = (place / name for place in folders for name in names)
    return next((file for file in candidates if file.is_file() and os.access(file, os.X_OK)), None)


@contextmanager
def _started(words: list[str], folder: Path, interactive: bool, what: str) -> Iterator[subprocess.Popen[bytes]]:
    """The running program, ended where that did not happen by itself."""
    try:
        process = subprocess.Popen(  # noqa: S603  no shell; the words are those of the site file's author
            words, cwd=folder, stdin=None if interactive else subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
    except OSError as error:
        raise ConfigurationError(f"The program {what} does not start; try it by itself, and mend that.", detail=str(error)) from None
    try:
        yield process
    finally:
        # Asked first: one that waits for a password has to give the terminal its echo back.
        try:
            if process.poll() is None:
                process.terminate()
            process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            pass
        finally:
            # Also where Ctrl-C is pressed once more meanwhile.
            if process.poll() is None:
                process.kill()
                process.wait()


class _Said(Thread):
    """Reads up to `limit` bytes. A daemon: a child of the program may keep the pipe open after it."""

    def __init__(self, stream: BufferedReader, limit: int) -> None:
        super().__init__(daemon=True)
        self._stream = stream
        self._limit = limit
        self.data = b""

    def run(self) -> None:
        with self._stream:
            while len(self.data) < self._limit and (data := self._stream.read1(self._limit - len(self.data))):
                self.data += data


class _Shown(Thread):
    """Writes what the program says on standard error to ours, at once: it may be a question, without a newline."""

    def __init__(self, stream: BufferedReader) -> None:
        super().__init__(daemon=True)
        self._stream = stream

    def run(self) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        left, last = MAX_SHOWN_CHARS, "\n"
        with self._stream:
            while data := self._stream.read1():
                text = safe_lines(decoder.decode(data))[: max(left, 0)]
                left -= len(text)
                last = text[-1:] or last
                sys.stderr.write(text)
                sys.stderr.flush()
        # Whatever comes next begins on a line of its own.
        if last != "\n":
            sys.stderr.write("\n")
            sys.stderr.flush()
