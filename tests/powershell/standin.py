"""The compiled stand-in for IIS' configuration library, kept between test runs and shared by all test processes."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

from filelock import FileLock

from tests.powershell.inetsrv import STANDINS

SOURCE = STANDINS / "Iis.cs"
COMPILE = Path(__file__).with_name("compile.ps1")
CACHE = Path(__file__).parents[2] / ".cache" / "standins"
LONGEST_COMPILATION_S = 600


def assembly(pwsh: str, cache: Path = CACHE) -> Path:
    """Path of Iis.cs compiled by the engine `pwsh`; compiled now if `cache` does not hold it.

    The file name has a digest of the source, of compile.ps1, and of the engine's path, size and time, so a change of any of them
    compiles again. A second process waits for the first one. CalledProcessError when the source does not compile.
    """
    engine = Path(pwsh).resolve()
    status = engine.stat()
    digest = hashlib.sha256(f"{engine} {status.st_size} {status.st_mtime_ns}\n".encode())
    for path in (SOURCE, COMPILE):
        digest.update(path.read_bytes())
    # The digest is the folder's name, because an assembly is called as its file.
    compiled = cache / digest.hexdigest()[:16] / "Microsoft.Web.Administration.dll"
    compiled.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(compiled.with_suffix(".lock"), timeout=2 * LONGEST_COMPILATION_S):
        if not compiled.exists():
            building = compiled.with_name(f"building-{os.getpid()}") / compiled.name
            building.parent.mkdir(exist_ok=True)
            command = [pwsh, "-NoProfile", "-NonInteractive", "-File", str(COMPILE), str(SOURCE), str(building)]
            subprocess.run(command, check=True, timeout=LONGEST_COMPILATION_S)
            # A process that ends in the middle leaves no half of an assembly under the name that others look for.
            building.rename(compiled)
            building.parent.rmdir()
    return compiled
