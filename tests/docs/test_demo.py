"""The demo succeeds, and its output contains the transcript of the README."""

from __future__ import annotations

import subprocess
import sys

from tools.docs.documents import ROOT, blocks


def test_demo() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lyncarr.lab.demo"], cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    shown = next(block.text for block in blocks(ROOT / "README.md", "console") if "timeout 30 s -> 900 s" in block.text)
    assert shown in done.stdout
