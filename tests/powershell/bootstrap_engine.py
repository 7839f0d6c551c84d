"""The console script of lyncarr bootstrap in a real PowerShell, over a server in memory that takes the place of its platform layer."""

from __future__ import annotations

import copy
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lyncarr.powershell import bootstrap
from lyncarr.powershell.bundle import read_snippet
from tests.patience import HANG_S
from tools.snippets.snippet_coverage import driver_command, to_load

HERE = Path(__file__).parent / "bootstrap"
RECORDINGS: list[Path | None] = []

SERVER: dict[str, Any] = {
    "account": {"Computer": "RP01", "Name": "RP01\\Administrator", "Sid": "S-1-5-21-1-2-3-500", "Elevated": True, "Network": False},
    "addresses": ["192.0.2.10"],
    "facing": {},
    "registry": {},
    "service": {"Start": "Automatic", "Running": True},
    "listeners": [{"Transport": "HTTP", "Address": "*", "Port": "5985", "Enabled": "true", "CertificateThumbprint": ""}],
    "listening": ["127.0.0.1", "192.0.2.10"],
    "options": [],
    "certificates": {},
    "firewall": True,
    "rule": None,
    "others": {},
    "profile": {},
    "answers": [],
    "names": {},
    "refused": None,
    "deaf": False,
}
"""A server as Windows leaves it after setup."""


def composed() -> str:
    """The printed text with the simulated functions laid over the platform layer."""
    parts = [read_snippet(f"{bootstrap.FOLDER}/{name}") for name in bootstrap.PARTS]
    return bootstrap.compose((*parts, (HERE / "windows.ps1").read_text(encoding="ascii")))


def pieces() -> list[tuple[str, str]]:
    """(file, text) of each shipped part outside the platform layer. The entry point is the frame around the rest."""
    head, _, tail = bootstrap.compose(("@",)).partition("\n@\n")
    main, logic = (f"{bootstrap.FOLDER}/{name}" for name in (bootstrap.MAIN, bootstrap.PARTS[0]))
    return [(main, head), (logic, read_snippet(logic)), (main, tail.lstrip("\n"))]


@dataclass(frozen=True)
class Said:
    """What a run printed, its exit code, and the server afterwards."""

    lines: list[str]
    code: int
    server: dict[str, Any]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


class Console:
    """One PowerShell process; each run is the script from its beginning."""

    def __init__(self, pwsh: str, folder: Path) -> None:
        script = folder / "script.ps1"
        script.write_text(composed(), encoding="ascii")
        run = to_load(script, folder / "counted.ps1")
        RECORDINGS.append(run.recording)
        self.process = subprocess.Popen(
            driver_command(pwsh, HERE / "driver.ps1", [run], [str(run.loaded)]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )

    def close(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(timeout=HANG_S)

    def run(self, server: dict[str, Any], **arguments: Any) -> Said:
        """Run with the script's parameters, of which a switch is True; `server` stays as it is."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps({"machine": copy.deepcopy(server), "arguments": arguments}) + "\n")
        self.process.stdin.flush()
        lines: list[str] = []
        for line in self.process.stdout:
            if line.startswith("END "):
                ended = json.loads(line.removeprefix("END "))
                return Said(lines, ended["code"], ended["machine"])
            lines.append(line.rstrip("\n"))
        raise AssertionError(f"the process ended: {lines[-5:]}")
