"""The steps before the farms: their desired states, and the parameters that they send to the host."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import pkcs12

from lyncarr.config.values import ROLES
from lyncarr.core.converge import INSTALL_DEADLINE_S
from lyncarr.core.errors import StepFailedError
from lyncarr.core.model import Secret
from lyncarr.core.plan import steps_of
from lyncarr.materials.installers import MSI_MAGIC, Installer
from lyncarr.materials.prepare import Prepared, prepare
from lyncarr.materials.upload import PIECE_BYTES, pieces
from lyncarr.steps import STAGES
from lyncarr.steps.arr import PRODUCTS, WEBPI_LIMIT_S, Arr
from lyncarr.steps.certificate import Certificate
from lyncarr.steps.https_binding import HttpsBinding
from lyncarr.steps.iis import Iis
from lyncarr.steps.trusted_roots import TrustedRoots
from tests.certs import NOW, make_ca, make_leaf, make_pfx
from tests.sites import site_of

FARMS = [{"name": "meet.contoso.com", "servers": ["fepool.contoso.local"]}]
ROOT = make_ca()
ISSUING = make_ca("Contoso Issuing CA", ROOT)
LEAF = make_leaf(["meet.contoso.com"], ISSUING)
CERTIFICATES = '[certificates]\ntrusted_roots = ["root.cer"]\npublic = "public.pfx"\npassword = "env:LYNCARR_TEST_PFX"\n'


def thumbprint(der: bytes) -> str:
    return hashlib.sha1(der).hexdigest().upper()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "root.cer").write_bytes(ROOT.der)
    (tmp_path / "public.pfx").write_bytes(make_pfx(LEAF, [ISSUING, ROOT], "correct horse"))
    monkeypatch.setenv("LYNCARR_TEST_PFX", "correct horse")
    return tmp_path


def prepared(folder: Path, more: str = "") -> Prepared:
    return prepare(site_of(FARMS, folder, more=more), None, now=NOW)


def package(folder: Path, name: str, content: bytes) -> str:
    """Write a file with the signature of an MSI package. Returns its SHA-256."""
    data = MSI_MAGIC + content
    (folder / name).write_bytes(data)
    return hashlib.sha256(data).hexdigest().upper()


def with_packages(folder: Path, extra: str = "") -> Prepared:
    rewrite, arr = package(folder, "my rewrite.msi", b"1"), package(folder, "arr.msi", b"2")
    return prepared(
        folder,
        f'[installers]\nurl_rewrite = "my rewrite.msi"\narr = "arr.msi"\n{extra}\n'
        f'[installers.sha256]\nurl_rewrite = "{rewrite}"\narr = "{arr}"\nexternal_cache = "{"AB" * 32}"\n',
    )


def test_the_steps_install_before_they_configure() -> None:
    assert [step.name for step in steps_of(STAGES)][:6] == ["iis", "arr", "trusted-roots", "certificate", "https-binding", "farms"]
    install = STAGES[0]
    assert (install.may_reboot, install.fresh_shell_after) == (True, True)
    assert not any(stage.may_reboot for stage in STAGES[1:])


def test_iis(folder: Path) -> None:
    assert Iis().desired(prepared(folder)) == {"Web-Server": {"installed": True, "missing": ()}, "W3SVC": {"running": True}}


def test_arr_without_packages_desires_the_required_products(folder: Path) -> None:
    site = prepared(folder)
    assert list(Arr().desired(site)) == ["URL Rewrite", "Application Request Routing"]
    assert Arr().parameters(site)["packages"] == {}
    assert Arr().files(site, frozenset(Arr().desired(site))) == {}


def test_arr_packages_are_sent_under_fixed_names(folder: Path) -> None:
    site = with_packages(folder)
    parameters = Arr().parameters(site)
    assert parameters["packages"]["URL Rewrite"]["file"] == "url_rewrite"
    assert parameters["publisher"] == "Microsoft Corporation"
    assert "my rewrite" not in json.dumps(parameters)


def test_arr_sends_only_what_is_missing(folder: Path) -> None:
    files = Arr().files(with_packages(folder), frozenset({"Application Request Routing"}))
    assert {name: file.path.name for name, file in files.items()} == {"arr": "arr.msi"}


def test_arr_desires_another_product_only_if_its_package_is_named(folder: Path) -> None:
    site = with_packages(folder, 'external_cache = "https://files.contoso.com/cache.msi"')
    assert list(Arr().desired(site)) == ["URL Rewrite", "Application Request Routing", "External Cache"]
    assert Arr().parameters(site)["packages"]["External Cache"]["url"] == "https://files.contoso.com/cache.msi"
    assert set(Arr().files(site, frozenset(Arr().desired(site)))) == {"url_rewrite", "arr"}


@pytest.mark.parametrize(
    ("text", "webpi", "feed"),
    [
        ("", [], ""),
        ('source = "webpi"', ["UrlRewrite2", "ARRv3_0"], ""),
        ("feed = 'C:\\webpi\\my feeds\\list.XML'", ["UrlRewrite2", "ARRv3_0"], "C:\\webpi\\my feeds\\list.XML"),
        (
            'feed = "https://files.contoso.com:8443/a.xml?x=1&y=%20"',
            ["UrlRewrite2", "ARRv3_0"],
            "https://files.contoso.com:8443/a.xml?x=1&y=%20",
        ),
    ],
)
def test_arr_uses_webpi_only_if_configured(folder: Path, text: str, webpi: list[str], feed: str) -> None:
    parameters = Arr().parameters(prepared(folder, f"[installers]\n{text}\n"))
    assert (list(parameters["webpi"].values()), parameters["feed"]) == (webpi, feed)
    assert set(parameters["webpi"]) <= set(Arr().desired(prepared(folder)))


def test_two_products_by_webpi_fit_into_the_deadline() -> None:
    assert 2 * WEBPI_LIMIT_S < INSTALL_DEADLINE_S


def test_products_are_those_of_the_configuration_file() -> None:
    assert list(PRODUCTS) == list(ROLES)


def test_trusted_roots(folder: Path) -> None:
    site = prepared(folder, CERTIFICATES)
    state = TrustedRoots().desired(site)
    (label,) = state
    assert label == f"Contoso Root CA ({thumbprint(ROOT.der)[:8]})"
    assert state[label] == {"store": "Root", "thumbprint": thumbprint(ROOT.der)}
    assert base64.b64decode(TrustedRoots().parameters(site)["certificates"][label]) == ROOT.der


def test_certificate_with_its_intermediates(folder: Path) -> None:
    site = prepared(folder, CERTIFICATES)
    state = Certificate().desired(site)
    assert state["public certificate"] == {"thumbprint": thumbprint(LEAF.der), "private_key": True}
    (issuing,) = set(state) - {"public certificate"}
    assert state[issuing] == {"store": "CA", "thumbprint": thumbprint(ISSUING.der)}
    parameters = Certificate().parameters(site)
    assert base64.b64decode(parameters["certificates"][issuing]) == ISSUING.der
    assert parameters["name"] == "meet.contoso.com"


@pytest.mark.parametrize(("build", "three_des"), [(9600, True), (14393, True), (17763, False), (20348, False)])
def test_certificate_is_repacked_for_the_version_of_windows(folder: Path, build: int, three_des: bool) -> None:
    secrets = Certificate().secrets(prepared(folder, CERTIFICATES), build)
    assert set(secrets) == {"pfx", "pfx_password"}
    pfx = base64.b64decode(opened(secrets["pfx"]))
    key, leaf, _ = pkcs12.load_key_and_certificates(pfx, opened(secrets["pfx_password"]).encode())
    assert key is not None
    assert leaf == LEAF.certificate
    # pbeWithSHAAnd3-KeyTripleDES-CBC (RFC 7292, appendix C) in DER
    assert (bytes.fromhex("2a864886f70d010c0103") in pfx) is three_des
    assert opened(secrets["pfx_password"]) != "correct horse"


def opened(secret: Secret) -> str:
    return secret.reveal()


@pytest.mark.parametrize(
    ("https", "endpoint"),
    [
        ("*:443:", "0.0.0.0:443"),
        ("*:8443:", "0.0.0.0:8443"),
        ("192.0.2.1:443:", "192.0.2.1:443"),
        ("[2001:db8::1]:443:", "[2001:db8::1]:443"),
    ],
)
def test_https_binding(folder: Path, https: str, endpoint: str) -> None:
    site = prepared(folder, f'{CERTIFICATES}\n[website]\nname = "Proxy"\nhttps = "{https}"\n')
    assert HttpsBinding().desired(site) == {
        "Proxy": {"started": True, "autostart": True},
        https: {"sni": False, "certificate": thumbprint(LEAF.der), "store": "MY"},
    }
    parameters = HttpsBinding().parameters(site)
    assert (parameters["site"], parameters["binding"], parameters["endpoint"]) == ("Proxy", https, endpoint)
    assert parameters["port"] == int(endpoint.rpartition(":")[2])


@pytest.mark.parametrize("step", [TrustedRoots(), Certificate(), HttpsBinding()], ids=lambda step: step.name)
def test_nothing_is_desired_without_certificates(folder: Path, step: Any) -> None:
    site = prepared(folder)
    assert step.desired(site) == {}
    assert step.secrets(site, 9600) == {}
    json.dumps(step.parameters(site))


def test_pieces_are_in_order_and_complete(tmp_path: Path) -> None:
    data = bytes(range(256)) * 2000
    file = tmp_path / "arr.msi"
    file.write_bytes(data)
    found = list(pieces(Installer("arr", file.name, hashlib.sha256(data).hexdigest().upper(), path=file, size=len(data))))
    assert [offset for offset, _ in found] == [0, PIECE_BYTES, 2 * PIECE_BYTES]
    assert b"".join(base64.b64decode(text) for _, text in found) == data
    assert max(len(text) for _, text in found) == 300_000


def test_file_that_changed_is_not_installed(tmp_path: Path) -> None:
    file = tmp_path / "arr.msi"
    file.write_bytes(b"exchanged")
    with pytest.raises(StepFailedError, match=r"arr\.msi changed during the upload, so nothing was installed"):
        list(pieces(Installer("arr", file.name, "00" * 32, path=file, size=9)))


def test_missing_file_is_not_installed(tmp_path: Path) -> None:
    with pytest.raises(StepFailedError, match=r"arr\.msi can no longer be read"):
        list(pieces(Installer("arr", "arr.msi", "00" * 32, path=tmp_path / "arr.msi", size=9)))
