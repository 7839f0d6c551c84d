"""`make bundle`, installed on the Windows Python as its README.txt says, except that no environment is made."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
import tempfile
import zipfile
from pathlib import Path

from tools.bundle.__main__ import bundle
from tools.windows_python.place import Place, parts, wine


def install_bundle(place: Place) -> str:
    """The output of `lyncarr --version` from the bundle. Raises RuntimeError where a command fails. Needs the package index."""
    with tempfile.TemporaryDirectory(prefix="lyncarr bundle ") as name:
        folder = Path(name)
        with zipfile.ZipFile(bundle(folder / "made", [parts()["python"]])) as archive:
            archive.extractall(folder)
        # pip of this system: it is pure Python.
        shutil.copytree(Path(sysconfig.get_path("purelib")) / "pip", folder / "pip" / "pip")
        requirements = f"requirements-{parts()['python']}.txt"
        options = ["--no-index", "--find-links", "wheels", "--require-hashes", "-r", requirements, "--target", "installed", "--no-compile"]
        _run(place, folder, ["-m", "pip", "--isolated", "install", *options], "pip")
        return _run(place, folder, ["-m", "lyncarr", "--version"], "installed")


def _run(place: Place, folder: Path, words: list[str], path: str) -> str:
    """Without the packages of the tests (-S), with those of `path`."""
    environment = {name: value for name, value in place.environment().items() if not name.startswith("PIP_")}
    environment["PYTHONPATH"] = "Z:" + str(folder / path).replace("/", "\\")
    done = subprocess.run(
        [os.fspath(wine() or ""), str(place.program), "-S", *words],
        cwd=folder,
        env=environment,
        input="",
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(words[:4])} failed on the Windows Python:\n{done.stdout[-1000:]}\n{done.stderr[-2000:]}")
    return done.stdout.strip()
