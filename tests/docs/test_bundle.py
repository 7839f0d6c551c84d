"""The zip file for Windows machines without internet access. tools/windows_python/installed.py shows that it installs."""

from __future__ import annotations

import hashlib
import re
import zipfile
from pathlib import Path

import pytest

from tools.bundle import __main__ as tool


def wheel(folder: Path, name: str, version: str, tag: str) -> Path:
    path = folder / f"{name}-{version}-{tag}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}-{version}.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(f"{name}-{version}.dist-info/WHEEL", f"Tag: {tag}\n")
    return path


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three packages in place of the package index. One has a wheel for each Python, and one has a dot in its name."""

    def download(wheels: Path, pins: list[str], python: str) -> None:
        wheel(wheels, "pure", "1.0", "py3-none-any")
        wheel(wheels, "Compiled_Part", "2.0", f"cp{python.replace('.', '')}-none-win_amd64")
        wheel(wheels, "jaraco.classes", "3.0", "py3-none-any")

    monkeypatch.setattr(tool, "_download", download)
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
