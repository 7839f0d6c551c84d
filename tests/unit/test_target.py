"""Which machine is meant: the site file with the command line over it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lyncarr.config.tables import HostConfig
from lyncarr.core.errors import UsageError
from lyncarr.core.model import Secret
from lyncarr.hosts.target import Target, Tls, make_target

PIN = "AB" * 32


def made(name: str = "rp01", entry: dict[str, Any] | None = None, **words: Any) -> Target:
    asked: list[tuple[str, Path, str, str]] = []
    given: dict[str, Any] = dict.fromkeys(("address", "user", "auth", "port", "tls", "password_from"))

    def resolve(reference: str, base: Path, label: str, account: str) -> Secret:
        asked.append((reference, base, label, account))
        return Secret(f"secret of {reference}")

    config = None if entry is None else HostConfig(**entry)
    target = make_target(name, config, base=Path("/site"), resolve=resolve, **{**given, **words})
    # A file that is named on the command line lies where the person stands.
    base = Path() if words.get("password_from") else Path("/site")
    assert [each[1:] for each in asked] == [(base, f"the password of {target.user} on {name}", target.user)]
    return target


def never(reference: str, base: Path, label: str, account: str) -> Secret:
    raise AssertionError(f"{label} was asked for")


def test_the_site_file_says_it_all() -> None:
    target = made(entry={"address": "192.0.2.10", "user": "Administrator", "password": "env:PW", "auth": "ntlm", "tls": "ca:roots.pem"})
    assert (target.name, target.address, target.port, target.user, target.auth) == ("rp01", "192.0.2.10", 5986, "Administrator", "ntlm")
    assert target.tls == Tls("ca", ca=Path("/site/roots.pem"))
    assert target.password == Secret("secret of env:PW")
    assert target.endpoint == "https://192.0.2.10:5986/wsman"
    assert target.where == "rp01 (192.0.2.10:5986)"


def test_the_command_line_comes_first() -> None:
    entry = {"address": "192.0.2.10", "user": "Administrator", "password": "env:PW", "port": 443}
    target = made(
        entry=entry, address="192.0.2.11", user="ops", auth="basic", port=8443, tls=f"pin:sha256:{PIN}", password_from="file:pw.txt"
    )
    assert (target.address, target.port, target.user, target.auth) == ("192.0.2.11", 8443, "ops", "basic")
    assert target.tls == Tls("pin", pin=PIN)
    assert target.password == Secret("secret of file:pw.txt")


@pytest.mark.parametrize(
    ("entry", "word", "transport"),
    [({}, None, "psrp"), ({"transport": "winrs"}, None, "winrs"), ({"transport": "winrs"}, "psrp", "psrp"), (None, "winrs", "winrs")],
)
def test_how_powershell_is_reached(entry: dict[str, Any] | None, word: str | None, transport: str) -> None:
    assert made(entry=entry, user="ops", transport=word).transport == transport


def test_a_bare_address_is_enough() -> None:
    target = made("2001:DB8::1", user="Administrator", tls="off")
    assert (target.address, target.port, target.auth) == ("2001:db8::1", 5985, "negotiate")
    assert target.endpoint == "http://[2001:db8::1]:5985/wsman"
    assert made("bücher.example", user="x").address == "xn--bcher-kva.example"


def test_a_file_of_the_command_line_starts_where_the_person_stands() -> None:
    assert made(user="x", tls="ca:roots.pem").tls.ca == Path("roots.pem")


def test_a_client_certificate_needs_no_password_and_no_prompt() -> None:
    entry = {"auth": "certificate", "certificate": "/site/client.pem", "key": "/site/client.key"}
    target = make_target(
        "rp01",
        HostConfig.model_validate(entry, context={"folder": Path("/site")}),
        base=Path("/site"),
        address=None,
        user=None,
        auth=None,
        port=None,
        tls=None,
        password_from=None,
        resolve=lambda reference, base, label, account: pytest.fail("asked for a password"),
    )
    assert target.password is None
    assert target.certificate == Path("/site/client.pem")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ({"auth": "ntlm"}, "No account is given for rp01"),
        ({"user": "x", "tls": "trustme"}, "--tls"),
        ({"user": "x", "address": "a b"}, "--address"),
        ({"user": "x", "address": "rp01:5986"}, "--address"),
        ({"user": "x", "tls": "off", "auth": "basic"}, "requires TLS"),
        ({"user": "a:b", "auth": "basic"}, "colon"),
        ({"user": "x", "auth": "certificate"}, "requires a client certificate"),
        ({"user": "x", "port": 70000}, "--port: 70000 is not a valid port"),
        ({"user": "x", "port": 0}, "--port: 0 is not a valid port"),
        ({"user": "x", "auth": "sspi"}, "sspi does not use the account"),
        ({"user": "x", "auth": "krb"}, "--auth: invalid value 'krb'"),
        ({"user": "x", "transport": "ssh"}, "--transport: invalid value 'ssh'"),
    ],
)
def test_what_cannot_work_is_misuse_before_any_contact(words: dict[str, Any], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        made(**words)


@pytest.mark.parametrize(("auth", "user"), [("sspi", ""), ("kerberos", "")])
def test_the_account_of_this_machine_needs_no_password(auth: str, user: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "win32")
    target = make_target(
        "rp01", None, base=Path(), **dict.fromkeys(("address", "port", "tls", "password_from")), user=user, auth=auth, resolve=never
    )
    assert (target.password, target.account) == (None, "the user of this machine")


def test_negotiate_without_an_account_is_the_logged_on_user_of_windows_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "win32")
    words = dict.fromkeys(("address", "port", "tls", "password_from", "user", "auth"))
    assert make_target("rp01", None, base=Path(), **words, resolve=never).auth == "sspi"
    monkeypatch.setattr("sys.platform", "linux")
    with pytest.raises(UsageError, match="No account is given"):
        make_target("rp01", None, base=Path(), **words, resolve=never)
    with pytest.raises(UsageError, match="sspi exists on Windows only"):
        make_target("rp01", None, base=Path(), **{**words, "auth": "sspi"}, resolve=never)


def test_kerberos_with_an_account_asks_for_its_password() -> None:
    assert made(user="ops@CONTOSO.COM", auth="kerberos").password is not None


def test_a_host_that_is_no_name_is_misuse() -> None:
    with pytest.raises(UsageError, match="--host"):
        made("rp01/../x", user="x")


def test_a_target_shows_no_password() -> None:
    assert "secret" not in repr(made(user="x"))
