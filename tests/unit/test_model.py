"""Secrets show themselves through one door, and a changed clock moves no deadline."""

from __future__ import annotations

import copy
import json
import pickle
import time

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError

from lyncarr.core.model import Deadline, Secret

CANARY = "s3cr3t-canary"


def test_a_secret_shows_nothing() -> None:
    secret = Secret(CANARY)
    for text in (str(secret), repr(secret), f"{secret}", f"{secret!r:>20}", f"{secret}", str([secret]), str({"a": secret})):
        assert CANARY not in text
        assert "***" in text
    assert secret.reveal() == CANARY


def test_a_secret_goes_into_no_file() -> None:
    secret = Secret(CANARY)
    for leave in (pickle.dumps, copy.copy, copy.deepcopy, json.dumps):
        with pytest.raises(TypeError):
            leave(secret)
    with pytest.raises(TypeError):
        vars(secret)


def test_a_secret_is_not_in_what_pydantic_says() -> None:
    class Model(BaseModel):
        model_config = ConfigDict(arbitrary_types_allowed=True, hide_input_in_errors=True)
        secret: Secret
        number: int

    assert CANARY not in repr(Model(secret=Secret(CANARY), number=1))
    with pytest.raises(ValidationError) as caught:
        Model(secret=Secret(CANARY), number="x")  # type: ignore[arg-type]
    assert CANARY not in str(caught.value)


def test_secrets_are_equal_by_their_values() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a")}) == 1


@pytest.mark.parametrize("jump_s", [-86_400.0, 86_400.0])
def test_a_wall_clock_that_jumps_moves_no_deadline(jump_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
    deadline, now = Deadline(10_000), time.time()
    monkeypatch.setattr(time, "time", lambda: now + jump_s)
    assert 5_000 < deadline.left() < 10_001
    assert not deadline.passed


def test_a_deadline_passes() -> None:
    assert Deadline(0).passed
    assert Deadline(0).left() == 0.0
