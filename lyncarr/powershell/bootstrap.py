"""The console script that enables WinRM over HTTPS on a host: a constant text, which an administrator runs at the console of the host."""

from __future__ import annotations

from lyncarr.powershell.bundle import SNIPPETS_LINE, read_snippet

FOLDER = "bootstrap"
MAIN = "_main.ps1"
PARTS = ("_bootstrap.ps1", "_windows.ps1")


def compose(parts: tuple[str, ...]) -> str:
    """The text of the entry point, with the texts `parts` in place of its snippets line."""
    texts = "\n\n".join(text.rstrip("\n") for text in parts)
    return read_snippet(f"{FOLDER}/{MAIN}").replace(SNIPPETS_LINE, texts)


def script() -> str:
    """The text that `lyncarr bootstrap` prints: ASCII with LF line ends, constant for a release."""
    return compose(tuple(read_snippet(f"{FOLDER}/{name}") for name in PARTS))
