"""Builds the Windows Python: each part into a new folder, which gets its name when it is complete."""

from __future__ import annotations

import fnmatch
import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock

from tools.windows_python.place import COMPILER, DUMP, HERE, Place, parts, place, requirements, wine, wineserver


class CannotBuildError(Exception):
    """Something is missing on this machine; the text says what."""


def missing() -> str:
    """What this machine lacks for a Windows Python, as the end of a sentence; "" where it has everything."""
    made = parts()
    if wine() is None:
        return "wine64 is not installed"
    if shutil.which(COMPILER) is None:
        return f"{COMPILER} is not installed (Debian: gcc-mingw-w64-x86-64-win32)"
    if not sys.version.startswith(f"{made['python']}."):
        # The standard library comes from the Python that runs this, and must be of the version of python311.dll.
        return f"it needs Python {made['python']}, and this is Python {sys.version.split()[0]}"
    return ""


def build(say: Callable[[str], None]) -> Place:
    """The place with a complete Windows Python. Builds it where it is not there. Raises CannotBuildError."""
    if reason := missing():
        raise CannotBuildError(reason)
    target = place()
    target.folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.folder.with_suffix(".lock")):
        if target.folder.is_dir():
            return target
        building = Place(target.folder.with_suffix(".building"))
        if building.folder.exists():
            shutil.rmtree(building.folder)
        for name, part in (
            ("DLLs and extension modules", _libraries),
            ("standard library", _standard_library),
            ("python.exe and two DLLs", _compiled),
            ("packages", _packages),
            ("simulated Windows", _prefix),
        ):
            say(name)
            part(building)
        building.folder.rename(target.folder)
        _prune(target)
    return target


def _libraries(place: Place) -> None:
    made = parts()
    place.downloads.mkdir(parents=True, exist_ok=True)
    name = made["carrier"].partition("==")[0]
    found = list(place.downloads.glob(f"{name}-*.whl"))
    if not found:
        _download(place.downloads, [made["carrier"]], "--no-deps")
        found = list(place.downloads.glob(f"{name}-*.whl"))
    digest = hashlib.sha256(found[0].read_bytes()).hexdigest()
    if digest != made["carrier_sha256"]:
        found[0].unlink()
        raise CannotBuildError(f"{found[0].name} has the SHA-256 {digest}, which is not the one of parts.toml")
    unused, beside = tuple(made["unused"]), made["beside"]
    (place.folder / "DLLs").mkdir(parents=True)
    with zipfile.ZipFile(found[0]) as archive:
        for name in archive.namelist():
            folder, _, file = name.rpartition("/")
            if folder == "deploy_libs" and file.lower().endswith((".dll", ".pyd")) and not file.lower().startswith(unused):
                to = place.folder / file.lower() if file.lower() in beside else place.folder / "DLLs" / file
                to.write_bytes(archive.read(name))


def _standard_library(place: Place) -> None:
    patterns = parts()["library_unused"]

    def unused(folder: str, names: list[str]) -> list[str]:
        return [name for name in names if any(fnmatch.fnmatch(name, pattern) for pattern in patterns)]

    shutil.copytree(sysconfig.get_path("stdlib"), place.folder / "Lib", ignore=unused)


def _compiled(place: Place) -> None:
    sources = HERE / "sources"
    _run([COMPILER, "-O2", "-municode", "-o", place.program, sources / "python.c"])
    _run([COMPILER, "-O2", "-shared", "-o", place.folder / "bcryptprimitives.dll", sources / "bcryptprimitives.c", "-ladvapi32"])
    # The stable ABI, which some wheels use: every export leads on to python311.dll.
    dump = _run([DUMP, "-p", place.folder / "python311.dll"])
    table = dump.partition("[Ordinal/Name Pointer] Table")[2]
    names = re.findall(r"^\t\[.*\] (?:\+base\[.*\] +[0-9a-f]+ )?(\S+)$", table, re.MULTILINE)
    with tempfile.TemporaryDirectory() as folder:
        exports = Path(folder) / "python3.def"
        exports.write_text("LIBRARY python3.dll\nEXPORTS\n" + "".join(f"{name} = python311.{name}\n" for name in names))
        _run([COMPILER, "-shared", "-nostartfiles", "-e", "DllMain", "-o", place.folder / "python3.dll", sources / "forward.c", exports])


def _packages(place: Place) -> None:
    wheels = place.downloads / "wheels"
    shutil.rmtree(wheels, ignore_errors=True)
    _download(wheels, requirements())
    for wheel in sorted(wheels.glob("*.whl")):
        if wheel.name.split("-")[0].lower() not in parts()["linux_only"]:
            _unpack(wheel, place.packages)
    subprocess.run([sys.executable, "-m", "compileall", "-q", place.folder / "Lib"], stdout=subprocess.DEVNULL, check=False)


def _unpack(wheel: Path, packages: Path) -> None:
    """The files of a wheel, without its scripts: no test starts one."""
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            words = name.split("/")
            if words[0].endswith(".data"):
                if words[1] not in ("purelib", "platlib"):
                    continue
                words = words[2:]
            if words[-1]:
                to = packages.joinpath(*words)
                to.parent.mkdir(parents=True, exist_ok=True)
                to.write_bytes(archive.read(name))


def _prefix(place: Place) -> None:
    program, environment = wine(), place.environment()
    place.prefix.mkdir(parents=True)
    for words in (
        ["wineboot", "-i"],
        ["winecfg", "-v", "win10"],
        # As a network drive: else Wine complains of a device that may not be read, on standard error.
        ["reg", "add", r"HKLM\Software\Wine\Drives", "/v", "z:", "/d", "network", "/f"],
    ):
        subprocess.run([str(program), *words], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    if not (place.prefix / "system.reg").exists():
        # wineboot returns before the registry is written.
        stop(place)
    if not (place.prefix / "system.reg").exists():
        raise CannotBuildError("Wine made no registry")
    stop(place)


def stop(place: Place) -> None:
    """End every process of the simulated Windows."""
    server = wineserver()
    if server is not None:
        for option in ("-k", "-w"):
            subprocess.run([server, option], env=place.environment(), stderr=subprocess.DEVNULL, check=False, timeout=60)


def _download(folder: Path, wanted: Sequence[str], *options: str) -> None:
    platform = ["--platform", "win_amd64", "--python-version", parts()["python"], "--implementation", "cp"]
    abis = ["--abi", "cp311", "--abi", "abi3", "--abi", "none"]
    _run([sys.executable, "-m", "pip", "download", "-qqq", "--only-binary=:all:", *platform, *abis, *options, "-d", folder, *wanted])


def _run(command: Sequence[Any]) -> str:
    done = subprocess.run([os.fspath(word) for word in command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotBuildError(f"{Path(command[0]).name} failed: {done.stderr.strip()[-2000:]}")
    return done.stdout


def _prune(kept: Place) -> None:
    """Remove the Pythons of earlier inputs."""
    for other in kept.folder.parent.iterdir():
        if re.fullmatch(r"[0-9a-f]{12}(\.building)?", other.name) and other != kept.folder:
            shutil.rmtree(other, ignore_errors=True)
            other.with_suffix(".lock").unlink(missing_ok=True)
