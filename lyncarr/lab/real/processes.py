"""Processes of this system behind the commands of a WinRS shell: standard streams, exit code, and a sure end."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, cast

from lyncarr.lab.real.codepage import UTF8, from_utf8, to_utf8
from lyncarr.lab.wire import wsman
from lyncarr.lab.wire.engine import CONTROL_C_EXIT, KILLED_EXIT, ProcessOutput, Stream

if sys.platform == "win32":
    raise ImportError("This module needs POSIX: process groups, waitid and file locks.")

PIECE_BYTES = 65_536
LOOK_AT_PROCESS_S = 0.05


class HostProcess:
    """One process in a session of its own. It speaks UTF-8, its client speaks `codepage`.

    `at_end` is called once, when the process is gone for good. Raises Fault where the program or the folder is not there.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        output: ProcessOutput,
        *,
        folder: Path | None = None,
        codepage: int = UTF8,
        at_end: Callable[[], None] = lambda: None,
    ) -> None:
        self._output = output
        self._input = to_utf8(codepage)
        self._codepage = codepage
        self._at_end = at_end
        self._write_lock = threading.Lock()
        self._end_lock = threading.Lock()
        self._closed = False
        if folder is not None and not folder.is_dir():
            raise wsman.windows_error(wsman.NO_SUCH_FOLDER, "The directory name is invalid.")
        try:
            self._process = subprocess.Popen(  # noqa: S603  (whatever the client sent is what is to be run)
                command,
                env=dict(environment),
                cwd=folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,
            )
        except OSError as error:
            raise wsman.windows_error(wsman.NO_SUCH_FILE, f"The system cannot find the file specified: {error.strerror}.") from error
        self._stdin = cast("IO[bytes]", self._process.stdin)
        self._pump = threading.Thread(target=self._run, name="lab-process", daemon=True)
        self._pump.start()

    @property
    def running(self) -> bool:
        return not self._closed

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, data: bytes) -> None:
        with self._write_lock:
            left = memoryview(self._input(data))
            try:
                while left:
                    left = left[self._stdin.write(left) :]
            except (OSError, ValueError) as error:
                raise wsman.windows_error(wsman.BROKEN_PIPE, "The pipe has been ended.") from error

    def end_input(self) -> None:
        with self._write_lock, contextlib.suppress(OSError):
            self._stdin.close()

    def interrupt(self) -> None:
        with self._end_lock:
            if not self._closed:
                self._kill(signal.SIGINT)

    def close(self) -> None:
        with self._end_lock:
            if self._closed:
                return
            self._closed = True
            self._kill(signal.SIGKILL)
            self._process.wait()
        self._pump.join(1.0)
        with contextlib.suppress(OSError):
            self._stdin.close()
        self._at_end()

    def _kill(self, number: signal.Signals) -> None:
        # The number stays ours until close() has waited for it, even when the process itself is long gone.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def _run(self) -> None:
        """Hand on output until the process has ended and its last word is read."""
        pipes: tuple[tuple[Stream, IO[bytes]], ...] = (
            ("stdout", cast("IO[bytes]", self._process.stdout)),
            ("stderr", cast("IO[bytes]", self._process.stderr)),
        )
        translate = {name: from_utf8(self._codepage) for name, _ in pipes}
        with selectors.DefaultSelector() as selector:
            for name, pipe in pipes:
                selector.register(pipe, selectors.EVENT_READ, name)
            ended = False
            while selector.get_map():
                ready = selector.select(0 if ended else LOOK_AT_PROCESS_S)
                # What it started may live on and hold its pipes (Wine's own server always does), so their end is not waited for.
                if ended and not ready:
                    break
                ended = ended or (not ready and self._exit() is not None)
                for key, _ in ready:
                    data = os.read(key.fd, PIECE_BYTES)
                    if not data:
                        selector.unregister(key.fileobj)
                    if text := translate[key.data](data):
                        self._output.write(key.data, text)
        for name, pipe in pipes:
            pipe.close()
            if text := translate[name](b"", True):
                self._output.write(name, text)
        self._output.exited(self._wait())

    def _exit(self, flags: int = os.WNOHANG) -> int | None:
        """The exit code as Windows would tell it, None while it runs. Leaves the process to be waited for: see _kill()."""
        try:
            ended_as = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT | flags)
        except ChildProcessError:
            return KILLED_EXIT  # close() has waited for it; no caller uses the code
        if ended_as is None:
            return None
        if ended_as.si_code == os.CLD_EXITED:
            return ended_as.si_status
        return CONTROL_C_EXIT if ended_as.si_status == signal.SIGINT else KILLED_EXIT

    def _wait(self) -> int:
        code = self._exit(0)
        return KILLED_EXIT if code is None else code
