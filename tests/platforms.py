"""Which tests a system cannot run, and why. The runs on Windows Python print these reasons, so each says what it is about."""

from __future__ import annotations

import os
import sys

import pytest


def _on_wine() -> bool:
    if sys.platform != "win32":
        return False
    import ctypes

    # Only Wine's ntdll exports this function.
    return hasattr(ctypes.windll.ntdll, "wine_get_version")


WINDOWS = os.name == "nt"
ON_WINE = _on_wine()


def posix(reason: str) -> pytest.MarkDecorator:
    """For a test of something that only POSIX has; `reason` names it."""
    return pytest.mark.skipif(os.name != "posix", reason=f"POSIX: {reason}")


def not_on_wine(reason: str) -> pytest.MarkDecorator:
    """For a test of something that works on Windows, but not on the Wine of the tests; `reason` names it."""
    return pytest.mark.skipif(ON_WINE, reason=f"Wine: {reason}")


def plain_environment() -> dict[str, str]:
    """An environment for lyncarr as a process of its own, without the settings of who runs the tests."""
    if not WINDOWS:
        return {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
    # Without SYSTEMROOT and its kind no socket opens. The encoding is the one in which the tests read.
    return {name: value for name, value in os.environ.items() if not name.upper().startswith(("LYNCARR", "PYTHON"))} | {
        "PYTHONIOENCODING": "utf-8"
    }
