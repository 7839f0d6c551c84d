"""`make demo`: plan, provision, drift and repair on a simulated host, with the real command line and the real protocol, without Windows."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

from lyncarr.lab.command import HOST
from lyncarr.lab.folder import STATE_NAME

LYNCARR = [sys.executable, "-m", "lyncarr"]
COMMAND_S = 120
END_S = 30


def main() -> int:
    """Run the demo. Returns 0 if every command ended with the expected exit code."""
    console = Console(highlight=False)

    def show(text: str) -> None:
        console.print(Text(text, style="bold cyan"), soft_wrap=True)

    def run(expected: int, *words: str) -> bool:
        command = [words[0], HOST, *words[1:]]
        show(f"\n$ lyncarr {' '.join(command)}")
        done = subprocess.run(  # noqa: S603  (commands of this package)
            [*LYNCARR, *command], cwd=folder, stdin=subprocess.DEVNULL, timeout=COMMAND_S
        )
        show(f"(exit code {done.returncode})")
        if done.returncode != expected:
            show(f"Expected exit code: {expected}.")
        return done.returncode == expected

    with tempfile.TemporaryDirectory(prefix="lyncarr-demo-") as folder:
        lab = subprocess.Popen(  # noqa: S603
            [*LYNCARR, "lab", "--preset", "blank", "--folder", folder, "--output", "json"], stdout=subprocess.PIPE, text=True
        )
        try:
            line = lab.stdout.readline() if lab.stdout else ""
            if not line:
                show("The simulated server did not start. See the messages above.")
                return 1
            ready = json.loads(line)
            show(f"A simulated server listens on {ready['address']}:{ready['https_port']}. It replays states and runs no PowerShell.")
            show("Show what would change on the server:")
            good = run(2, "plan")
            show("\nApply the changes:")
            good = run(0, "provision", "--yes") and good
            show("\nRun the command again. There are no changes:")
            good = run(0, "provision", "--yes") and good
            show("\nA timeout is changed by hand on the server, to 30 seconds. lyncarr detects and repairs this:")
            _drift(Path(folder) / STATE_NAME)
            good = run(2, "plan") and good
            good = run(0, "provision", "--yes") and good
        finally:
            lab.terminate()
            lab.wait(timeout=END_S)
    show("\nThe demo is complete." if good else "\nThe demo failed. See the messages above.")
    return 0 if good else 1


def _drift(store: Path) -> None:
    states = json.loads(store.read_text(encoding="utf-8"))
    farms = states["proxy-timeout"]
    next(iter(farms.values()))["timeout_s"] = 30
    store.write_text(json.dumps(states), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
