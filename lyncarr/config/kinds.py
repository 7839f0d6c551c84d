"""The kinds of farms, and the values that a farm has where the configuration file gives none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

FarmKind: TypeAlias = Literal["lync", "office-web-apps"]
HttpPolicy: TypeAlias = Literal["remove", "redirect", "forward"]
"""What happens to requests without TLS: no rule answers, a redirect to https, or a rule to the servers' port for HTTP."""


@dataclass(frozen=True)
class Ports:
    """The TCP ports of the servers behind a farm, for HTTP and for HTTPS."""

    http: int
    https: int


KINDS: Mapping[FarmKind, Ports] = {"lync": Ports(8080, 4443), "office-web-apps": Ports(80, 443)}
"""Kind -> its default ports.

The external web site of Lync listens on 8080 and 4443. An Office Web Apps farm has one site for internal and external requests.
"""

TIMEOUT_S = 900
"""Seconds that ARR waits for a server. Mobile clients hold a request open for up to 15 minutes."""
