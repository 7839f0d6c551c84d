"""The one comparison: what differs between an observed and a desired state. Pure."""

from __future__ import annotations

from lyncarr.core.model import Change, State, Value


def same(a: Value | None, b: Value | None) -> bool:
    """Equal and of the same type: True is not 1 here."""
    return type(a) is type(b) and a == b


def diff(observed: State, desired: State) -> tuple[Change, ...]:
    """Changes that lead from `observed` to `desired`, in desired's order.

    What `desired` does not mention is nobody's business here: an item or attribute only in `observed` is no difference.
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
