"""A pseudo-terminal with a process on it. Only POSIX has them; a test that opens one elsewhere is skipped."""

from __future__ import annotations

import os
import re
import select
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.patience import HANG_S as WAIT_S


def hear_ctrl_c() -> None:
    """For a new process. A shell that runs the tests in the background has made them ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Terminal:
    """A process on a pseudo-terminal of its own, which is what all three of its streams are."""

    def __init__(self, command: list[str], folder: Path, environment: dict[str, str], columns: int) -> None:
        if sys.platform == "win32":
            pytest.skip("POSIX: pseudo-terminals")
        import fcntl
        import pty
        import termios

        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.seen = ""

        def own_it() -> None:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
            hear_ctrl_c()

        self.process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=slave, stdout=slave, stderr=slave, start_new_session=True, preexec_fn=own_it
        )
        os.close(slave)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *exc: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._master)

    def wait_for(self, text: str) -> None:
        end = time.monotonic() + WAIT_S
        while text not in self.text:
            assert time.monotonic() < end, f"{text!r} never came:\n{self.seen}"
            assert self._read(), f"{text!r} never came:\n{self.seen}"

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def end(self) -> int:
        """The exit code, after everything that it said."""
        while self._read():
            pass
        return self.process.wait(timeout=WAIT_S)

    @property
    def text(self) -> str:
        """What was written, without colours and cursor movements."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.seen).replace("\r\n", "\n")

    def _read(self) -> bool:
        if not select.select([self._master], [], [], WAIT_S)[0]:
            return False
        try:
            data = os.read(self._master, 65536)
        except OSError:  # EIO: the other side is closed
            return False
        self.seen += data.decode("utf-8", errors="replace")
        return bool(data)
