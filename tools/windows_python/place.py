"""Where the Windows Python is, and what its folder depends on."""

from __future__ import annotations

import hashlib
import os
import shutil
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[1]
CACHE_VARIABLE = "LYNCARR_WINDOWS_PYTHON"
COMPILER = "x86_64-w64-mingw32-gcc"
DUMP = "x86_64-w64-mingw32-objdump"


@dataclass(frozen=True)
class Place:
    """`folder` holds python.exe and its libraries, and in `prefix` the simulated Windows. Downloads are kept beside it."""

    folder: Path

    @property
    def prefix(self) -> Path:
        return self.folder / "prefix"

    @property
    def program(self) -> Path:
        return self.folder / "python.exe"

    @property
    def packages(self) -> Path:
        return self.folder / "Lib" / "site-packages"

    @property
    def downloads(self) -> Path:
        return self.folder.parent / "downloads"

    def environment(self) -> dict[str, str]:
        """For a process on this Python. It writes no bytecode: the checkout's is that of the Python of this system."""
        return os.environ | {
            "WINEPREFIX": str(self.prefix),
            "WINEARCH": "win64",
            "WINEDEBUG": "-all",
            "DISPLAY": "",
            "PYTHONDONTWRITEBYTECODE": "1",
        }


def parts() -> dict[str, Any]:
    """parts.toml."""
    return tomllib.loads((HERE / "parts.toml").read_text("utf-8"))


def requirements() -> list[str]:
    """The packages of lyncarr and of its tests, as pyproject.toml and parts.toml name them."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text("utf-8"))["project"]
    made = parts()
    extras = [requirement for extra in made["extras"] for requirement in project["optional-dependencies"][extra]]
    return [*project["dependencies"], *extras, *made["tests"], *made["windows_only"]]


def wine() -> str | None:
    """The program wine64, None where there is none."""
    found = shutil.which("wine64")
    return found or next((path for path in ("/usr/lib/wine/wine64",) if os.access(path, os.X_OK)), None)


def wineserver() -> str | None:
    found = shutil.which("wineserver")
    return found or next((p for p in ("/usr/lib/wine/wineserver64", "/usr/lib/wine/wineserver") if os.access(p, os.X_OK)), None)


def place() -> Place:
    """The place for the present inputs: a change of the sources, the requirements or of Wine leads to another folder."""
    named = os.environ.get(CACHE_VARIABLE)
    cache = Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lyncarr" / "windows-python"
    digest = hashlib.sha256()
    for file in [*sorted(HERE.glob("sources/*.c")), HERE / "parts.toml", HERE / "build.py"]:
        digest.update(file.read_bytes())
    digest.update("\n".join(requirements()).encode())
    program = wine()
    if program is not None:
        status = Path(program).resolve().stat()
        digest.update(f"{status.st_size} {status.st_mtime_ns}".encode())
    return Place(cache.absolute() / digest.hexdigest()[:12])
