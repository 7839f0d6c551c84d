"""Where secrets come from, and what is refused."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import keyring
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keyring.backend import KeyringBackend
from keyring.backends import fail
from keyring.errors import InitError, KeyringLocked

from lyncarr.core.errors import ConfigurationError
from lyncarr.secrets import sources
from lyncarr.secrets.program import line_of
from lyncarr.secrets.sources import check_reference
from tests.platforms import WINDOWS, own_python, posix

CANARY = "Canary-7f3a"

resolve = partial(sources.resolve, account="Administrator")

POSIX = posix("file modes")


def secret_file(folder: Path, data: bytes, mode: int = 0o600) -> Path:
    path = folder / "rp01.password"
    path.write_bytes(data)
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    "reference",
    [
        "prompt",
        "env:RP01_PASSWORD",
        "env:_x1",
        "file:rp01.password",
        "file:/run/secrets/rp 01",
        "keyring:rp01",
        "keyring:https://vault/a b:c",
        "command:pass show rp01",
        "command:op read 'op://DMZ/rp01/password'",
    ],
)
def test_a_reference_is_kept(reference: str) -> None:
    assert check_reference(reference) == reference


@pytest.mark.parametrize(
    "reference",
    [
        CANARY,
        f"plain:{CANARY}",
        f"Prompt{CANARY}",
        f"env:{CANARY} x",
        "env:",
        "file:",
        f"file:{CANARY}\n",
        "keyring:",
        f"keyring:{CANARY}\n",
        "command:",
        "command: ",
        f'command:"" {CANARY}',
        f'command:echo "{CANARY}',
        f"command:echo\n{CANARY}",
        "",
    ],
)
def test_a_malformed_reference_is_refused_and_never_repeated(reference: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"requires|use ") as caught:
        check_reference(reference)
    assert CANARY not in str(caught.value)
    with pytest.raises(ConfigurationError) as refused:
        resolve(reference, base=tmp_path, ask=None)
    assert refused.value.exit_code == 78
    assert CANARY not in f"{refused.value}{refused.value.detail}{refused.value.__cause__}"


def test_prompt_asks_for_the_secret_by_its_label(tmp_path: Path) -> None:
    asked: list[str] = []

    def ask(question: str) -> str:
        asked.append(question)
        return f" {CANARY} "

    secret = resolve("prompt", base=tmp_path, ask=ask, label="the password of public.pfx")
    assert secret.reveal() == f" {CANARY} "
    assert asked == ["The password of public.pfx: "]


def test_prompt_without_a_terminal_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="There is no terminal to ask for the password"):
        resolve("prompt", base=tmp_path, ask=None)


def test_an_empty_answer_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="Nothing was entered"):
        resolve("prompt", base=tmp_path, ask=lambda question: "")


def test_an_environment_variable_is_used_unchanged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RP01_PASSWORD", " ’quoted’ ")
    assert resolve("env:RP01_PASSWORD", base=tmp_path, ask=None).reveal() == " ’quoted’ "


@pytest.mark.parametrize(("value", "reason"), [(None, "is not set"), ("", "is empty")])
def test_a_variable_without_a_value_is_an_error(value: str | None, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RP01_PASSWORD", raising=False)
    if value is not None:
        monkeypatch.setenv("RP01_PASSWORD", value)
    with pytest.raises(ConfigurationError, match=f"RP01_PASSWORD {reason}"):
        resolve("env:RP01_PASSWORD", base=tmp_path, ask=None)


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"secret", "secret"),
        (b"secret\n", "secret"),
        (b"secret\r\n", "secret"),
        (b" secret \n", " secret "),
        ("\ufeffpässword\r\n".encode(), "pässword"),
        (b"x" * 256, "x" * 256),
    ],
)
def test_a_file_loses_one_newline_and_nothing_else(data: bytes, value: str, tmp_path: Path) -> None:
    secret_file(tmp_path, data)
    assert resolve("file:rp01.password", base=tmp_path, ask=None).reveal() == value


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"secret\n\n", "has more than one line"),
        (b"\nsecret", "has more than one line"),
        ("secret".encode("utf-16"), "is not UTF-8"),
        (b"sec\0ret", "contains a NUL character"),
        (b"x" * 70_000, "is larger than 64 KB"),
    ],
)
def test_a_file_without_a_single_password_is_refused(data: bytes, reason: str, tmp_path: Path) -> None:
    secret_file(tmp_path, data)
    with pytest.raises(ConfigurationError, match=reason) as caught:
        resolve("file:rp01.password", base=tmp_path, ask=None)
    assert "secret" not in str(caught.value)


@POSIX
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_file_that_other_users_can_read_is_refused(mode: int, tmp_path: Path) -> None:
    path = secret_file(tmp_path, b"secret", mode).rename(tmp_path / "rp 01.password")
    with pytest.raises(ConfigurationError, match=r"^Other users can read the file") as caught:
        resolve("file:rp 01.password", base=tmp_path, ask=None)
    # The command runs as it is pasted.
    assert caught.value.hint.splitlines()[1:] == [f"  chmod 600 '{path}'"]


@pytest.mark.parametrize("reference", ["file:absent", "file:."])
def test_a_missing_file_or_a_folder_is_refused(reference: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"does not exist|is a folder; give a file"):
        resolve(reference, base=tmp_path, ask=None)


@POSIX
def test_a_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(ConfigurationError, match="is a device, a pipe or a socket; give a file"):
        resolve("file:pipe", base=tmp_path, ask=None)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(exclude_characters="\0\r\n", exclude_categories=["Cs"]), min_size=1).filter(lambda text: text[0] != "\ufeff"))
def test_every_password_of_one_line_survives_a_file(tmp_path: Path, password: str) -> None:
    secret_file(tmp_path, f"{password}\n".encode())
    secret = resolve("file:rp01.password", base=tmp_path, ask=None)
    assert secret.reveal() == password
    assert f"{secret!r}{secret}" == "******"


class Kept(KeyringBackend):
    """A keyring in memory, by the backend interface of the package keyring."""

    priority = 1.0

    def __init__(self, fault: Exception | None = None) -> None:
        super().__init__()
        self._entries: dict[tuple[str, str], str] = {}
        self._fault = fault

    def set_password(self, service: str, username: str, password: str) -> None:
        self._entries[service, username] = password

    def get_password(self, service: str, username: str) -> str | None:
        if self._fault is not None:
            raise self._fault
        return self._entries.get((service, username))


@pytest.fixture
def keep(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[KeyringBackend], None]]:
    before = keyring.get_keyring()
    yield keyring.set_keyring
    keyring.set_keyring(before)


def test_a_keyring_is_read_by_the_account(keep: Callable[[KeyringBackend], None], tmp_path: Path) -> None:
    keep(Kept())
    keyring.set_password("dmz/rp01:5986", "Administrator", f" {CANARY} ")
    keyring.set_password("dmz/rp01:5986", "other", "other")
    assert resolve("keyring:dmz/rp01:5986", base=tmp_path, ask=None).reveal() == f" {CANARY} "


@pytest.mark.skipif(not WINDOWS, reason="Windows: the Credential Manager")
def test_the_credential_manager_of_windows_is_a_keyring(keep: Callable[[KeyringBackend], None], tmp_path: Path) -> None:
    from keyring.backends import Windows

    keep(Windows.WinVaultKeyring())
    service = f"lyncarr-test-{uuid.uuid4()}"
    keyring.set_password(service, r"RP01\admin", f" {CANARY} pässword")
    try:
        assert sources.resolve(f"keyring:{service}", base=tmp_path, ask=None, account=r"RP01\admin").reveal() == f" {CANARY} pässword"
    finally:
        keyring.delete_password(service, r"RP01\admin")
    with pytest.raises(ConfigurationError, match="has no entry"):
        sources.resolve(f"keyring:{service}", base=tmp_path, ask=None, account=r"RP01\admin")


@pytest.mark.parametrize(
    ("backend", "reason"),
    [
        (Kept(), "has no entry for the password"),
        (Kept(KeyringLocked("no")), "with the password is locked"),
        (Kept(InitError("no bus")), "does not return the password"),
        (Kept(OSError("gone")), "does not return the password"),
        (fail.Keyring(), "has no keyring to read the password from"),
    ],
    ids=["none", "locked", "init", "other", "no backend"],
)
def test_a_keyring_without_the_secret(backend: KeyringBackend, reason: str, keep: Callable[[KeyringBackend], None], tmp_path: Path) -> None:
    keep(backend)
    with pytest.raises(ConfigurationError, match=reason) as caught:
        resolve("keyring:rp 01", base=tmp_path, ask=None)
    if "no entry" in reason:
        command = line_of(["keyring", "set", "rp 01", "Administrator"])
        assert caught.value.hint.endswith(f", run:\n  {command}")


def test_an_empty_entry_is_an_error(keep: Callable[[KeyringBackend], None], tmp_path: Path) -> None:
    keep(Kept())
    keyring.set_password("rp01", "Administrator", "")
    with pytest.raises(ConfigurationError, match="entry of the keyring for the password is empty") as caught:
        resolve("keyring:rp01", base=tmp_path, ask=None)
    assert caught.value.hint.endswith(", run:\n  keyring set rp01 Administrator")


def test_a_keyring_requires_the_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(ConfigurationError, match=r"requires the package keyring") as caught:
        resolve("keyring:rp01", base=tmp_path, ask=None)
    assert "pipx inject lyncarr keyring" in caught.value.hint


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("print('secret')", "secret"),
        ("print(' secret ', end='')", " secret "),
        ("sys.stdout.buffer.write('\ufeffpässword\\r\\n'.encode())", "pässword"),
    ],
)
def test_a_command_returns_its_single_line(code: str, value: str, tmp_path: Path) -> None:
    assert resolve(command(tmp_path, code), base=tmp_path, ask=None).reveal() == value


@posix("variables that are not text")
def test_bytes_that_are_not_text_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """lyncarr would send them as another password, and the host would count a failed logon."""
    monkeypatch.setitem(os.environb, b"SECRET", b"a\xff")
    with pytest.raises(ConfigurationError, match="is not valid text in the encoding of this system"):
        resolve("env:SECRET", base=tmp_path, ask=None)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("pass", r"The output of python[0-9.]*(?:\.exe)? is empty"),
        ("print('secret\\nsecret')", "has more than one line"),
        ("sys.stdout.buffer.write('secret'.encode('utf-16'))", "is not UTF-8"),
        ("print('secr\\0et')", "The value of command: contains a NUL character"),
    ],
)
def test_a_command_without_a_single_password_is_refused(code: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=reason) as caught:
        resolve(command(tmp_path, code), base=tmp_path, ask=None)
    assert "secret" not in f"{caught.value}{caught.value.detail}"


def command(folder: Path, code: str) -> str:
    script = folder / "give.py"
    script.write_text(f"import sys\n{code}\n", encoding="utf-8")
    return f"command:{line_of([own_python(folder), str(script)])}"
