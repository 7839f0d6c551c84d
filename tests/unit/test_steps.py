"""What must be true of every declaration of a step."""

from __future__ import annotations

import inspect

import pytest

from lyncarr.core.model import Step
from lyncarr.steps import STEPS

DERIVED = ("desired", "parameters", "secrets", "files")


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_what_a_step_reads_has_its_real_type(step: Step) -> None:
    """With `Any` a misspelt name, such as `farm.timeouts`, would pass mypy and fail on a host."""
    own = [vars(type(step))[name] for name in DERIVED if name in vars(type(step))]
    assert own
    for method in own:
        assert inspect.signature(method).parameters["site"].annotation == "Prepared", method.__qualname__
