"""Where secrets come from, and what is refused on the way."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lyncarr.config.sources import check_reference, resolve
from lyncarr.core.errors import ConfigurationError

CANARY = "Canary-7f3a"

POSIX = pytest.mark.skipif(os.name != "posix", reason="file modes tell nothing here")


def secret_file(folder: Path, data: bytes, mode: int = 0o600) -> Path:
    path = folder / "rp01.password"
    path.write_bytes(data)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("reference", ["prompt", "env:RP01_PASSWORD", "env:_x1", "file:rp01.password", "file:/run/secrets/rp 01"])
def test_a_reference_is_kept(reference: str) -> None:
    assert check_reference(reference) == reference


@pytest.mark.parametrize(
    "reference",
    [CANARY, f"plain:{CANARY}", f"Prompt{CANARY}", f"env:{CANARY} x", "env:", "file:", f"file:{CANARY}\n", f"keyring:{CANARY}", ""],
)
def test_a_malformed_reference_is_refused_and_never_repeated(reference: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected") as caught:
        check_reference(reference)
    assert CANARY not in str(caught.value)
    with pytest.raises(ConfigurationError) as refused:
        resolve(reference, base=tmp_path, ask=None)
    assert refused.value.exit_code == 78
    assert CANARY not in f"{refused.value}{refused.value.detail}{refused.value.__cause__}"


def test_prompt_asks_for_what_is_wanted(tmp_path: Path) -> None:
    asked: list[str] = []

    def ask(question: str) -> str:
        asked.append(question)
        return f" {CANARY} "

    secret = resolve("prompt", base=tmp_path, ask=ask, what="the password of public.pfx")
    assert secret.reveal() == f" {CANARY} "
    assert asked == ["The password of public.pfx: "]


def test_prompt_without_a_terminal_ends_here(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="There is no terminal to ask for the password"):
        resolve("prompt", base=tmp_path, ask=None)


def test_nothing_typed_is_no_password(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="Nothing was typed"):
        resolve("prompt", base=tmp_path, ask=lambda question: "")


def test_an_environment_variable_is_taken_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
        (b"sec\0ret", "holds a NUL character"),
        (b"x" * 70_000, "is longer than"),
    ],
)
def test_a_file_that_is_no_password_is_refused(data: bytes, reason: str, tmp_path: Path) -> None:
    secret_file(tmp_path, data)
    with pytest.raises(ConfigurationError, match=reason) as caught:
        resolve("file:rp01.password", base=tmp_path, ask=None)
    assert "secret" not in str(caught.value)


@POSIX
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_file_that_others_can_read_is_refused(mode: int, tmp_path: Path) -> None:
    secret_file(tmp_path, b"secret", mode)
    with pytest.raises(ConfigurationError, match="can be read by others; chmod 600"):
        resolve("file:rp01.password", base=tmp_path, ask=None)


@pytest.mark.parametrize("reference", ["file:absent", "file:."])
def test_a_file_that_is_none_is_refused(reference: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"does not exist|is no regular file"):
        resolve(reference, base=tmp_path, ask=None)


@POSIX
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(ConfigurationError, match="is no regular file"):
        resolve("file:pipe", base=tmp_path, ask=None)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(exclude_characters="\0\r\n", exclude_categories=["Cs"]), min_size=1).filter(lambda text: text[0] != "\ufeff"))
def test_every_password_of_one_line_survives_a_file(tmp_path: Path, password: str) -> None:
    secret_file(tmp_path, f"{password}\n".encode())
    secret = resolve("file:rp01.password", base=tmp_path, ask=None)
    assert secret.reveal() == password
    assert f"{secret!r}{secret}" == "******"
