"""The folder of a lab: one running lab at a time, and what a later one replaces."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lyncarr.core.errors import SiteError, UsageError
from lyncarr.lab.folder import LOCK_NAME, WRITTEN, used_by_this_lab
from tests.lab.test_replay import write

END_S = 60


@contextlib.contextmanager
def lab(folder: Path, *words: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """A lab in a process of its own, and its line of JSON."""
    process = subprocess.Popen(
        [sys.executable, "-m", "lyncarr", "lab", "--folder", str(folder), "--output", "json", *words], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield process, json.loads(process.stdout.readline())
    finally:
        process.kill()
        process.wait(END_S)


def lyncarr(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "lyncarr", *words], cwd=cwd, capture_output=True, text=True, timeout=END_S)


def test_a_running_lab_keeps_its_folder(tmp_path: Path) -> None:
    with lab(tmp_path / "lab") as (process, _):
        before = {path: path.read_bytes() for path in (tmp_path / "lab").rglob("*") if path.is_file()}
        refused = lyncarr("lab", "--folder", "lab", cwd=tmp_path)
        assert refused.returncode == 64
        assert f"lab is in use by a running lab (process {process.pid})." in refused.stderr
        assert {path: path.read_bytes() for path in (tmp_path / "lab").rglob("*") if path.is_file()} == before
        with pytest.raises(UsageError, match="in use") as caught, used_by_this_lab(tmp_path / "lab"):
            pass
        assert "Ctrl-C" in caught.value.hint
        assert "--folder" in caught.value.hint
        assert lyncarr("plan", "--host", "rp01", cwd=tmp_path / "lab").returncode == 2
        process.send_signal(signal.SIGKILL)
        process.wait(END_S)
    # The lock goes with the process, whatever ended it.
    with lab(tmp_path / "lab", "--preset", "finished") as (_, again):
        assert again["replaced"] == list(WRITTEN)
        assert lyncarr("plan", "--host", "rp01", cwd=tmp_path / "lab").returncode == 0


def test_two_labs_in_two_folders(tmp_path: Path) -> None:
    with lab(tmp_path / "one") as (_, one), lab(tmp_path / "two", "--preset", "drifted") as (_, two):
        assert len({one["http_port"], one["https_port"], two["http_port"], two["https_port"]}) == 4
        for name in ("one", "two"):
            assert lyncarr("provision", "--yes", "--host", "rp01", cwd=tmp_path / name).returncode == 0
            assert lyncarr("plan", "--host", "rp01", cwd=tmp_path / name).returncode == 0


def test_what_a_later_lab_keeps(tmp_path: Path) -> None:
    with used_by_this_lab(tmp_path) as replaced:
        assert replaced == ()
        write(tmp_path)
        (tmp_path / "state.json").write_text("{}")
    site = tmp_path / "lyncarr.toml"
    site.write_text(site.read_text() + "# a change\n")
    (tmp_path / "notes.txt").write_text("mine")
    with used_by_this_lab(tmp_path) as replaced:
        assert replaced == WRITTEN
        write(tmp_path)
    assert "# a change" in (tmp_path / "lyncarr.toml.previous").read_text()
    assert "# a change" not in site.read_text()
    assert (tmp_path / "state.json.previous").read_text() == "{}"
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_files_that_no_lab_wrote_are_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "password.txt").write_text("mine")
    with pytest.raises(SiteError, match=r"password.txt was not written by lyncarr lab") as caught, used_by_this_lab(tmp_path):
        pass
    assert "--folder" in caught.value.hint
    assert sorted(path.name for path in tmp_path.iterdir()) == [LOCK_NAME, "password.txt"]


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be used") as caught, used_by_this_lab(tmp_path / "file"):
        pass
    assert "--folder" in caught.value.hint


def test_a_process_number_that_is_none_is_left_out(tmp_path: Path) -> None:
    with used_by_this_lab(tmp_path):
        assert (tmp_path / "lab.pid").read_text() == f"{os.getpid()}\n"
        (tmp_path / "lab.pid").write_text("no number")
        with pytest.raises(UsageError, match=r"by a running lab\.$"), used_by_this_lab(tmp_path):
            pass
