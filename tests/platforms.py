"""Which tests a system cannot run, and why. The runs on Windows Python print these reasons, so each says what it is about."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

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


def own_python(folder: Path) -> str:
    """A program in `folder` that is this Python, for `command:`, which refuses a program that other users can change.

    The Python of the tests may belong to another user, such as that of a checkout in a container.
    """
    if WINDOWS:
        return sys.executable
    launcher = folder / "python"
    launcher.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    launcher.chmod(0o700)
    return str(launcher)
