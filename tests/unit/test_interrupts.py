"""What a press of Ctrl-C means: before, while and after something is written."""

from __future__ import annotations

import pytest

from lyncarr.core.interrupts import Interrupts, StopNow


def test_while_looking_the_first_press_stops() -> None:
    interrupts = Interrupts()
    with pytest.raises(StopNow):
        interrupts.pressed()
    assert interrupts.requested


def test_while_writing_the_first_press_is_remembered_and_the_second_stops() -> None:
    interrupts = Interrupts()
    with interrupts.writing():
        assert interrupts.pressed() is True
        assert interrupts.requested
        with pytest.raises(StopNow):
            interrupts.pressed()


def test_between_two_units_a_press_stops() -> None:
    interrupts = Interrupts()
    with interrupts.writing():
        pass
    with pytest.raises(StopNow):
        interrupts.pressed()


def test_after_the_end_a_press_does_nothing() -> None:
    interrupts = Interrupts()
    interrupts.end()
    assert interrupts.pressed() is False
    assert not interrupts.requested


def test_stopping_is_no_error_that_a_handler_could_take() -> None:
    assert not issubclass(StopNow, Exception)
