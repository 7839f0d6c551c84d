"""The checks that need no host: `lyncarr check`, the beginning of every run, and the file of `lyncarr init`."""

from __future__ import annotations

import hashlib
import re
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lyncarr.config.loader import load_site
from lyncarr.config.site import Site
from lyncarr.config.template import template_text, write_template
from lyncarr.core.errors import ConfigurationError, Problem, SiteError, UsageError
from lyncarr.materials.installers import MSI_MAGIC
from lyncarr.materials.prepare import check, prepare
from tests.certs import NOW, Pair, make_ca, make_leaf, make_pfx
from tests.sites import site_of

FARMS: list[dict[str, Any]] = [{"name": name, "servers": ["fepool.contoso.local"]} for name in ("dialin.contoso.com", "meet.contoso.com")]
TABLE = '[certificates]\ntrusted_roots = ["root.cer"]\npublic = "public.pfx"\npassword = "prompt"\n'


@pytest.fixture(autouse=True)
def _no_contact(monkeypatch: pytest.MonkeyPatch) -> None:
    """These checks must not open a connection or resolve a name."""

    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("a local check used the network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture(scope="module")
def root() -> Pair:
    return make_ca()


def site_with(folder: Path, root: Pair, leaf: Pair | None = None, more: str = "") -> Site:
    (folder / "root.cer").write_bytes(root.der)
    (folder / "public.pfx").write_bytes(make_pfx(leaf or make_leaf(["*.contoso.com"], root)))
    site: Site = site_of(FARMS, folder, more=TABLE + more)
    return site


def typed(question: str) -> str:
    return "correct horse"


def problems(site: Site) -> list[Problem]:
    """The problems of `site`, whose locations are lines of the configuration file."""
    with pytest.raises(SiteError) as caught:
        prepare(site, typed, now=NOW)
    assert caught.value.exit_code == 65
    return [replace(problem, location=problem.location.removeprefix(f"{site.path}:")) for problem in caught.value.problems]


def messages(site: Site) -> list[str]:
    """The same, as lines of text."""
    return list(map(str, problems(site)))


def test_each_file_is_read_once(tmp_path: Path, root: Pair) -> None:
    digest = "2AF5B9A8B8B9F4F2" * 4
    site = site_with(tmp_path, root, more=f'[installers]\narr = "https://files.contoso.com/arr.msi"\nsha256 = {{ arr = "{digest}" }}\n')
    prepared = prepare(site, typed, now=NOW)
    assert prepared.site is site
    assert (prepared.farms, prepared.website) == (site.farms, site.website)
    assert [each.label.split(" (")[0] for each in prepared.roots] == ["Contoso Root CA"]
    assert prepared.public is not None
    assert prepared.public.sans == ("*.contoso.com",)
    assert [each.sha256 for each in prepared.installers] == [digest]
    assert prepared.warnings == ()


def test_a_site_without_certificates_and_packages_has_none(tmp_path: Path) -> None:
    prepared = prepare(site_of(FARMS, tmp_path), None)
    assert (prepared.roots, prepared.public, prepared.installers, prepared.warnings) == ((), None, (), ())


def test_a_root_in_two_files_is_listed_once(tmp_path: Path, root: Pair) -> None:
    for name in ("a.cer", "b.cer"):
        (tmp_path / name).write_bytes(root.der)
    site = site_of(FARMS, tmp_path, more='[certificates]\ntrusted_roots = ["a.cer", "b.cer"]')
    assert len(prepare(site, None, now=NOW).roots) == 1


def test_problems_of_all_files_are_reported_together(tmp_path: Path, root: Pair) -> None:
    site = site_with(tmp_path, root, make_leaf(["meet.contoso.com"], root), more='[installers]\narr = "arr.msi"\n')
    (tmp_path / "root.cer").write_bytes(make_leaf(["x.contoso.com"], root).der)
    (tmp_path / "arr.msi").write_bytes(b"")
    files = [tmp_path / name for name in ("root.cer", "arr.msi", "public.pfx")]
    first, second, third = messages(site)
    assert first.startswith(f"2: `certificates.trusted_roots[0]`: {files[0]} contains x.contoso.com (")
    assert second == f"6: `installers.arr`: {files[1]} is empty (0 bytes)."
    assert third.startswith(f"3: `certificates.public`: {files[2]}: meet.contoso.com (")
    assert "does not include dialin.contoso.com in its subject alternative names." in third


@pytest.mark.parametrize(("file", "key"), [("root.cer", "2: `certificates.trusted_roots[0]`"), ("public.pfx", "3: `certificates.public`")])
def test_an_unusable_file_names_its_line_key_and_path(file: str, key: str, tmp_path: Path, root: Pair) -> None:
    site = site_with(tmp_path, root)
    (tmp_path / file).write_bytes(b"")
    assert messages(site) == [f"{key}: {tmp_path / file} is empty (0 bytes)."]
    (tmp_path / file).unlink()
    (problem,) = problems(site)
    assert str(problem) == f"{key}: {tmp_path / file} does not exist."
    assert problem.hint == "Copy the file there, or correct the path."
    (tmp_path / file).mkdir()
    assert messages(site) == [f"{key}: {tmp_path / file} is a folder; give a file."]


def test_two_unknown_packages_are_trusted_by_one_table(tmp_path: Path) -> None:
    digests = {}
    for role in ("url_rewrite", "arr"):
        data = MSI_MAGIC + role.encode()
        (tmp_path / f"{role}.msi").write_bytes(data)
        digests[role] = hashlib.sha256(data).hexdigest().upper()
    table = '[installers]\nurl_rewrite = "url_rewrite.msi"\narr = "arr.msi"\n'
    first, second = problems(site_of(FARMS, tmp_path, more=table))
    assert str(first) == f"2: `installers.url_rewrite`: {tmp_path / 'url_rewrite.msi'} has an unknown SHA-256."
    assert str(second) == f"3: `installers.arr`: {tmp_path / 'arr.msi'} has an unknown SHA-256."
    assert first.hint == ""
    _, *lines = second.hint.splitlines()
    assert lines == ["[installers.sha256]", *(f'{role} = "{digest}"' for role, digest in digests.items())]
    pasted = site_of(FARMS, tmp_path, more="\n".join([table, *lines]))
    assert [each.role for each in prepare(pasted, None).installers] == ["url_rewrite", "arr"]


def test_a_wrong_password_is_a_problem_of_the_file(tmp_path: Path, root: Pair) -> None:
    site = site_with(tmp_path, root)
    with pytest.raises(SiteError, match=r"`certificates.public`: .*public.pfx cannot be opened with the given password"):
        prepare(site, lambda question: "wrong", now=NOW)


def test_the_question_names_the_file_and_comes_only_when_needed(tmp_path: Path, root: Pair) -> None:
    asked: list[str] = []

    def ask(question: str) -> str:
        asked.append(question)
        return "correct horse"

    site = site_with(tmp_path, root)
    (tmp_path / "public.pfx").unlink()
    with pytest.raises(SiteError):
        prepare(site, ask, now=NOW)
    assert asked == []
    site_with(tmp_path, root)
    prepare(site, ask, now=NOW)
    assert asked == ["The password of public.pfx: "]


def test_a_missing_terminal_is_reported_after_the_problems_of_the_file(tmp_path: Path, root: Pair) -> None:
    site = site_with(tmp_path, root)
    with pytest.raises(ConfigurationError, match=r"There is no terminal to ask for the password of public.pfx") as caught:
        prepare(site, None, now=NOW)
    assert caught.value.exit_code == 78
    (tmp_path / "root.cer").unlink()
    with pytest.raises(SiteError, match=r"trusted_roots\[0\]"):
        prepare(site, None, now=NOW)


def test_warnings_name_their_key_and_are_shown_once(tmp_path: Path) -> None:
    old = make_ca("Old Root CA", end=NOW.replace(year=2029))
    site = site_with(tmp_path, old, make_leaf(["*.contoso.com"], old, end=NOW.replace(day=20)))
    expired, soon = prepare(site, typed, now=NOW).warnings
    assert expired.startswith(f"{site.path}:2: `certificates.trusted_roots[0]`: {tmp_path / 'root.cer'}: the root Old Root CA (")
    assert soon.startswith(f"{site.path}:3: `certificates.public`: {tmp_path / 'public.pfx'}: *.contoso.com")
    assert "in 5 days" in soon
    assert check(site, typed, now=NOW).warnings == (expired, soon)


def test_the_sites_own_warnings_come_first(tmp_path: Path) -> None:
    site = site_of([{"name": "meet.contoso.com", "servers": ["meet.contoso.com"]}], tmp_path)
    assert prepare(site, None).warnings == site.warnings
    assert "loop" in site.warnings[0]


def test_a_check_shows_what_the_file_amounts_to(tmp_path: Path, root: Pair) -> None:
    farms = [*FARMS, {"name": "meet.fabrikam.com", "servers": ["fe.fabrikam.local"], "ssl_offload": True}]
    (tmp_path / "root.cer").write_bytes(root.der)
    site = site_of(farms, tmp_path, more='[certificates]\ntrusted_roots = ["root.cer"]')
    facts = "\n".join(check(site, None, now=NOW).facts)
    assert "farm dialin.contoso.com: requests for dialin.* go to fepool.contoso.local, port 4443, timeout 900 s" in facts
    assert "farm meet.fabrikam.com: requests for meet.fabrikam.com go to fe.fabrikam.local, port 8080" in facts
    assert facts.count("host pattern: the full name, because the first label is not unique") == 1
    assert "stored in LocalMachine\\Root, valid until 2040-06-12" in facts
    assert "no public certificate in the configuration file: the HTTPS binding of Default Web Site is not changed" in facts


def test_a_check_shows_what_happens_to_requests_without_tls(tmp_path: Path) -> None:
    ways: list[dict[str, Any]] = [{"http": "redirect"}, {"http": "forward"}, {"http": "forward", "https": False}]
    farms = [{"name": f"{label}.contoso.com", "servers": ["fe"], **way} for label, way in zip(["a", "b", "c"], ways, strict=True)]
    facts = check(site_of(farms, tmp_path), None, now=NOW).facts
    assert facts[0].endswith("requests for a.* go to fe, port 4443, timeout 900 s; requests without TLS for a.* are redirected to https")
    assert facts[1].endswith("port 4443, timeout 900 s; requests without TLS for b.* go to fe, port 8080, unencrypted, timeout 900 s")
    assert facts[2] == "farm c.contoso.com: requests without TLS for c.* go to fe, port 8080, unencrypted, timeout 900 s"


def test_a_name_without_https_needs_no_certificate(tmp_path: Path, root: Pair) -> None:
    (tmp_path / "root.cer").write_bytes(root.der)
    (tmp_path / "public.pfx").write_bytes(make_pfx(make_leaf(["*.contoso.com"], root)))
    plain = {"name": "lyncdiscover.fabrikam.com", "servers": ["fepool.contoso.local"], "http": "forward"}
    assert "`certificates.public`: " in messages(site_of([*FARMS, plain], tmp_path, more=TABLE))[0]
    prepared = prepare(site_of([*FARMS, {**plain, "https": False}], tmp_path, more=TABLE), typed, now=NOW)
    assert (prepared.public is not None, prepared.warnings) == (True, ())


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        (
            'source = "webpi"',
            "by WebPI, from Microsoft's product list, which was retired in 2022; set installers.feed to a list of your own",
        ),
        ('feed = "https://files.contoso.com/webpi.xml"', "by WebPI, from https://files.contoso.com/webpi.xml"),
    ],
)
def test_webpi_is_reported(text: str, shown: str, tmp_path: Path) -> None:
    facts = "\n".join(check(site_of(FARMS, tmp_path, more=f"[installers]\n{text}\n"), None, now=NOW).facts)
    assert shown in facts
    assert ("WebPI" in facts) is bool(shown)


class TestTemplate:
    def test_its_placeholders_are_rejected_by_name(self, tmp_path: Path) -> None:
        path = tmp_path / "lyncarr.toml"
        write_template(["contoso.com"], path)
        with pytest.raises(SiteError) as caught:
            load_site(path)
        assert [problem.message.partition(" is a placeholder of lyncarr init; replace")[0] for problem in caught.value.problems] == [
            "`hosts.rp01.address`: 'reverse-proxy.invalid'",
            *(
                f"`farms[{number}].servers[0]` of {name}.contoso.com: 'front-end.invalid'"
                for number, name in enumerate(["dialin", "meet", "lyncdiscover", "lyncwebext"])
            ),
            "`farms[4].servers[0]` of wac.contoso.com: 'office-web-apps.invalid'",
        ]

    def test_its_comments_on_a_host_show_the_defaults(self, tmp_path: Path) -> None:
        path = tmp_path / "lyncarr.toml"
        text = template_text(["contoso.com"]).replace(".invalid", ".contoso.local")
        path.write_text(text, "utf-8")
        before = load_site(path).hosts["rp01"]
        text, count = re.subn(r"^# (auth|tls|transport) = ", r"\1 = ", text, flags=re.MULTILINE)
        path.write_text(text, "utf-8")
        assert count == 3
        assert load_site(path).hosts["rp01"] == before

    @pytest.mark.parametrize(("domain", "kept"), [("Contoso.com", "contoso.com"), ("bücher.example", "xn--bcher-kva.example")])
    def test_with_real_servers_it_is_valid(self, domain: str, kept: str, tmp_path: Path) -> None:
        path = tmp_path / "lyncarr.toml"
        write_template([domain], path)
        path.write_text(path.read_text("utf-8").replace(".invalid", ".contoso.local"), "utf-8")
        site = load_site(path)
        assert [farm.name for farm in site.farms] == [
            f"{label}.{kept}" for label in ("dialin", "meet", "lyncdiscover", "lyncwebext", "wac")
        ]
        assert site.farms[4].kind == "office-web-apps"
        assert (site.warnings, site.notes) == ((), ())

    def test_every_commented_line_is_valid_too(self, tmp_path: Path) -> None:
        path = tmp_path / "lyncarr.toml"
        write_template(["contoso.com", "fabrikam.com"], path)
        lines = path.read_text("utf-8").replace(".invalid", ".contoso.local").splitlines()
        path.write_text("\n".join(line.removeprefix("# ") if " = " in line or line.startswith("# [") else line for line in lines), "utf-8")
        site = load_site(path)
        assert (site.hosts["rp01"].port, site.website.port, site.farms[0].timeout_s) == (5986, 443, 900)
        assert site.installers.arr == tmp_path / "media" / "requestRouter_amd64.msi"

    def test_an_existing_file_is_not_changed(self, tmp_path: Path) -> None:
        path = tmp_path / "lyncarr.toml"
        path.write_text("mine", "utf-8")
        with pytest.raises(SiteError, match="already exists and was not changed") as caught:
            write_template(["contoso.com"], path)
        assert caught.value.exit_code == 65
        assert path.read_text("utf-8") == "mine"

    def test_a_missing_folder_is_reported(self, tmp_path: Path) -> None:
        with pytest.raises(SiteError, match=r"cannot be written \(no such file or directory\)"):
            write_template(["contoso.com"], tmp_path / "absent" / "lyncarr.toml")

    def test_a_folder_is_not_written(self, tmp_path: Path) -> None:
        with pytest.raises(SiteError, match="is a folder; give a file"):
            write_template(["contoso.com"], tmp_path)

    def test_each_further_domain_has_the_names_that_it_needs(self, tmp_path: Path) -> None:
        path = tmp_path / "lyncarr.toml"
        write_template(["contoso.com", "Fabrikam.com", "bücher.example"], path)
        text = path.read_text("utf-8")
        assert text.startswith("# The reverse proxy for contoso.com, fabrikam.com and xn--bcher-kva.example. Next:")
        path.write_text(text.replace(".invalid", ".contoso.local"), "utf-8")
        site = load_site(path)
        assert [farm.name for farm in site.farms[5:]] == [
            f"{label}.{domain}" for domain in ("fabrikam.com", "xn--bcher-kva.example") for label in ("meet", "lyncdiscover")
        ]
        assert len(site.notes) == 1

    def test_a_domain_is_given_once(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match=r"The SIP domain contoso.com is given twice"):
            write_template(["contoso.com", "Contoso.com."], tmp_path / "lyncarr.toml")
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("domain", ["contoso", "*.contoso.com", "192.0.2.1", ""])
    def test_an_invalid_domain_is_misuse(self, domain: str, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match=r"^Invalid SIP domain: ") as caught:
            write_template([domain], tmp_path / "lyncarr.toml")
        assert "meet." not in str(caught.value), "the example is a SIP domain"
        assert list(tmp_path.iterdir()) == []
