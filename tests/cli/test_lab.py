"""`lyncarr lab` on every system: it starts, ends with Ctrl-C, and prints lines that the shell of the system understands."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path

import pytest

from lyncarr.cli.local import run_lab
from lyncarr.cli.main import run
from lyncarr.cli.options import Output
from lyncarr.core import waits
from lyncarr.core.errors import UsageError
from lyncarr.lab.folder import used_by_this_lab
from lyncarr.lab.site import SITE_NAME
from lyncarr.secrets import acl
from lyncarr.secrets.program import words_of
from lyncarr.secrets.sources import resolve
from tests.patience import HANG_S
from tests.platforms import WINDOWS

TOML = "lyncarr.toml"


def stop_when(ready: Path, pressed: list[float], number: int = signal.SIGINT) -> threading.Thread:
    """Ctrl-C as on Windows, where it wakes no wait, a moment after the lab has written `ready`."""

    def press() -> None:
        end = time.monotonic() + HANG_S
        while not ready.exists() and time.monotonic() < end:
            time.sleep(0.02)
        time.sleep(0.5)
        pressed.append(time.monotonic())
        signal.raise_signal(number)

    thread = threading.Thread(target=press)
    thread.start()
    return thread


@pytest.mark.parametrize(
    "number", [pytest.param(getattr(signal, name), id=name) for name in ("SIGINT", "SIGTERM", "SIGBREAK") if hasattr(signal, name)]
)
def test_ctrl_c_ends_the_lab(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(waits, "SLICE_S", 0.2)
    pressed: list[float] = []
    before = signal.getsignal(number)
    presser = stop_when(tmp_path / "lab" / TOML, pressed, number)
    assert run_lab("blank", None, tmp_path / "lab", "127.0.0.1", Output.json) == 0
    assert time.monotonic() - pressed[0] < HANG_S
    presser.join()
    assert signal.getsignal(number) is before
    ready = json.loads(capsys.readouterr().out)
    with pytest.raises(OSError, match=r"."):  # The port is closed.
        socket.create_connection(("127.0.0.1", ready["https_port"]), timeout=HANG_S)


def test_the_lines_of_the_lab_suit_the_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(waits, "SLICE_S", 0.2)
    folder = tmp_path / "R&D lab"
    presser = stop_when(folder / TOML, [])
    assert run_lab("blank", None, folder, "127.0.0.1", Output.text) == 0
    presser.join()
    lines = [line.strip() for line in capsys.readouterr().out.splitlines() if line.startswith("  lyncarr ")]
    assert [words_of(line)[:3] for line in lines] == [["lyncarr", "plan", "--site"], ["lyncarr", "provision", "--site"]]
    for line in lines:
        assert words_of(line)[3] == str(folder / TOML)
        assert ('"' if WINDOWS else "'") in line


def test_the_secrets_of_a_lab_are_read_by_its_owner_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder that all users can read, as most folders of Windows are: lyncarr refuses such a file of a password."""
    monkeypatch.setattr(waits, "SLICE_S", 0.2)
    tmp_path.chmod(0o755)
    mask = os.umask(0o022)
    try:
        presser = stop_when(tmp_path / "lab" / TOML, [])
        assert run_lab("blank", None, tmp_path / "lab", "127.0.0.1", Output.json) == 0
        presser.join()
    finally:
        os.umask(mask)
    for name in ("password.txt", "certs/public-password.txt"):
        assert resolve(f"file:{name}", base=tmp_path / "lab", ask=None, account="Administrator").reveal()
    if WINDOWS:
        with (tmp_path / "lab" / "certs" / "public.pfx").open("rb") as file:
            assert acl.readers_of(file.fileno()) == ()


@pytest.mark.skipif(not WINDOWS, reason="a PowerShell behind the lab runs on POSIX")
def test_a_lab_with_a_powershell_says_that_windows_has_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["lab", "--powershell", "pwsh", "--folder", str(tmp_path / "lab")]) == 64
    assert capsys.readouterr().err.splitlines() == [
        "error: A lab with a PowerShell does not run on Windows.",
        "hint: Leave out --powershell: the lab then replays stored states, on every system.",
    ]
    assert not (tmp_path / "lab").exists()
    assert not any(name.startswith("lyncarr.lab.real.p") for name in sys.modules)


def test_a_configuration_file_that_an_editor_gave_a_mark_is_still_that_of_a_lab(tmp_path: Path) -> None:
    """Editors of Windows put a byte order mark before UTF-8."""
    (tmp_path / SITE_NAME).write_bytes(b"\xef\xbb\xbf# Written by `lyncarr lab`.\r\n")
    with used_by_this_lab(tmp_path) as replaced:
        assert replaced == (SITE_NAME,)


def test_a_device_is_no_folder_of_a_lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lyncarr.core.files import is_reserved

    monkeypatch.setattr("lyncarr.lab.folder.is_reserved", lambda path: is_reserved(path, windows=True))
    with pytest.raises(UsageError, match=r"con cannot be used: it is the name of a Windows device\.$"), used_by_this_lab(tmp_path / "con"):
        pass
    assert not (tmp_path / "con").exists()
