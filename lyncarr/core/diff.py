"""The only comparison of an observed with a desired state. Pure."""

from __future__ import annotations

from lyncarr.core.model import Change, State, Value


def same(a: Value | None, b: Value | None) -> bool:
    """Equal and of the same type: True and 1 differ here."""
    return type(a) is type(b) and a == b


def diff(observed: State, desired: State) -> tuple[Change, ...]:
    """The changes that lead from `observed` to `desired`, in the order of `desired`.

    An item or attribute that only `observed` has is no difference: lyncarr does not manage it.
    """
    changes: list[Change] = []
    for item, attributes in desired.items():
        have = observed.get(item)
        if have is None:
            changes.append(Change(item, None, None, attributes))
            continue
        for name, value in attributes.items():
            before = have.get(name)
            if not same(before, value):
                changes.append(Change(item, name, before, value))
    return tuple(changes)
