"""`python -m tools.bundle [--python 3.12 ...] [--folder dist]`: one zip file with wheels, requirements with hashes, and how to install."""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from tools.bundle.complete import metadata, problems

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[1]
PYTHONS = ("3.11", "3.12", "3.13")
EXTRAS = ("keyring", "lab")
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of each entry, so that the same wheels make the same file."""


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.bundle", description=__doc__)
    parser.add_argument("--python", action="append", metavar="VERSION", choices=PYTHONS, help="a version of Python; can be repeated")
    parser.add_argument("--folder", type=Path, default=CHECKOUT / "dist")
    options = parser.parse_args(words)
    print(bundle(options.folder, options.python or PYTHONS))
    return 0


def bundle(folder: Path, pythons: Sequence[str] = PYTHONS) -> Path:
    """Make the zip file in `folder` and return its path. Needs the package index."""
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        wheels = work / "wheels"
        _run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", wheels], cwd=CHECKOUT)
        (own,) = wheels.glob("lyncarr-*.whl")
        for python in pythons:
            pins = resolved(python)
            _download(wheels, pins, python)
            chosen = [own, *_chosen(wheels, pins)]
            if missing := problems(chosen, "lyncarr", EXTRAS, python):
                raise SystemExit("The wheels are not complete:\n" + "\n".join(missing))
            (work / f"requirements-{python}.txt").write_text(_requirements(chosen), "ascii", newline="\n")
        version = own.name.split("-")[1]
        text = (HERE / "install.txt").read_text("ascii").replace("VERSION", version).replace("PYTHONS", _listed(pythons))
        (work / "README.txt").write_text(text, "ascii", newline="\r\n")
        files = sorted(file.relative_to(work).as_posix() for file in work.rglob("*") if file.is_file())
        sums = "".join(f"{_sha256(work / file)}  {file}\n" for file in files)
        (work / "SHA256SUMS").write_text(sums, "ascii", newline="\r\n")
        folder.mkdir(parents=True, exist_ok=True)
        made = folder / f"lyncarr-{version}-windows.zip"
        _zip(made, work, [*files, "SHA256SUMS"])
    return made


def resolved(python: str) -> list[str]:
    """`name==version` of everything that lyncarr needs on Windows with this Python.

    By uv, because pip judges markers such as sys_platform by the machine on which it runs, and would leave out what only Windows needs.
    """
    extras = [word for extra in EXTRAS for word in ("--extra", extra)]
    shape = ["--python-platform", "windows", "--python-version", python, "--only-binary", ":all:"]
    output = ["--no-header", "--no-annotate", "--quiet"]
    text = _run([sys.executable, "-m", "uv", "pip", "compile", "pyproject.toml", *extras, *shape, *output], cwd=CHECKOUT)
    return [line for line in text.splitlines() if "==" in line]


def _download(wheels: Path, pins: Iterable[str], python: str) -> None:
    platform = ["--platform", "win_amd64", "--python-version", python, "--implementation", "cp"]
    abis = ["--abi", f"cp{python.replace('.', '')}", "--abi", "abi3", "--abi", "none"]
    _run([sys.executable, "-m", "pip", "download", "-qqq", "--no-deps", "--only-binary=:all:", *platform, *abis, "-d", wheels, *pins])


def _chosen(wheels: Path, pins: Iterable[str]) -> list[Path]:
    """The wheels of `pins`: of a package with extension modules there is one for each Python."""
    wanted = {tuple(pin.split("==")) for pin in pins}
    return [wheel for wheel in sorted(wheels.glob("*.whl")) if _name_and_version(wheel) in wanted]


def _requirements(wheels: Iterable[Path]) -> str:
    hashes: dict[tuple[str, ...], list[str]] = {}
    for wheel in wheels:
        hashes.setdefault(_name_and_version(wheel), []).append(_sha256(wheel))
    return "".join(
        f"{name}=={version}" + "".join(f" \\\n    --hash=sha256:{digest}" for digest in digests) + "\n"
        for (name, version), digests in sorted(hashes.items())
    )


def _name_and_version(wheel: Path) -> tuple[str, ...]:
    """From its metadata, the name as indexes write it."""
    head = metadata(wheel)
    return canonicalize_name(str(head["Name"])), str(head["Version"])


def _listed(pythons: Sequence[str]) -> str:
    return pythons[0] if len(pythons) == 1 else f"{', '.join(pythons[:-1])} or {pythons[-1]}"


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _zip(made: Path, folder: Path, files: Iterable[str]) -> None:
    with zipfile.ZipFile(made, "w") as archive:
        for name in files:
            archive.writestr(zipfile.ZipInfo(name, EPOCH), (folder / name).read_bytes(), zipfile.ZIP_STORED)


def _run(command: Sequence[Any], cwd: Path | None = None) -> str:
    done = subprocess.run([os.fspath(word) for word in command], cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command[1:4]))} failed:\n{done.stderr.strip()[-2000:]}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
