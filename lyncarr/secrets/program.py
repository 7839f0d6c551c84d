"""Secrets from the standard output of a program on this machine, such as `pass`, `op` or `gpg`."""

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

from lyncarr.core import waits
from lyncarr.core.errors import ConfigurationError
from lyncarr.core.model import Deadline
from lyncarr.core.text import safe, safe_lines
from lyncarr.secrets.words import join, split
from lyncarr.secrets.writers import refuse_changeable

LONGEST_S = 60.0
"""The time limit of a program in seconds."""
MAX_SHOWN_CHARS = 20_000
"""The most characters of its standard error that are shown."""
POLL_S = 0.02
GRACE_S = 2.0
"""The seconds that a program has to end after it was asked to, and its children to close its pipes after its end."""

_WINDOWS = os.name == "nt"


def words_of(line: str) -> list[str]:
    """The words of a command line, by the rules of this system. Raises ValueError with the reason."""
    return split(line, windows=_WINDOWS)


def line_of(words: Sequence[str]) -> str:
    """The command line to enter at a prompt of this system."""
    return join(words, windows=_WINDOWS)


def name_of(line: str) -> str:
    """The name of the program. No message shows more of a command line, because its arguments may contain a secret."""
    return safe(Path(words_of(line)[0]).name, 60)


def output_of(line: str, *, folder: Path, interactive: bool, label: str, limit: int) -> bytes:
    """The standard output of a program, which is never shown. The program has ended when this returns or raises.

    It runs without a shell in `folder`, with the environment of this process. Its standard error is shown as it arrives, with control
    characters escaped. Its standard input is that of this process if `interactive`, so that the program can ask for its own password;
    else it is empty. `label` names the secret in messages.
    Raises ConfigurationError where the program is missing, fails, takes longer than LONGEST_S or writes more than `limit` bytes, or where
    other accounts can change it.
    """
    name = name_of(line)
    program, *arguments = words_of(line)
    found = find(program, folder)
    if found is None:
        raise ConfigurationError(
            f"The program {name} for {label} was not found.",
            hint="Install the program, or write its full path after command: in the reference.",
        )
    refuse_changeable(found, "the program", program=True)
    end = time.monotonic() + LONGEST_S
    with _started([str(found), *arguments], folder, interactive, f"{name} for {label}") as process:
        output = _Output(cast(BufferedReader, process.stdout), limit + 1)
        errors = _Errors(cast(BufferedReader, process.stderr))
        output.start()
        errors.start()
        ended_at: float | None = None
        while output.is_alive() or (process.poll() is None and len(output.data) <= limit):
            if process.poll() is not None:
                # A child that it leaves running, such as an agent, may keep the pipe open. The program's own output is complete by now.
                ended_at = ended_at or time.monotonic()
                if time.monotonic() > ended_at + GRACE_S:
                    break
            if time.monotonic() > end:
                raise ConfigurationError(
                    f"The program {name} did not return {label} within {LONGEST_S:g} seconds, and was ended.",
                    hint="Run the program by hand to see what it waits for.",
                )
            waits.sleep(POLL_S)
        if len(output.data) > limit:
            raise ConfigurationError(
                f"The program {name} writes more than {limit} bytes.", hint=f"The program must write {label} and nothing else."
            )
        waits.join(errors, GRACE_S)
    if process.returncode:
        how = f"failed with exit code {process.returncode}" if process.returncode > 0 else f"was ended by signal {-process.returncode}"
        raise ConfigurationError(f"The program {name} for {label} {how}.", hint="Run the program by hand, and fix the cause.")
    return output.data


def find(program: str, folder: Path) -> Path | None:
    """The file of a program: relative to `folder` if `program` is a path, else on the PATH. None where there is none.

    Unlike Windows and shutil.which, this never looks for a bare name in the working folder: anyone who can write there could choose the
    program.
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
def _started(words: list[str], folder: Path, interactive: bool, label: str) -> Iterator[subprocess.Popen[bytes]]:
    """The running program. It is ended if it does not end by itself."""
    try:
        process = subprocess.Popen(  # noqa: S603  no shell; the author of the configuration file chose the words
            words, cwd=folder, stdin=None if interactive else subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
    except OSError as error:
        raise ConfigurationError(
            f"The program {label} does not start.", hint="Run the program by hand, and fix the cause.", detail=str(error)
        ) from None
    try:
        yield process
    finally:
        # Asked to end first: a program that waits for a password must switch the echo of the terminal on again.
        try:
            if process.poll() is None:
                process.terminate()
            _wait(process, GRACE_S)
        finally:
            # Also after another Ctrl-C.
            if process.poll() is None:
                process.kill()
                _wait(process, LONGEST_S)


def _wait(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Wait until a program has ended, at most `seconds`. Not by Popen.wait, which Ctrl-C does not end on Windows."""
    end = Deadline(seconds)
    while process.poll() is None and not end.passed:
        waits.sleep(POLL_S)


class _Output(Thread):
    """Reads up to `limit` bytes. A daemon, because a child of the program may keep the pipe open after the end of the program."""

    def __init__(self, stream: BufferedReader, limit: int) -> None:
        super().__init__(daemon=True)
        self._stream = stream
        self._limit = limit
        self.data = b""

    def run(self) -> None:
        with self._stream:
            while len(self.data) < self._limit and (data := self._stream.read1(self._limit - len(self.data))):
                self.data += data


class _Errors(Thread):
    """Copies the standard error of the program to that of this process, at once: it may be a question, without a newline."""

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
        # What is written next begins on a new line.
        if last != "\n":
            sys.stderr.write("\n")
            sys.stderr.flush()
