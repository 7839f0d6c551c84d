"""The global rules of a farm, by its HTTP policy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lyncarr.core.diff import diff
from lyncarr.steps.host_conditions import HostConditions
from lyncarr.steps.http_rules import HttpRules
from lyncarr.steps.rules import Rule, http_rules, https_rules
from lyncarr.steps.ssl_offload import SslOffload
from tests.sites import site_of

ON_8443 = '[website]\nhttps = "*:8443:"'


def rules(tmp_path: Path, *farms: dict[str, Any], more: str = "") -> dict[str, Rule]:
    site = site_of([{"servers": ["fepool.contoso.local"], **farm} for farm in farms], tmp_path, more=more)
    return {rule.name: rule for rule in (*https_rules(site), *http_rules(site))}


@pytest.mark.parametrize(
    ("keys", "names"),
    [
        ({}, ["ARR_meet.contoso.com_loadbalance_SSL"]),
        ({"http": "remove"}, ["ARR_meet.contoso.com_loadbalance_SSL"]),
        ({"ssl_offload": True}, ["ARR_meet.contoso.com_loadbalance"]),
        ({"http": "forward"}, ["ARR_meet.contoso.com_loadbalance_SSL", "ARR_meet.contoso.com_loadbalance"]),
        ({"http": "redirect"}, ["ARR_meet.contoso.com_loadbalance_SSL", "lyncarr_meet.contoso.com_redirect"]),
        ({"http": "forward", "https": False}, ["ARR_meet.contoso.com_loadbalance"]),
    ],
)
def test_the_policy_decides_which_rules_a_farm_has(keys: dict[str, Any], names: list[str], tmp_path: Path) -> None:
    assert list(rules(tmp_path, {"name": "meet.contoso.com", **keys})) == names


def test_forwarding_leads_to_the_farm_without_tls(tmp_path: Path) -> None:
    rule = rules(tmp_path, {"name": "lyncdiscover.contoso.com", "http": "forward"})["ARR_lyncdiscover.contoso.com_loadbalance"]
    assert (rule.type, rule.url) == ("Rewrite", "http://lyncdiscover.contoso.com/{R:0}")
    assert rule.conditions == ("{HTTPS}=Off", "{HTTP_HOST}=lyncdiscover.*")
    assert "redirect_type" not in rule.attributes


@pytest.mark.parametrize(("more", "url"), [("", "https://{HTTP_HOST}/{R:0}"), (ON_8443, "https://{HTTP_HOST}:8443/{R:0}")])
def test_a_redirect_leads_to_the_port_of_the_https_binding(more: str, url: str, tmp_path: Path) -> None:
    rule = rules(tmp_path, {"name": "meet.contoso.com", "http": "redirect"}, more=more)["lyncarr_meet.contoso.com_redirect"]
    assert (rule.attributes["type"], rule.attributes["redirect_type"], rule.attributes["action"]) == ("Redirect", "Permanent", url)
    assert rule.conditions == ("{HTTPS}=Off", "{HTTP_HOST}=meet.*")


def test_the_host_header_on_port_80_has_no_port(tmp_path: Path) -> None:
    """This does not depend on the port of the HTTPS binding, or on a port in the pattern."""
    made = rules(
        tmp_path,
        {"name": "meet.contoso.com", "http": "forward"},
        {"name": "meet.fabrikam.com", "http": "redirect"},
        {"name": "dialin.contoso.com", "http": "redirect", "host_pattern": "dialin.contoso.com:8443"},
        more=ON_8443,
    )
    assert {name: (rule.pattern, rule.host) for name, rule in made.items() if "meet.contoso.com" in name} == {
        "ARR_meet.contoso.com_loadbalance_SSL": ("meet.contoso.com:8443", "meet.contoso.com:8443"),
        "ARR_meet.contoso.com_loadbalance": ("meet.contoso.com", "meet.contoso.com"),
    }
    assert made["lyncarr_meet.fabrikam.com_redirect"].pattern == "meet.fabrikam.com"
    assert made["lyncarr_dialin.contoso.com_redirect"].pattern == "dialin.contoso.com"


@pytest.mark.parametrize("http", ["remove", "redirect", "forward"])
def test_a_new_host_lacks_exactly_the_desired_rules(http: str, tmp_path: Path) -> None:
    site = site_of([{"name": "meet.contoso.com", "servers": ["fepool.contoso.local"], "http": http}], tmp_path)
    nothing = {"meet.contoso.com": {"extra_rules": ()}}
    missing = [change.item for change in diff(nothing, HttpRules().desired(site))]
    assert missing == ([] if http == "remove" else [http_rules(site)[0].name, "rules"])
    assert [change.item for change in diff({}, SslOffload().desired(site))] == ["ARR_meet.contoso.com_loadbalance_SSL", "rules"]
    assert len(diff({}, HostConditions().desired(site))) == (1 if http == "remove" else 2)


def test_without_https_there_is_no_https_rule(tmp_path: Path) -> None:
    site = site_of([{"name": "lyncdiscover.contoso.com", "servers": ["fepool.contoso.local"], "http": "forward", "https": False}], tmp_path)
    assert SslOffload().desired(site) == {}
