"""What the tables of a configuration file mean: defaults, host patterns, and conflicts between farms."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lyncarr.config.farms import Farm
from lyncarr.config.names import pattern_matches
from lyncarr.config.site import Site
from lyncarr.config.tables import FarmTable
from lyncarr.config.values import check_tls
from lyncarr.core.errors import SiteError
from tests.sites import site_of


def farm(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "servers": ["fepool.contoso.local"], **more}


def path_in(folder: Path) -> Path:
    """The configuration file that site_of writes."""
    return folder / "lyncarr.toml"


def patterns(site: Site) -> list[str]:
    return [each.host_pattern for each in site.farms]


def test_a_farm_has_the_defaults_of_its_kind(tmp_path: Path) -> None:
    dialin, wac = site_of([farm("dialin.contoso.com"), farm("wac.contoso.com", kind="office-web-apps")], tmp_path).farms
    assert (dialin.kind, dialin.http_port, dialin.https_port) == ("lync", 8080, 4443)
    assert (wac.kind, wac.http_port, wac.https_port) == ("office-web-apps", 80, 443)
    assert (dialin.timeout_s, dialin.disk_cache, dialin.ssl_offload, dialin.host_pattern) == (900, False, False, "dialin.*")
    assert (dialin.http, dialin.https, dialin.http_pattern) == ("remove", True, "dialin.*")


def test_every_key_of_a_farm_is_kept() -> None:
    assert {field.name for field in fields(Farm)} - {"http_pattern"} == set(FarmTable.model_fields)


def test_a_farm_takes_what_is_written(tmp_path: Path) -> None:
    written = farm(
        "dialin.contoso.com",
        http_port=81,
        https_port=8443,
        timeout_s=86400,
        disk_cache=True,
        ssl_offload=True,
        host_pattern="*.contoso.com",
    )
    (made,) = site_of([written], tmp_path).farms
    assert (made.http_port, made.https_port, made.timeout_s) == (81, 8443, 86400)
    assert (made.disk_cache, made.ssl_offload, made.host_pattern) == (True, True, "*.contoso.com")


def test_names_and_servers_are_kept_in_canonical_form(tmp_path: Path) -> None:
    (made,) = site_of([farm("Bücher.Example.", servers=["FEPOOL.contoso.local.", "2001:DB8::1", "192.0.2.1"])], tmp_path).farms
    assert made.name == "xn--bcher-kva.example"
    assert made.servers == ("fepool.contoso.local", "2001:db8::1", "192.0.2.1")
    assert made.host_pattern == "xn--bcher-kva.*"


def test_the_rest_of_the_file_may_be_left_out(tmp_path: Path) -> None:
    site = site_of([farm("meet.contoso.com")], tmp_path)
    assert site.hosts == {}
    assert (site.certificates.trusted_roots, site.certificates.public) == ((), None)
    assert (site.website.name, site.website.https, site.website.port) == ("Default Web Site", "*:443:", 443)
    assert (site.installers.source, site.installers.arr, site.installers.publisher) == ("auto", None, "Microsoft Corporation")
    assert (site.warnings, site.notes) == ((), ())


def test_paths_are_relative_to_the_configuration_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = '[certificates]\ntrusted_roots = ["certs/root.cer"]\n[installers]\narr = "/media/arr.msi"'
    site = site_of([farm("meet.contoso.com")], Path(), more=text)
    assert site.certificates.trusted_roots == (tmp_path / "certs" / "root.cer",)
    assert site.installers.arr == Path("/media/arr.msi").absolute()
    assert site.folder == tmp_path


def test_farms_that_share_a_first_label_get_their_full_names(tmp_path: Path) -> None:
    site = site_of([farm("meet.contoso.com"), farm("dialin.contoso.com"), farm("meet.fabrikam.com")], tmp_path)
    assert patterns(site) == ["meet.contoso.com", "dialin.*", "meet.fabrikam.com"]
    assert site.notes == ("host pattern: the full name, because the first label is not unique: meet.contoso.com, meet.fabrikam.com",)


def test_the_full_name_has_the_port_that_browsers_send(tmp_path: Path) -> None:
    text = '[website]\nhttps = "*:8443:"'
    site = site_of([farm("meet.contoso.com"), farm("meet.fabrikam.com")], tmp_path, more=text)
    assert patterns(site) == ["meet.contoso.com:8443", "meet.fabrikam.com:8443"]
    assert site.warnings == ()


def test_a_given_pattern_counts_as_sharing_its_label(tmp_path: Path) -> None:
    site = site_of([farm("meet.contoso.com", host_pattern="meet.contoso.*"), farm("meet.fabrikam.com")], tmp_path)
    assert patterns(site) == ["meet.contoso.*", "meet.fabrikam.com"]
    assert [note.rpartition(": ")[2] for note in site.notes] == ["meet.fabrikam.com"]


def test_a_pattern_must_not_match_a_later_farm(tmp_path: Path) -> None:
    with pytest.raises(SiteError) as caught:
        site_of([farm("meet.contoso.com", host_pattern="*"), farm("dialin.contoso.com")], tmp_path)
    assert f"{path_in(tmp_path)}:5: `farms[0].host_pattern` of meet.contoso.com: '*' also matches dialin.contoso.com of farms[1]" in str(
        caught.value
    )


def test_a_pattern_may_match_an_earlier_farms_name(tmp_path: Path) -> None:
    site = site_of([farm("dialin.contoso.com"), farm("meet.contoso.com", host_pattern="*")], tmp_path)
    assert site.warnings == ()


def test_a_pattern_that_misses_its_own_name_is_a_warning(tmp_path: Path) -> None:
    site = site_of([farm("meet.contoso.com", host_pattern="meat.*")], tmp_path)
    (warning,) = site.warnings
    assert warning.startswith(
        f"{path_in(tmp_path)}:5: `farms[0].host_pattern` of meet.contoso.com: 'meat.*' does not match meet.contoso.com; "
    )


def test_a_pattern_without_the_port_misses_the_name_of_a_site_on_another_port(tmp_path: Path) -> None:
    site = site_of([farm("meet.contoso.com", host_pattern="meet.contoso.com")], tmp_path, more='[website]\nhttps = "*:8443:"')
    assert "does not match meet.contoso.com:8443" in site.warnings[0]


@pytest.mark.parametrize("http", ["redirect", "forward"])
def test_ssl_offload_excludes_rules_without_tls(http: str, tmp_path: Path) -> None:
    with pytest.raises(SiteError, match=rf'`farms\[0\].http` of meet.contoso.com: "{http}" is not allowed with ssl_offload = true'):
        site_of([farm("meet.contoso.com", ssl_offload=True, http=http)], tmp_path)


@pytest.mark.parametrize("http", ["remove", "redirect"])
def test_without_https_a_farm_must_forward_http(http: str, tmp_path: Path) -> None:
    with pytest.raises(SiteError, match=rf'`farms\[0\].https` of meet.contoso.com: with https = false and http = "{http}", no request'):
        site_of([farm("meet.contoso.com", https=False, http=http)], tmp_path)


def test_rules_for_https_and_rules_without_tls_do_not_compete(tmp_path: Path) -> None:
    catch_all = farm("lyncdiscover.contoso.com", host_pattern="*", http="forward", https=False)
    assert site_of([catch_all, farm("meet.contoso.com")], tmp_path).warnings == ()
    with pytest.raises(SiteError, match=r"`farms\[0\].host_pattern` of lyncdiscover.contoso.com: '\*' also matches meet"):
        site_of([catch_all, farm("meet.contoso.com", http="redirect")], tmp_path)


def test_a_pattern_that_misses_its_name_on_port_80_is_a_warning(tmp_path: Path) -> None:
    missing = farm("meet.contoso.com", host_pattern="meet.contoso.com:*", http="redirect")
    (warning,) = site_of([missing], tmp_path, more='[website]\nhttps = "*:8443:"').warnings
    assert "`farms[0].host_pattern` of meet.contoso.com: 'meet.contoso.com:*' does not match meet.contoso.com; requests" in warning


@pytest.mark.parametrize("server", ["meet.contoso.com", "MEET.contoso.com."])
def test_a_farm_that_leads_to_its_own_name_is_a_warning(server: str, tmp_path: Path) -> None:
    site = site_of([farm("meet.contoso.com", servers=[server])], tmp_path)
    assert f"{path_in(tmp_path)}:4: `farms[0].servers[0]` of meet.contoso.com: meet.contoso.com is a published name" in site.warnings[0]
    assert "loop" in site.warnings[0]


@pytest.mark.parametrize("again", ["meet.contoso.com", "Meet.Contoso.com", "meet.contoso.com."])
def test_a_name_is_published_once(again: str, tmp_path: Path) -> None:
    with pytest.raises(SiteError) as caught:
        site_of([farm("meet.contoso.com"), farm("dialin.contoso.com"), farm(again, https_port=444)], tmp_path)
    assert "`farms[2].name`: meet.contoso.com is already the name of farms[0]" in str(caught.value)


@pytest.mark.parametrize("ports", [{"http_port": 443, "https_port": 443}, {"http_port": 4443}, {"https_port": 8080}])
def test_the_two_ports_differ(ports: dict[str, int], tmp_path: Path) -> None:
    with pytest.raises(SiteError, match=r"`farms\[0\].https_port` of meet.contoso.com: http_port and https_port are both \d+"):
        site_of([farm("meet.contoso.com", **ports)], tmp_path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(
    st.lists(st.tuples(st.sampled_from(["meet", "dialin", "wac"]), st.sampled_from(["a.com", "b.com", "a.b.com"])), min_size=1, unique=True)
)
def test_each_default_pattern_matches_its_own_farm_only(tmp_path: Path, names: list[tuple[str, str]]) -> None:
    site = site_of([farm(".".join(parts)) for parts in names], tmp_path)
    for each in site.farms:
        assert [other.name for other in site.farms if pattern_matches(each.host_pattern, other.name)] == [each.name]


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("verify", "verify"),
        ("off", "off"),
        ("ca:ca.pem", "ca:ca.pem"),
        ("pin:sha256:" + "ab" * 32, "pin:sha256:" + "AB" * 32),
        ("pin:sha256:" + ":".join(["ab"] * 32), "pin:sha256:" + "AB" * 32),
    ],
)
def test_tls_has_one_form(written: str, kept: str) -> None:
    assert check_tls(written) == kept


@pytest.mark.parametrize(
    "written", ["", "yes", "ca:", "pin:", "pin:sha1:" + "ab" * 20, "pin:sha256:" + "ab" * 31, "pin:sha256:" + "zz" * 32]
)
def test_tls_has_four_kinds(written: str) -> None:
    with pytest.raises(ValueError, match="; use "):
        check_tls(written)
