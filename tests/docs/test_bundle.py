"""The zip file for Windows machines without internet access. tools/windows_python/installed.py shows that it installs."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tools.bundle import __main__ as tool
from tools.bundle.complete import problems


def wheel(folder: Path, name: str, version: str, tag: str = "py3-none-any", *more: str) -> Path:
    """A wheel of one module. `more` are lines of its metadata."""
    path = folder / f"{name}-{version}-{tag}.whl"
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": "",
        f"{info}/METADATA": "\n".join(["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *more, ""]),
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: {tag}\n",
    }
    record = "".join(f"{file},,\n" for file in (*files, f"{info}/RECORD"))
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(file, text)
    return path


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three packages in place of the package index. One has a wheel for each Python, and one has a dot in its name."""

    def download(wheels: Path, pins: list[str], python: str) -> None:
        wheel(wheels, "pure", "1.0", "py3-none-any")
        wheel(wheels, "Compiled_Part", "2.0", f"cp{python.replace('.', '')}-none-win_amd64")
        wheel(wheels, "jaraco.classes", "3.0", "py3-none-any")

    monkeypatch.setattr(tool, "_download", download)
    # These are not the packages that lyncarr requires.
    monkeypatch.setattr(tool, "problems", lambda wheels, root, extras, python: [])
    monkeypatch.setattr(tool, "resolved", lambda python: ["pure==1.0", "compiled-part==2.0", "jaraco-classes==3.0"])


@pytest.mark.usefixtures("index")
def test_every_file_has_its_hash_and_every_requirement_the_hashes_of_its_wheels(tmp_path: Path) -> None:
    with zipfile.ZipFile(tool.bundle(tmp_path / "made", ["3.11", "3.12"])) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    sums = dict(reversed(line.split("  ")) for line in files.pop("SHA256SUMS").decode().splitlines())
    assert sums == {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    assert {"README.txt", "requirements-3.11.txt", "requirements-3.12.txt", "wheels/Compiled_Part-2.0-cp312-none-win_amd64.whl"} <= set(
        files
    )
    known = set(sums.values())
    for python in ("3.11", "3.12"):
        text = files[f"requirements-{python}.txt"].decode()
        names = re.findall(r"^([a-z0-9-]+)==", text, re.MULTILINE)
        assert names == ["compiled-part", "jaraco-classes", "lyncarr", "pure"]
        assert set(re.findall(r"sha256:([0-9a-f]{64})", text)) <= known
        assert all(line.endswith("\\") or "--hash=" in line for line in text.splitlines()), "nothing without a hash"
    assert "Python 3.11 or 3.12" in files["README.txt"].decode()


@pytest.mark.usefixtures("index")
def test_the_same_wheels_make_the_same_file(tmp_path: Path) -> None:
    for folder in (tmp_path / "one", tmp_path / "two"):
        with zipfile.ZipFile(tool.bundle(folder, ["3.11"])) as archive:
            assert {info.date_time for info in archive.infolist()} == {tool.EPOCH}
            assert archive.namelist()[:-1] == sorted(archive.namelist()[:-1])


@pytest.mark.usefixtures("index")
def test_pip_installs_it_for_windows_without_an_index(tmp_path: Path) -> None:
    """On this system pip judges markers by this system, so it looks for no requirements (--no-deps). tools/windows_python does without."""
    with zipfile.ZipFile(tool.bundle(tmp_path / "made", ["3.11", "3.12"])) as archive:
        archive.extractall(tmp_path)
    shape = ["--platform", "win_amd64", "--python-version", "3.12", "--only-binary=:all:", "--no-deps", "--target", "target"]
    offline = ["--no-index", "--find-links", "wheels", "--require-hashes", "-r", "requirements-3.12.txt"]
    command = [sys.executable, "-m", "pip", "--isolated", "install", "-qqq", "--no-compile", *shape, *offline]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    installed = {path.name for path in (tmp_path / "target").iterdir()}
    assert {"lyncarr", "pure.py", "Compiled_Part.py", "jaraco.classes.py"} <= installed
    other = next((tmp_path / "wheels").glob("pure-*"))
    other.write_bytes(other.read_bytes() + b"changed")
    again = subprocess.run([*command, "--upgrade"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert again.returncode != 0
    assert "DO NOT MATCH THE HASHES" in again.stderr


NEEDS = ("Requires-Dist: a>=1; sys_platform == 'win32'", "Requires-Dist: b; sys_platform != 'win32'", "Requires-Dist: c[x]; extra == 'lab'")


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ([("a", "1.5"), ("c", "1"), ("d", "2")], []),
        ([("c", "1"), ("d", "2")], ["root requires a, for which there is no wheel for Python 3.12"]),
        ([("a", "0.9"), ("c", "1"), ("d", "2")], ["root requires a >=1, not 0.9"]),
        ([("a", "1"), ("d", "2")], ["root requires c, for which there is no wheel for Python 3.12"]),
        # Required by an extra of what an extra requires.
        ([("a", "1"), ("c", "1")], ["c requires d, for which there is no wheel for Python 3.12"]),
        ([("a", "1", "cp311-cp311-win_amd64"), ("c", "1"), ("d", "2")], ["root requires a, for which there is no wheel for Python 3.12"]),
        (
            [("a", "1", "cp312-cp312-manylinux_2_17_x86_64"), ("c", "1"), ("d", "2")],
            ["root requires a, for which there is no wheel for Python 3.12"],
        ),
        ([("a", "1", "cp38-abi3-win_amd64"), ("c", "1"), ("d", "2")], []),
        ([("a", "1", "py3-none-any", "Requires-Python: <3.12"), ("c", "1"), ("d", "2")], ["a 1 does not support Python 3.12"]),
    ],
)
def test_a_set_of_wheels_that_is_not_complete_on_windows(others: list[tuple[str, ...]], expected: list[str], tmp_path: Path) -> None:
    wheels = [wheel(tmp_path, "root", "1", "py3-none-any", *NEEDS)]
    for name, version, *more in others:
        needs = ["Requires-Dist: d>=2; extra == 'x'", "Requires-Dist: e; extra == 'y'"] if name == "c" else []
        wheels.append(wheel(tmp_path, name, version, *(more or ["py3-none-any"]), *needs))
    assert problems(wheels, "root", ["lab"], "3.12") == expected


def test_an_incomplete_set_is_not_shipped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tool, "_download", lambda wheels, pins, python: None)
    monkeypatch.setattr(tool, "resolved", lambda python: [])
    with pytest.raises(SystemExit, match=r"not complete:\n(.*\n)*lyncarr requires pypsrp, for which there is no wheel for Python 3\.12"):
        tool.bundle(tmp_path / "made", ["3.12"])
    assert not (tmp_path / "made").exists()
