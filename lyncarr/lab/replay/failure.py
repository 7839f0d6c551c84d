"""How a request to the replayed host fails: the members of the contract's event `failed`."""

from __future__ import annotations


class Failed(Exception):
    """Ends a request. `kind` is one of the contract's failure kinds, `str()` the text, `step` None where no step is the cause."""

    def __init__(self, kind: str, text: str, step: str | None = None, hint: str = "") -> None:
        super().__init__(text)
        self.kind = kind
        self.step = step
        self.hint = hint


def needs(step: str, reason: str) -> Failed:
    """The failure of a step that another step must precede."""
    return Failed("needs", f"needs step {step}: {reason}", hint=f"Run the command with --step {step} as well, or without --step.")
