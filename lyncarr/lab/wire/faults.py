"""What can go wrong on the wire, on purpose. One object for one server, and it may be changed while the server runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class At:
    """Which requests a fault hits: number `first` to `last` (default: that one only), counted from 1.

    Counted are messages (SOAP requests that came through authentication, the default) or all HTTP requests, those of
    authentication among them. Faults of answers to messages hit nothing else even where all requests are counted.
    """

    first: int
    last: int | None = None
    over: Literal["messages", "requests"] = "messages"

    def hits(self, request: int, message: int | None) -> bool:
        number = message if self.over == "messages" else request
        return number is not None and self.first <= number <= (self.first if self.last is None else self.last)


def every(over: Literal["messages", "requests"] = "messages", first: int = 1) -> At:
    """All requests from `first` on."""
    return At(first, 1 << 60, over)


def hits(at: At | None, request: int, message: int | None) -> bool:
    return at is not None and at.hits(request, message)


@dataclass
class Faults:
    """Nothing is wrong by default."""

    silent: bool = False
    """Connections are accepted, and nothing is ever said on them."""
    web_server: bool = False
    """Another web server: a page for people to every request, whoever asks."""
    clock_s: float = 0.0
    """So far is the clock ahead, as the header Date of every answer tells it."""
    refuse_shell: int | None = None
    """WSMan fault of this code to Create: no rights (5), or a quota that is used up (0x803381A5)."""
    refuse_authentication: bool = False
    """401 whatever is shown."""
    refuse_after: int | None = None
    """401 for everything after so many messages, as after a password change."""
    unavailable: int = 0
    """503 with Retry-After for the first so many requests."""
    retry_after_s: int = 1
    latency_s: float = 0.0
    """Waited before each answer."""
    redirect: At | None = None
    """Answered with `redirect_status` and `redirect_to` before authentication, so all requests are counted."""
    redirect_status: int = 302
    redirect_to: str = "http://127.0.0.1:9/wsman"
    cut_request: At | None = None
    """Connection reset after the request was read: it was never carried out."""
    cut_answer: At | None = None
    """Carried out, then the connection is reset instead of answered."""
    cut_after: At | None = None
    """Carried out and answered, then the connection is closed."""
    torn: At | None = None
    """Carried out, half of the answer is sent, then the connection is reset."""
    unavailable_at: At | None = None
    """503 to a message, which is not carried out: its service is being restarted."""
    stall: At | None = None
    """Carried out, never answered, connection left open."""
    drip: At | None = None
    """The answer comes one byte every `drip_interval_s`."""
    drip_interval_s: float = 0.05
    plaintext: At | None = None
    """The answer of a sealed session is not sealed."""
    gzip: At | None = None
    """Content-Encoding: gzip. Together with `oversized` it makes a bomb."""
    doctype: At | None = None
    """The answer declares a document type with an entity."""
    wrong_relates_to: At | None = None
    html: At | None = None
    """200 and a page for people, as a captive portal answers."""
    oversized: At | None = None
    """A body of `oversized_bytes`."""
    oversized_bytes: int = 16 * 1024 * 1024
    garbage: At | None = None
    """The first answer to a Receive for a command, from there on, holds what is no output: a PSRP fragment that is none."""
    host_call: At | None = None
    """The first answer to a Receive for a command, from there on, holds a call of the client's host: read a line.

    Over PSRP only; WinRS has no such thing."""
