"""The wheel contains every file that the program reads, and works outside the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from lyncarr.lab.replay.machine import load_preset
from lyncarr.lab.replay.psrp import ReplayEngine
from lyncarr.lab.site import write_site
from lyncarr.lab.wire.server import LabServer
from lyncarr.powershell.bundle import shipped
from lyncarr.steps import STEPS
from tools.docs.documents import ROOT

PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command without the Python variables of this process and without standard input."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )


def built(source: Path, folder: Path) -> Path:
    """The wheel of a checkout or of a source archive, built without an index."""
    done = run(*PIP, "wheel", source, "--no-deps", "--no-index", "--no-build-isolation", "--quiet", "--wheel-dir", folder, cwd=folder)
    assert done.returncode == 0, done.stderr
    return next(folder.glob("lyncarr-*.whl"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def bin_folder(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean environment with the wheel. Its dependencies are those of this environment, so that nothing is downloaded."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    done = run(*PIP, "--python", python, "install", "--no-deps", "--no-index", "--quiet", wheel, cwd=folder)
    assert done.returncode == 0, done.stderr
    (site_packages,) = folder.glob("lib/python*/site-packages")
    # Python reads no .pth files in a folder that a .pth file names, so the editable installation of the checkout stays out.
    (site_packages / "needed.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return folder / "bin"


def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_wheel_is_whole(wheel: Path) -> None:
    package = {path.relative_to(ROOT) for path in (ROOT / "lyncarr").rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    snippets = {Path("lyncarr") / path.relative_to(ROOT) for path in (ROOT / "ps_snippets").rglob("*.ps1")}
    packed = {name for name in names(wheel) if ".dist-info/" not in name}
    assert packed == {path.as_posix() for path in package | snippets}
    for needed in (
        "py.typed",
        "config/template.toml",
        "lab/replay/presets/blank.json",
        "lab/real/standins/Iis.cs",
        "ps_snippets/_main.ps1",
        "steps/texts/farms.md",
    ):
        assert f"lyncarr/{needed}" in packed
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names(wheel))


def test_the_source_archive_makes_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    done = run(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", tmp_path, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    (archive,) = tmp_path.glob("lyncarr-*.tar.gz")
    assert names(built(archive, tmp_path)) == names(wheel)


def test_it_is_the_installed_package_that_runs(bin_folder: Path, tmp_path: Path) -> None:
    done = run(bin_folder / "python", "-c", "import lyncarr; print(lyncarr.__file__)", cwd=tmp_path)
    assert Path(done.stdout.strip()).is_relative_to(bin_folder.parent)


def test_help_and_steps(bin_folder: Path, tmp_path: Path) -> None:
    helped = run(bin_folder / "lyncarr", "--help", cwd=tmp_path)
    assert helped.returncode == 0, helped.stderr
    assert "provision" in helped.stdout
    listed = run(bin_folder / "lyncarr", "steps", cwd=tmp_path)
    assert [step.name for step in STEPS if step.name in listed.stdout] == [step.name for step in STEPS]
    explained = run(bin_folder / "lyncarr", "explain", "farms", cwd=tmp_path)
    assert "\nNever touches\n" in explained.stdout, explained.stderr


def test_init_finds_its_template(bin_folder: Path, tmp_path: Path) -> None:
    assert run(bin_folder / "lyncarr", "init", "contoso.com", cwd=tmp_path).returncode == 0
    assert "dialin.contoso.com" in (tmp_path / "lyncarr.toml").read_text(encoding="utf-8")


def test_plan_with_the_installed_snippets(bin_folder: Path, tmp_path: Path) -> None:
    """The replay host recognizes the shipped script by its text, so a plan proves that the installed script is the same."""
    with LabServer(ReplayEngine(load_preset("blank"), script=shipped())) as lab:
        site = write_site(
            tmp_path,
            host="rp01",
            address=lab.address,
            port=lab.https_port,
            user=lab.user,
            password=lab.password,
            authority=lab.ca_file.read_bytes(),
        )
        done = run(bin_folder / "lyncarr", "plan", "--host", "rp01", cwd=site.parent)
    assert done.returncode == 2, done.stderr
    assert "timeout: 900 s" in done.stdout
