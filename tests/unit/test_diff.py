from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lyncarr.core.diff import diff
from lyncarr.core.model import Change, State, Value

names = st.text(min_size=1, max_size=6)
values = st.one_of(st.booleans(), st.integers(-10, 10), st.text(max_size=4), st.lists(st.text(max_size=3), max_size=3).map(tuple))
states = st.dictionaries(names, st.dictionaries(names, values, max_size=4), max_size=4)


def laid_over(observed: State, changes: tuple[Change, ...]) -> State:
    result: dict[str, dict[str, Value]] = {item: dict(attributes) for item, attributes in observed.items()}
    for change in changes:
        if change.attribute is None:
            result[change.item] = dict(change.after)  # type: ignore[arg-type]
        else:
            result[change.item][change.attribute] = change.after  # type: ignore[assignment]
    return result


@given(states)
def test_a_state_does_not_differ_from_itself(state: State) -> None:
    assert diff(state, state) == ()


@given(states, states)
def test_laying_the_changes_over_gives_the_desired_state(observed: State, desired: State) -> None:
    assert diff(laid_over(observed, diff(observed, desired)), desired) == ()


@given(states, states)
def test_only_what_is_desired_is_compared(observed: State, desired: State) -> None:
    for change in diff(observed, desired):
        assert change.item in desired
        assert change.attribute is None or change.attribute in desired[change.item]


def test_true_is_not_one_and_an_absent_attribute_is_no_false() -> None:
    assert diff({"a": {"x": 1}}, {"a": {"x": True}}) == (Change("a", "x", 1, True),)
    assert diff({"a": {}}, {"a": {"x": False}}) == (Change("a", "x", None, False),)


def test_an_absent_item_appears_whole_even_without_attributes() -> None:
    assert diff({}, {"a": {}}) == (Change("a", None, None, {}),)


def test_changes_stand_in_the_desired_order() -> None:
    desired: State = {"b": {"y": 1, "x": 2}, "a": {"z": 3}}
    assert [(c.item, c.attribute) for c in diff({"a": {}, "b": {}}, desired)] == [("b", "y"), ("b", "x"), ("a", "z")]
