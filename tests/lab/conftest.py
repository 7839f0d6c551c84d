"""What the tests of both transports share."""

from __future__ import annotations

import pytest

from tests.lab.console import Bench

TRANSPORTS = ("psrp", "winrs")


@pytest.fixture(params=TRANSPORTS)
def transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each in turn, for every bench of the test."""
    name: str = request.param
    monkeypatch.setattr(Bench, "transport", name)
    return name
