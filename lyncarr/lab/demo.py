"""`make demo`: the whole story on a simulated host, with the real console script and the real wire; nothing of Windows is in it."""

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
    """Run the demonstration; 0 when every command ended as the story says."""
    console = Console(highlight=False)

    def tell(text: str) -> None:
        console.print(Text(text, style="bold cyan"), soft_wrap=True)

    def run(expected: int, *words: str) -> bool:
        tell(f"\n$ lyncarr {' '.join(words)} --host {HOST}")
        done = subprocess.run(  # noqa: S603  (this package's own commands)
            [*LYNCARR, *words, "--host", HOST], cwd=folder, stdin=subprocess.DEVNULL, timeout=COMMAND_S
        )
        tell(f"(exit code {done.returncode})")
        if done.returncode != expected:
            tell(f"This should have been {expected}.")
        return done.returncode == expected

    with tempfile.TemporaryDirectory(prefix="lyncarr-demo-") as folder:
        lab = subprocess.Popen(  # noqa: S603
            [*LYNCARR, "lab", "--preset", "blank", "--folder", folder, "--output", "json"], stdout=subprocess.PIPE, text=True
        )
        try:
            line = lab.stdout.readline() if lab.stdout else ""
            if not line:
                tell("The simulated server did not start; see above.")
                return 1
            ready = json.loads(line)
            tell(
                f"A simulated Windows server answers on {ready['address']}:{ready['https_port']}. It replays states and runs no PowerShell."
            )
            tell("What would change on it?")
            good = run(2, "plan")
            tell("\nChange it.")
            good = run(0, "provision", "--yes") and good
            tell("\nAgain: there is nothing to do.")
            good = run(0, "provision", "--yes") and good
            tell("\nNow somebody sets a time-out back to ARR's 30 seconds, by hand, on the server.")
            _drift(Path(folder) / STATE_NAME)
            good = run(2, "plan") and good
            good = run(0, "provision", "--yes") and good
        finally:
            lab.terminate()
            lab.wait(timeout=END_S)
    tell("\nThat was all of it." if good else "\nSomething did not go as it should; see above.")
    return 0 if good else 1


def _drift(store: Path) -> None:
    states = json.loads(store.read_text(encoding="utf-8"))
    farms = states["proxy-timeout"]
    next(iter(farms.values()))["timeout_s"] = 30
    store.write_text(json.dumps(states), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
