"""HTTP/1.1 of the simulated host, as much as WinRM clients speak."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import IO

MAX_HEAD_BYTES = 65_536
MAX_BODY_BYTES = 64 * 1024 * 1024
REASONS = {200: "OK", 301: "Moved", 302: "Found", 307: "Moved", 308: "Moved", 400: "Bad Request", 401: "Unauthorized"}


@dataclass(frozen=True)
class Request:
    """`headers` have lower-case names; `size` counts the bytes of head and body."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    size: int


@dataclass(frozen=True)
class Answer:
    """`take_back` is to be called where the answer could not be written."""

    status: int
    body: bytes = b""
    content_type: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    take_back: Callable[[], None] | None = None

    def head(self, clock_s: float = 0.0) -> bytes:
        """Status line and headers, with the empty line behind them; the date is that of a clock `clock_s` seconds ahead."""
        date = format_datetime(datetime.now(UTC) + timedelta(seconds=clock_s), usegmt=True)
        lines = [f"HTTP/1.1 {self.status} {REASONS.get(self.status, 'Error')}", "Server: Microsoft-HTTPAPI/2.0", f"Date: {date}"]
        if self.content_type:
            lines.append(f"Content-Type: {self.content_type}")
        lines += [f"{name}: {value}" for name, value in self.headers]
        lines.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join((*lines, "", "")).encode("latin-1")


def read_request(reader: IO[bytes]) -> Request | None:
    """The next request of a connection; None at its end, or where it is not HTTP."""
    lines = list(_head(reader))
    if len(lines) < 2 or lines[-1] not in (b"\r\n", b"\n"):
        return None
    words = lines[0].decode("latin-1").split()
    if len(words) != 3:
        return None
    headers: dict[str, str] = {}
    for line in lines[1:-1]:
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit()) or int(length) > MAX_BODY_BYTES:
        return None
    # Read in full before any answer: a client that still writes would see a reset instead of its 401.
    body = reader.read(int(length))
    return Request(words[0], words[1], headers, body, sum(map(len, lines)) + len(body))


def _head(reader: IO[bytes]) -> Iterator[bytes]:
    size = 0
    while size < MAX_HEAD_BYTES:
        line = reader.readline(MAX_HEAD_BYTES)
        if not line:
            return
        size += len(line)
        yield line
        if line in (b"\r\n", b"\n"):
            return
