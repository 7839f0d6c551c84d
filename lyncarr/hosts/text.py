"""A host's text inside messages of ours."""

from __future__ import annotations


def harmless(text: object, limit: int = 200) -> str:
    """`text` in one line of printable ASCII, cut after `limit` characters: whoever answers there wrote it."""
    return str(text)[:limit].encode("unicode_escape").decode("ascii")
