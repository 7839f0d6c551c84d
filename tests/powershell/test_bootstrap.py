"""The console script of lyncarr bootstrap: what it shows, changes, tells and takes back."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lyncarr.config.loader import load_site
from tests.powershell.bootstrap_engine import SERVER, Console, Said

pytestmark = pytest.mark.powershell

ME = "192.0.2.50"
FARM = '\n[[farms]]\nname = "meet.contoso.com"\nservers = ["fepool.contoso.local"]\n'
POLICY = "SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Policies\\System\\"
MARKS = "SOFTWARE\\lyncarr\\bootstrap\\"
FIRST = "CCCCCCC1" * 5
OTHERS = "AB" * 20


@pytest.fixture(scope="module")
def console(pwsh: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    one = Console(pwsh, tmp_path_factory.mktemp("bootstrap"))
    yield one
    one.close()


@pytest.fixture
def server() -> dict[str, Any]:
    return copy.deepcopy(SERVER)


def https(thumbprint: str, port: str = "5986", enabled: str = "true") -> dict[str, str]:
    return {"Transport": "HTTPS", "Address": "*", "Port": port, "Enabled": enabled, "CertificateThumbprint": thumbprint}


def changes(said: Said) -> list[str]:
    return [line.strip() for line in said.lines if line.startswith("  ")]


def table(said: Said, tmp_path: Path) -> Any:
    """The printed lines as a site file reads them."""
    begin = next(number for number, line in enumerate(said.lines) if line.startswith("[hosts."))
    path = tmp_path / "lyncarr.toml"
    path.write_text("\n".join(said.lines[begin:]) + FARM, encoding="utf-8")
    return load_site(path).hosts


def test_it_shows_asks_changes_and_prints_a_table_for_the_site_file(console: Console, server: dict[str, Any], tmp_path: Path) -> None:
    server["answers"] = ["y"]
    said = console.run(server, Controller=ME)
    assert changes(said) == [
        "certificate for WinRM: none -> a new self-signed certificate, with a new pin for the configuration file",
        "HTTPS listener: none -> port 5986, with this certificate",
        f"firewall rule: none -> TCP 5986 from {ME}",
    ]
    assert said.lines.index("? Apply these changes? [y/N]") > said.lines.index(f"  firewall rule: none -> TCP 5986 from {ME}")
    assert said.code == 0
    assert said.server["listeners"][1] == https(FIRST)
    assert said.server["rule"] == {"On": True, "Port": "5986", "Addresses": [f"{ME}/255.255.255.255"]}
    (entry,) = table(said, tmp_path).items()
    assert entry[0] == "rp01"
    assert (entry[1].address, entry[1].user, entry[1].port) == ("192.0.2.10", "RP01\\Administrator", None)
    assert entry[1].tls == "pin:sha256:" + "CCCCCCC1" * 8


def test_a_no_changes_nothing(console: Console, server: dict[str, Any]) -> None:
    server["answers"] = [""]
    said = console.run(server, Controller=ME)
    assert (said.code, said.lines[-1]) == (0, "No further changes were made.")
    assert said.server | {"answers": [""]} == server


def test_a_second_run_changes_nothing_and_prints_the_same_table(console: Console, server: dict[str, Any]) -> None:
    first = console.run(server, Controller=ME, Yes=True)
    second = console.run(first.server, Controller=ME)
    assert changes(second) == []
    assert "No changes: everything is already set up." in second.lines
    assert second.lines[second.lines.index("[hosts.rp01]") :] == first.lines[first.lines.index("[hosts.rp01]") :]
    assert second.server == first.server


def test_removing_leaves_the_server_as_it_was(console: Console, server: dict[str, Any]) -> None:
    server["service"] = {"Start": "Disabled", "Running": False}
    made = console.run(server, Controller=ME, Yes=True, AllowLocalAdministrators=True)
    assert made.server["registry"][POLICY + "LocalAccountTokenFilterPolicy"] == 1
    assert made.server["service"] == {"Start": "Automatic", "Running": True}
    gone = console.run(made.server | {"answers": ["yes"]}, Remove=True)
    assert changes(gone) == [
        f"firewall rule: TCP 5986 from {ME} -> none",
        "HTTPS listener: port 5986 -> none",
        f"certificate for WinRM, with its private key: {FIRST} -> none",
        "LocalAccountTokenFilterPolicy: 1 -> not set",
        "service WinRM: Automatic, running -> Disabled, stopped",
    ]
    assert gone.server == server | {"number": 1}
    again = console.run(gone.server, Remove=True)
    assert again.lines == ["No changes: this script has set up nothing on this server."]


def test_removing_asks_and_puts_an_old_value_back(console: Console, server: dict[str, Any]) -> None:
    server["registry"][POLICY + "LocalAccountTokenFilterPolicy"] = 0
    made = console.run(server, Controller=ME, Yes=True, AllowLocalAdministrators=True)
    assert "  LocalAccountTokenFilterPolicy: 0 -> 1" in made.lines
    kept = console.run(made.server | {"answers": ["n"]}, Remove=True)
    assert kept.lines[-1] == "No changes were made."
    assert kept.server == made.server | {"answers": []}
    assert console.run(made.server, Remove=True, Yes=True).server == server | {"number": 1}


def test_removing_leaves_what_others_set_since(console: Console, server: dict[str, Any]) -> None:
    made = console.run(server, Controller=ME, Yes=True, AllowLocalAdministrators=True)
    made.server["registry"][POLICY + "LocalAccountTokenFilterPolicy"] = 0
    made.server["listeners"] = [https(OTHERS)]
    made.server["certificates"] = {OTHERS: "2036-01-01T00:00:00Z"}
    gone = console.run(made.server, Remove=True, Yes=True)
    assert changes(gone) == [f"firewall rule: TCP 5986 from {ME} -> none"]
    assert gone.server["listeners"] == [https(OTHERS)]
    assert gone.server["registry"] == {POLICY + "LocalAccountTokenFilterPolicy": 0}


def test_removing_needs_the_service_to_see_the_listener(console: Console, server: dict[str, Any]) -> None:
    made = console.run(server, Controller=ME, Yes=True)
    made.server["service"]["Running"] = False
    said = console.run(made.server, Remove=True, Yes=True)
    assert said.code == 1
    assert said.lines[-1].startswith("Stopped: The listener can be removed only while the service WinRM runs.")
    assert said.server == made.server


@pytest.mark.parametrize("arguments", [{"Controller": ME}, {"Remove": True}])
def test_a_firewall_that_does_not_run_stops_it(console: Console, server: dict[str, Any], arguments: dict[str, Any]) -> None:
    server["firewall"] = False
    said = console.run(server, **arguments, Yes=True)
    assert said.code == 1
    assert said.lines[-1].startswith("Stopped: The service MpsSvc (Windows Firewall) is not running")
    assert said.server == server


def test_a_stopped_service_is_asked_for_first(console: Console, server: dict[str, Any]) -> None:
    server["service"] = {"Start": "Manual", "Running": False}
    server["answers"] = ["y", "n"]
    said = console.run(server, Controller=ME)
    assert changes(said)[0] == "service WinRM: Manual, stopped -> Automatic, running"
    assert said.text.count("? Apply these changes? [y/N]") == 2
    assert said.lines[-1] == "No further changes were made."
    assert said.server["service"] == {"Start": "Automatic", "Running": True}
    assert said.server["listeners"] == server["listeners"]


def test_a_certificate_that_ends_soon_is_renewed(console: Console, server: dict[str, Any]) -> None:
    made = console.run(server, Controller=ME, Yes=True)
    made.server["certificates"][FIRST] = "2026-01-01T12:00:00Z"
    said = console.run(made.server, Controller=ME, Yes=True)
    second = "CCCCCCC2" * 5
    assert changes(said) == [
        "certificate for WinRM: valid until 2026-01-01 -> a new self-signed certificate, with a new pin for the configuration file",
        f"HTTPS listener: port 5986, certificate {FIRST} -> port 5986, with this certificate",
    ]
    assert said.server["listeners"][1] == https(second)
    assert list(said.server["certificates"]) == [second]
    assert said.server["registry"] == {MARKS + "Certificates": second}


def test_a_renewal_that_windows_refused_is_finished_by_the_next_run(console: Console, server: dict[str, Any]) -> None:
    made = console.run(server, Controller=ME, Yes=True)
    made.server["certificates"][FIRST] = "2026-01-01T12:00:00Z"
    failed = console.run(made.server | {"refused": "CCCCCCC2" * 5}, Controller=ME, Yes=True)
    assert (failed.code, failed.lines[-1]) == (1, "Stopped: The WinRM client cannot process the request.")
    assert failed.server["listeners"] == made.server["listeners"]
    said = console.run(failed.server | {"refused": None}, Controller=ME, Yes=True)
    assert changes(said) == [f"HTTPS listener: port 5986, certificate {FIRST} -> port 5986, with this certificate"]
    assert list(said.server["certificates"]) == ["CCCCCCC2" * 5]


def test_after_a_rename_of_the_computer_the_listener_has_its_certificate_s_name(console: Console, server: dict[str, Any]) -> None:
    made = console.run(server, Controller=ME, Yes=True)
    made.server["names"] = {FIRST: "OLDNAME"}
    said = console.run(made.server, Controller=ME, Port=5999, Yes=True)
    assert said.code == 0, said.text
    assert said.server["listeners"][1] == https(FIRST, "5999")


def test_a_session_from_the_network_replaces_and_removes_no_listener(console: Console, server: dict[str, Any]) -> None:
    server["account"]["Network"] = True
    made = console.run(server, Controller=ME, Yes=True)
    assert made.code == 0
    for arguments in ({"Controller": ME, "Port": 5999}, {"Remove": True}):
        said = console.run(made.server, **arguments, Yes=True)
        assert (said.code, said.server) == (1, made.server)
        assert said.lines[-1].startswith("Stopped: This session came over the network")


def test_drift_of_the_rule_and_the_listener_is_mended(console: Console, server: dict[str, Any]) -> None:
    made = console.run(server, Controller=ME, Yes=True)
    made.server["listeners"][1]["Enabled"] = "false"
    made.server["rule"]["On"] = False
    said = console.run(made.server, Controller="2001:DB8::5, 192.0.2.50", Port=5999, Yes=True)
    assert changes(said) == [
        f"HTTPS listener: port 5986, certificate {FIRST}, disabled -> port 5999, with this certificate",
        f"firewall rule: TCP 5986 from {ME}, disabled -> TCP 5999 from {ME}, 2001:db8::5",
    ]
    assert "port = 5999" in said.lines
    assert list(said.server["certificates"]) == [FIRST]


def test_what_is_set_and_not_seen_is_an_error(console: Console, server: dict[str, Any]) -> None:
    said = console.run(server | {"deaf": True}, Controller=ME, Yes=True)
    assert (said.code, said.lines[-1]) == (
        1,
        "Stopped: The setting 'firewall rule' was changed, but is still 'none'. Check whether Group Policy sets it.",
    )


def test_a_listener_of_somebody_else_is_used_and_left_alone(console: Console, server: dict[str, Any], tmp_path: Path) -> None:
    server["listeners"].append(https(OTHERS, "5990"))
    server["certificates"][OTHERS] = "2036-01-01T00:00:00Z"
    said = console.run(server, Controller=ME, Yes=True)
    assert changes(said) == [f"firewall rule: none -> TCP 5990 from {ME}"]
    assert "note: -Port 5986 is ignored, because that listener uses another port." in said.lines
    assert said.server["listeners"] == server["listeners"]
    assert said.server["registry"] == {}
    (entry,) = table(said, tmp_path).values()
    assert (entry.port, entry.tls) == (5990, "pin:sha256:" + "AB" * 32)
    assert changes(console.run(said.server, Remove=True, Yes=True)) == [f"firewall rule: TCP 5990 from {ME} -> none"]


def test_a_listener_of_somebody_else_on_one_address_does_not_hide_ours(console: Console, server: dict[str, Any]) -> None:
    made = console.run(server, Controller=ME, Yes=True)
    one_address = https(OTHERS, "5987") | {"Address": "IP:10.0.0.5"}
    made.server["listeners"].append(one_address)
    made.server["certificates"][OTHERS] = "2036-01-01T00:00:00Z"
    again = console.run(made.server, Controller=ME)
    assert changes(again) == []
    assert "tls = " + '"pin:sha256:' + "CCCCCCC1" * 8 + '"' in again.lines
    gone = console.run(made.server, Remove=True, Yes=True)
    assert "HTTPS listener: port 5986 -> none" in changes(gone)
    assert gone.server["listeners"] == [*server["listeners"], one_address]
    alone = console.run(gone.server, Controller=ME, Yes=True)
    assert changes(alone) == [f"firewall rule: none -> TCP 5987 from {ME}"]


def test_a_listener_of_somebody_else_without_its_certificate(console: Console, server: dict[str, Any]) -> None:
    server["listeners"].append(https(OTHERS))
    said = console.run(server, Controller=ME, Yes=True)
    assert said.code == 1
    assert f"certificate {OTHERS}, which is not in the certificate store of the computer" in said.lines[-1]
    assert said.server == server


def test_a_listener_of_somebody_else_that_is_switched_off(console: Console, server: dict[str, Any]) -> None:
    server["listeners"].append(https(OTHERS, enabled="false"))
    server["certificates"][OTHERS] = "2036-01-01T00:00:00Z"
    said = console.run(server, Controller=ME, Yes=True)
    assert said.code == 1
    assert "(port 5986), which this script did not create, is disabled." in said.lines[-1]
    assert said.lines[-1].endswith("-SelectorSet @{Address='*';Transport='HTTPS'} -ValueSet @{Enabled='true'}")
    assert said.server == server


def test_a_listener_that_listens_nowhere_is_no_way_in(console: Console, server: dict[str, Any]) -> None:
    made = console.run(server, Controller=ME, Yes=True)
    for before in (server, made.server):
        said = console.run(before | {"listening": []}, Controller=ME, Yes=True)
        assert (said.code, "All changes are applied and verified." in said.text) == (1, False)
        assert said.lines[-1].startswith("Stopped: The HTTPS listener exists, but does not listen on any address.")


def test_what_an_administrator_should_know(console: Console, server: dict[str, Any]) -> None:
    server["options"] = ["/auth Basic", " AllowUnencrypted"]
    server["others"] = {"5986": ["Allow WinRM HTTPS"]}
    server["profile"] = {"Domain": "off", "Private": "blocked", "Public": "deaf"}
    said = console.run(server, Controller=ME, Yes=True)
    notes = [line for line in said.lines if line.startswith("note: ")]
    beginnings = [
        "An HTTP listener exists on port 5985",
        "Basic authentication is enabled.",
        "Unencrypted messages are allowed",
        "Another firewall rule also opens port 5986: 'Allow WinRM HTTPS'.",
        "The firewall is disabled for the profile Domain",
        "The firewall profile Private blocks all incoming connections",
        "In the firewall profile Public Group Policy disables the local rules of this server.",
        "LocalAccountTokenFilterPolicy is not needed for RP01\\Administrator",
    ]
    assert len(notes) == len(beginnings)
    assert any("Add the same rule (TCP port 5986 from the controller) to that policy" in note for note in notes)
    for note, begins in zip(notes, beginnings, strict=True):
        assert note.startswith(f"note: {begins}")
    assert said.server["listeners"][0] == server["listeners"][0]
    assert said.server["options"] == server["options"]


@pytest.mark.parametrize(
    ("name", "sid", "policies", "said_of_it"),
    [
        (
            "RP01\\alice",
            "S-1-5-21-1-2-3-1001",
            {},
            "removes the administrator rights of RP01\\alice over the network, so lyncarr cannot work with this account.",
        ),
        ("RP01\\Administrator", "S-1-5-21-1-2-3-500", {"FilterAdministratorToken": 1}, "(and set FilterAdministratorToken to 0)"),
        ("RP01\\Administrator", "S-1-5-21-1-2-3-500", {}, "by the user right 'Deny access to this computer from the network'."),
        ("CONTOSO\\alice", "S-1-5-21-9-9-9-1001", {}, "does not apply to domain accounts"),
        (
            "RP01\\alice",
            "S-1-5-21-1-2-3-1001",
            {"LocalAccountTokenFilterPolicy": 1},
            "is 1: all local administrators keep their administrator rights",
        ),
    ],
)
def test_the_token_filter_is_told_and_left(
    console: Console, server: dict[str, Any], name: str, sid: str, policies: dict[str, int], said_of_it: str
) -> None:
    server["account"] |= {"Name": name, "Sid": sid}
    server["registry"] = {POLICY + policy: value for policy, value in policies.items()}
    said = console.run(server, Controller=ME, Yes=True)
    assert said_of_it in said.text
    assert {key: value for key, value in said.server["registry"].items() if key.startswith(POLICY)} == server["registry"]


@pytest.mark.parametrize("address", ["", "rp01", "10.1", "192.0.2.0/24", "any", "0.0.0.0", "::", "192.0.2.050", f"{ME},", f"{ME};1"])
def test_a_controller_that_is_not_one_machine_is_refused(console: Console, server: dict[str, Any], address: str) -> None:
    said = console.run(server, Controller=address, Yes=True)
    assert said.code == 1
    assert said.lines[-1].startswith("Stopped: -Controller '")
    assert said.server == server


@pytest.mark.parametrize("port", [0, 65536])
def test_a_port_that_is_none_is_refused(console: Console, server: dict[str, Any], port: int) -> None:
    said = console.run(server, Controller=ME, Port=port, Yes=True)
    assert (said.code, said.lines) == (1, [f"Stopped: -Port {port} is not a valid port. Use 1 to 65535, or omit -Port for 5986."])


@pytest.mark.parametrize("arguments", [{"Controller": ME}, {"Remove": True}])
def test_it_needs_an_administrator(console: Console, server: dict[str, Any], arguments: dict[str, Any]) -> None:
    server["account"]["Elevated"] = False
    said = console.run(server, **arguments, Yes=True)
    assert said.code == 1
    assert 'Open Windows PowerShell with "Run as administrator"' in said.lines[-1]


@pytest.mark.parametrize("name", ["dmz-1", "dmz 1", 'a"b\\c'])
def test_odd_names_make_a_right_table(console: Console, server: dict[str, Any], tmp_path: Path, name: str) -> None:
    server["account"]["Name"] = "RP01\\O'Brien"
    server["addresses"] = ["203.0.113.7", "10.0.0.7"]
    said = console.run(server, Controller=ME, Name=name, Yes=True)
    ((key, entry),) = table(said, tmp_path).items()
    assert (key, entry.user, entry.address) == (name, "RP01\\O'Brien", "203.0.113.7")
    assert any(line.startswith("# ") and line.endswith("203.0.113.7, 10.0.0.7") for line in said.lines)


def test_the_address_is_the_one_that_faces_the_controller(console: Console, server: dict[str, Any], tmp_path: Path) -> None:
    server |= {"addresses": ["203.0.113.7", "10.0.0.7"], "facing": {ME: "10.0.0.7"}}
    said = console.run(server, Controller=f"192.0.2.49,{ME}", Yes=True)
    assert table(said, tmp_path)["rp01"].address == "10.0.0.7"
    assert any(line.startswith("# ") and line.endswith("203.0.113.7, 10.0.0.7") for line in said.lines)
    server["listeners"].append(https(OTHERS) | {"Address": "IP:10.0.0.8"})
    server["certificates"][OTHERS] = "2036-01-01T00:00:00Z"
    assert table(console.run(server, Controller=ME, Yes=True), tmp_path)["rp01"].address == "10.0.0.8"


def test_a_server_without_an_address_is_called_by_its_name(console: Console, server: dict[str, Any], tmp_path: Path) -> None:
    server["addresses"] = []
    ((key, entry),) = table(console.run(server, Controller=ME, Yes=True), tmp_path).items()
    assert (key, entry.address) == ("rp01", None)
