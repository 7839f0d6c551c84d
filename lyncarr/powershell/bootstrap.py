"""The script that opens WinRM over HTTPS on a host: a constant text that its administrator runs on the console. It is sent nowhere."""

from __future__ import annotations

from lyncarr.powershell.bundle import SNIPPETS_LINE, read_snippet

FOLDER = "bootstrap"
MAIN = "_main.ps1"
PARTS = ("_bootstrap.ps1", "_windows.ps1")


def compose(parts: tuple[str, ...]) -> str:
    """The entry point with the texts `parts` in the place of its snippets line."""
    texts = "\n\n".join(text.rstrip("\n") for text in parts)
    return read_snippet(f"{FOLDER}/{MAIN}").replace(SNIPPETS_LINE, texts)


def script() -> str:
    """What `lyncarr bootstrap` prints: ASCII, LF line ends, the same for all users of a release."""
    return compose(tuple(read_snippet(f"{FOLDER}/{name}") for name in PARTS))
