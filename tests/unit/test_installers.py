"""Installer packages: each is there, complete, and the product that it is given for."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from lyncarr.config.tables import Installers
from lyncarr.config.values import ROLES, Role
from lyncarr.core.files import FileError
from lyncarr.materials import installers
from lyncarr.materials.installers import MSI_MAGIC, UnknownPackageError, given_roles, read_installer, trust_hint

PACKAGE = MSI_MAGIC + b"a package"
HEAD = "[installers.sha256]"
DIGEST = hashlib.sha256(PACKAGE).hexdigest().upper()


def table(folder: Path, **values: object) -> Installers:
    return Installers.model_validate(values, context={"folder": folder})


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package of the test is a known one."""
    monkeypatch.setattr(installers, "_known", lambda: {DIGEST: ("arr", "Application Request Routing 3.0")})


def test_a_package_with_its_hash_in_the_file_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "arr.msi").write_bytes(PACKAGE)
    read = read_installer(table(tmp_path, arr="arr.msi", sha256={"arr": DIGEST.lower()}), "arr")
    assert (read.role, read.name, read.sha256, read.path, read.url, read.size) == (
        "arr",
        "arr.msi",
        DIGEST,
        tmp_path / "arr.msi",
        None,
        len(PACKAGE),
    )


@pytest.mark.usefixtures("known")
def test_a_known_package_needs_no_hash(tmp_path: Path) -> None:
    (tmp_path / "arr.msi").write_bytes(PACKAGE)
    assert read_installer(table(tmp_path, arr="arr.msi"), "arr").sha256 == DIGEST


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize("sha256", [{}, {"url_rewrite": DIGEST}])
def test_a_known_package_of_another_role_is_refused(sha256: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "rewrite.msi").write_bytes(PACKAGE)
    with pytest.raises(FileError, match=r"^is Application Request Routing 3.0, not URL Rewrite$"):
        read_installer(table(tmp_path, url_rewrite="rewrite.msi", sha256=sha256), "url_rewrite")


def test_an_unknown_package_is_reported_with_its_hash(tmp_path: Path) -> None:
    (tmp_path / "arr.msi").write_bytes(PACKAGE)
    with pytest.raises(UnknownPackageError, match=r"^has an unknown SHA-256$") as caught:
        read_installer(table(tmp_path, arr="arr.msi"), "arr")
    assert caught.value.sha256 == DIGEST


@pytest.mark.parametrize(
    ("unknown", "given", "expected"),
    [
        ({"arr": "AA"}, {}, f'Download the original package. Or, to trust this file, add this table in site.toml:\n{HEAD}\narr = "AA"'),
        (
            {"arr": "AA", "url_rewrite": "BB"},
            {},
            "Download the original packages. Or, to trust these files, add this table in site.toml:\n"
            f'{HEAD}\nurl_rewrite = "BB"\narr = "AA"',
        ),
        (
            {"arr": "AA"},
            {"external_cache": "cc" * 32},
            "Download the original package. Or, to trust this file, replace installers.sha256 by this table in site.toml:\n"
            f'{HEAD}\narr = "AA"\nexternal_cache = "{"CC" * 32}"',
        ),
    ],
)
def test_the_hashes_to_trust_are_one_table(unknown: dict[Role, str], given: dict[str, str], expected: str, tmp_path: Path) -> None:
    assert trust_hint(table(tmp_path, sha256=given), unknown, Path("site.toml")) == expected


def test_another_hash_than_the_files_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "arr.msi").write_bytes(PACKAGE)
    with pytest.raises(FileError, match=r"^does not match `installers.sha256.arr`$") as caught:
        read_installer(table(tmp_path, arr="arr.msi", sha256={"arr": "00" * 32}), "arr")
    assert caught.value.hint.splitlines()[-1] == DIGEST


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", r"is empty \(0 bytes\)"),
        (b"MZ" + bytes(100), "is not a Windows Installer package"),
        (b"<html>", "is not a Windows Installer package"),
    ],
)
def test_a_file_of_another_kind_is_an_error(data: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / "arr.msi").write_bytes(data)
    with pytest.raises(FileError, match=reason):
        read_installer(table(tmp_path, arr="arr.msi", sha256={"arr": hashlib.sha256(data).hexdigest()}), "arr")


def test_two_gigabytes_are_too_much(tmp_path: Path) -> None:
    with (tmp_path / "arr.msi").open("wb") as file:
        file.write(MSI_MAGIC)
        file.truncate(2 * 1024**3 + 1)  # sparse: takes no space
    with pytest.raises(FileError, match=r"^is larger than 2 GB$"):
        read_installer(table(tmp_path, arr="arr.msi"), "arr")


@pytest.mark.parametrize(("path", "reason"), [("absent.msi", "does not exist"), (".", "is a folder; give a file")])
def test_a_missing_file_is_an_error(path: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(FileError, match=reason):
        read_installer(table(tmp_path, arr=path), "arr")


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://files.contoso.com/a/ARR%203.msi?sig=x", "ARR 3.msi"),
        ("HTTPS://files.contoso.com:8443/", "arr.msi"),
        ("https://192.0.2.1", "arr.msi"),
    ],
)
def test_a_url_has_the_hash_of_the_file(url: str, name: str, tmp_path: Path) -> None:
    read = read_installer(table(tmp_path, arr=url, sha256={"arr": DIGEST}), "arr")
    assert (read.name, read.url, read.path, read.sha256, read.size) == (name, url, None, DIGEST, None)


def test_packages_come_in_the_order_of_installation(tmp_path: Path) -> None:
    given = dict.fromkeys(["arr", "external_cache", "url_rewrite", "web_farm"], "x.msi")
    assert given_roles(table(tmp_path, **given)) == ("url_rewrite", "web_farm", "arr", "external_cache")
    assert given_roles(table(tmp_path)) == ()


def test_the_list_of_known_packages_is_in_order() -> None:
    data = json.loads(Path(installers.__file__).with_name("known_installers.json").read_text("utf-8"))
    assert {"url_rewrite", "arr"} <= {entry["role"] for entry in data.values()}
    for digest, entry in data.items():
        assert digest == bytes.fromhex(digest).hex().upper()
        assert len(digest) == 64
        assert entry["role"] in ROLES
        assert entry["product"]
        assert entry["source"]
