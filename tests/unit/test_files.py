"""Files that a person names: every kind of wrong path gives one clear sentence, for reading and for writing."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from lyncarr.core import files
from lyncarr.core.errors import SiteError, UsageError
from lyncarr.core.files import FileError, check_file, in_words, is_reserved, read_file, write_new, write_over
from lyncarr.report.log import open_log
from tests.platforms import posix

POSIX = posix("files and folders of POSIX")


def test_a_file_is_read_up_to_its_limit(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert read_file(path, 5) == b"12345"
    with pytest.raises(FileError, match=r"^is larger than 4 bytes$"):
        read_file(path, 4)
    path.write_bytes(b"")
    with pytest.raises(FileError, match=r"^is empty \(0 bytes\)$"):
        read_file(path, 4)


@POSIX
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (".", "is a folder; give a file"),
        ("", "is a folder; give a file"),
        ("absent", "does not exist"),
        ("file/inner", "does not exist"),
        ("/dev/null", "is a device, a pipe or a socket; give a file"),
        ("pipe", "is a device, a pipe or a socket; give a file"),
        ("socket", "is a device, a pipe or a socket; give a file"),
        ("loop", "cannot be read (too many levels of symbolic links)"),
        ("a" * 300, "cannot be read (file name too long)"),
    ],
)
def test_a_path_that_is_no_file_has_its_reason(name: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
    with pytest.raises(FileError) as caught:
        read_file(tmp_path / name, 10)
    assert caught.value.reason == reason


@POSIX
def test_a_pipe_passes_the_check_unread(tmp_path: Path) -> None:
    """As the shells make one for <(command)."""
    os.mkfifo(tmp_path / "pipe")
    check_file(tmp_path / "pipe")
    with pytest.raises(FileError, match="is a folder; give a file"):
        check_file(tmp_path)


@POSIX
@pytest.mark.skipif(os.name == "posix" and os.geteuid() == 0, reason="root may read and write everything")
def test_a_file_without_permission_has_its_reason(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir()
    (closed / "file").touch()
    closed.chmod(0)
    with pytest.raises(FileError, match="permission denied"):
        read_file(closed / "file", 10)
    with pytest.raises(SiteError, match="permission denied"):
        write_new(closed / "other", b"x", "--file")
    closed.chmod(0o700)


def test_an_error_of_the_system_is_no_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the system refuses to look at the path."""
    (tmp_path / "file").touch()

    def refuse(*arguments: object, **more: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "stat", refuse)
    with pytest.raises(FileError, match=r"^cannot be read \(permission denied\)$") as caught:
        read_file(tmp_path / "file", 10)
    assert caught.value.detail == "[Errno 13] Permission denied"


@pytest.mark.parametrize(
    "name",
    [
        "con",
        "CON.toml",
        "nul.tar.gz",
        "com1",
        "LPT9.txt",
        "aux ",
        "prn:",
        "conin$",
        "com\u00b9",
        "nul. .",
        "con .toml",
        "con/file.toml",
        r"aux\file.toml",
    ],
)
def test_names_of_windows_devices_are_known(name: str) -> None:
    assert is_reserved(Path("folder") / name, windows=True)
    assert not is_reserved(Path("folder") / name, windows=False)


@pytest.mark.parametrize(
    "name", ["contoso.toml", "com", "com10", "lpt.toml", "null", "my con", "lyncarr.toml", "confolder/file", "contoso", "C:/a/b"]
)
def test_other_names_are_not_those_of_devices(name: str) -> None:
    assert not is_reserved(Path(name), windows=True)


@pytest.mark.parametrize("path", [r"\\.\COM10", r"\\.\pipe\x", "//./NUL"])
def test_the_prefix_of_devices_is_known(path: str) -> None:
    assert is_reserved(Path(path), windows=True)
    assert not is_reserved(Path(r"\\server\share\lyncarr.toml"), windows=True)
    assert not is_reserved(Path(r"\\?\C:\Lync\lyncarr.toml"), windows=True)


@pytest.mark.skipif(os.name != "nt", reason="the devices of Windows")
@pytest.mark.parametrize("name", ["con", "CON.toml", "nul", "nul.toml", "aux", "com1", "lpt9.x.y", "conin$", "con ", "con. ."])
def test_a_device_of_this_windows_is_neither_read_nor_written(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for path in (Path(name), tmp_path / name):
        with pytest.raises(FileError, match="name of a Windows device"):
            read_file(path, 10)
        with pytest.raises(SiteError, match="name of a Windows device"):
            write_new(path, b"x", "--site")
        with pytest.raises(UsageError, match="name of a Windows device"):
            open_log(path)
    assert list(tmp_path.iterdir()) == []


def test_a_windows_device_is_neither_read_nor_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "is_reserved", lambda path: is_reserved(path, windows=True))
    with pytest.raises(FileError, match=r"^is the name of a Windows device; give a file$"):
        read_file(tmp_path / "con", 10)
    for write in (write_new, write_over):
        with pytest.raises(SiteError, match=r"con\.toml is the name of a Windows device\.$") as caught:
            write(tmp_path / "con.toml", b"x", "--site")
        assert caught.value.hint == "Choose another name with --site FILE."
    assert list(tmp_path.iterdir()) == []


def test_a_new_file_replaces_nothing(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_new(path, b"first", "--file")
    with pytest.raises(SiteError, match=r"file already exists and was not changed\.$") as caught:
        write_new(path, b"second", "--file")
    assert "--file FILE" in caught.value.hint
    assert path.read_bytes() == b"first"
    write_over(path, b"third", "--file")
    assert path.read_bytes() == b"third"


@POSIX
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (".", " is a folder; give a file."),
        ("absent/file", " cannot be written (no such file or directory)."),
        ("file/inner", " cannot be written (not a directory)."),
        ("a" * 300, " cannot be written (file name too long)."),
    ],
)
@pytest.mark.parametrize("write", [write_new, write_over])
def test_a_path_that_cannot_be_written_has_its_reason(write: type, name: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SiteError) as caught:
        write(tmp_path / name, b"x", "--site")
    assert str(caught.value) == f"{tmp_path / name}{reason}"
    assert "--site FILE" in caught.value.hint


@POSIX
def test_an_incomplete_file_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def __enter__(self) -> Full:
            return self

        def __exit__(self, *error: object) -> None:
            pass

        def write(self, data: bytes) -> None:
            raise OSError(28, "No space left on device")

    path = tmp_path / "file"

    def opened(self: Path, mode: str) -> Full:
        self.touch()
        return Full()

    monkeypatch.setattr(Path, "open", opened)
    with pytest.raises(SiteError, match=r"cannot be written \(no space left on device\)"):
        write_new(path, b"x", "--file")
    assert not path.exists()


def test_sizes_in_words() -> None:
    assert [in_words(size) for size in (10, 64 * 1024, 10 * 1024**2, 2 * 1024**3, 1025)] == [
        "10 bytes",
        "64 KB",
        "10 MB",
        "2 GB",
        "1025 bytes",
    ]
