"""Stage `farms` on simulated Windows servers: the shipped script, unmodified, through the wire."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from lyncarr.core.diff import diff
from lyncarr.core.plan import steps_of
from lyncarr.steps import STAGES
from tests.sites import site_of
from tests.windows.conftest import MakeMachine
from tests.windows.wire import RUN, served, shell_on

pytestmark = pytest.mark.wine

STAGES = tuple(stage for stage in STAGES if stage.name == "farms")
# With no rules there is none too many: http-rules is in place on a server without any.
ALL_BUT_HTTP_RULES = {step.name for step in steps_of(STAGES)} - {"http-rules"}
FARMS: list[dict[str, Any]] = [
    {"name": "dialin.contoso.com", "servers": ["fepool.contoso.local"]},
    {"name": "wac.contoso.com", "servers": ["wac.contoso.local"], "kind": "office-web-apps"},
]


def drifted(states: object, site: object) -> dict[str, object]:
    """What differs from the desired states, by step."""
    changes = {step.name: diff(states[step.name], step.desired(site)) for step in steps_of(STAGES)}  # type: ignore[index]
    return {name: found for name, found in changes.items() if found}


@pytest.mark.parametrize("state", ["bare", "iis"])
def test_plan_before_arr(make_machine: MakeMachine, tmp_path: Path, state: str) -> None:
    """Getters answer where nothing is installed yet, and looking leaves nothing behind."""
    site = site_of(FARMS, tmp_path)
    machine = make_machine(state)
    with served(machine) as lab, shell_on(lab) as shell:
        states = shell.observe(STAGES, site, lock=False)
    assert set(drifted(states, site)) == ALL_BUT_HTTP_RULES
    assert states["proxy-timeout"] == {}
    assert not (machine.drive / "ProgramData" / "lyncarr").exists()


@pytest.mark.parametrize("transport", ["psrp", "winrs"])
def test_converge(make_machine: MakeMachine, tmp_path: Path, transport: str) -> None:
    """Plan, apply, an empty second look; one thing broken by hand comes back alone."""
    site = site_of(FARMS, tmp_path)
    machine = make_machine("arr")
    configuration = machine.inetsrv / "config" / "applicationHost.config"
    fresh = configuration.read_bytes()
    with served(machine) as lab:
        with shell_on(lab, transport=transport) as shell:
            assert set(drifted(shell.observe(STAGES, site, lock=True), site)) == ALL_BUT_HTTP_RULES
            assert configuration.read_bytes() == fresh
            applied = shell.apply(STAGES, site)
            assert drifted(applied["steps"], site) == {}
            assert applied["backup"] == f"lyncarr-{RUN}"
            assert (machine.inetsrv / "backup" / applied["backup"] / "applicationHost.config").read_bytes() == fresh
            assert machine.restarts == 1
            finished = configuration.read_bytes()
            again = shell.apply(STAGES, site)
            assert drifted(again["steps"], site) == {}
            assert (machine.restarts, configuration.read_bytes()) == (1, finished)

        assert finished.count(b'timeout="00:15:00"') == 2
        configuration.write_bytes(finished.replace(b'timeout="00:15:00"', b'timeout="00:00:30"', 1))
        with shell_on(lab, transport=transport) as shell:
            assert set(drifted(shell.observe(STAGES, site, lock=True), site)) == {"proxy-timeout"}
            assert drifted(shell.apply(STAGES, site)["steps"], site) == {}
    assert configuration.read_bytes() == finished


def test_the_http_policy(make_machine: MakeMachine, tmp_path: Path) -> None:
    """Forwarded, redirected and not asked for under HTTPS, beside IIS Manager's own rule; then everything back at remove."""
    forward, redirect = {**FARMS[0], "http": "forward"}, {**FARMS[1], "http": "redirect"}
    plain = {"name": "lyncdiscover.contoso.com", "servers": ["fepool.contoso.local"], "http": "forward", "https": False}
    site = site_of([forward, redirect, plain], tmp_path)
    machine = make_machine("arr")
    configuration = machine.inetsrv / "config" / "applicationHost.config"
    with served(machine) as lab, shell_on(lab) as shell:
        shell.observe(STAGES, site, lock=True)
        assert drifted(shell.apply(STAGES, site)["steps"], site) == {}
        assert names_of(configuration) == [
            "ARR_dialin.contoso.com_loadbalance_SSL",
            "ARR_wac.contoso.com_loadbalance_SSL",
            "ARR_dialin.contoso.com_loadbalance",
            "lyncarr_wac.contoso.com_redirect",
            "ARR_lyncdiscover.contoso.com_loadbalance",
        ]
        finished = configuration.read_bytes()
        assert finished.count(b'<action type="Redirect" url="https://{HTTP_HOST}/{R:0}" />') == 1
        assert drifted(shell.apply(STAGES, site)["steps"], site) == {}
        assert configuration.read_bytes() == finished
        later = site_of([FARMS[0], FARMS[1], {**plain, "https": True}], tmp_path)
        assert drifted(shell.apply(STAGES, later)["steps"], later) == {}
        assert set(names_of(configuration)) == {
            *(f"ARR_{label}.contoso.com_loadbalance_SSL" for label in ("dialin", "wac", "lyncdiscover")),
            "ARR_lyncdiscover.contoso.com_loadbalance",
        }


def names_of(configuration: Path) -> list[str]:
    """Names of the global rules, in their order."""
    rules = ElementTree.fromstring(configuration.read_bytes()).iterfind("system.webServer/rewrite/globalRules/rule")
    return [str(rule.get("name")) for rule in rules]


FOREIGN = b"""<webFarms>
        <!-- the intranet's own; hands off -->
        <webFarm name="intranet" enabled="false"><server address="10.0.0.9"   enabled="true" /></webFarm>
    </webFarms>
"""


def test_what_is_not_ours_stays_as_it_is(make_machine: MakeMachine, tmp_path: Path) -> None:
    """A foreign farm byte for byte, and the hosts file, though the servers' names do not resolve."""
    site = site_of(FARMS, tmp_path)
    machine = make_machine("arr")
    configuration = machine.inetsrv / "config" / "applicationHost.config"
    text = configuration.read_bytes()
    assert b"<webFarms" not in text
    configuration.write_bytes(text.replace(b"</configuration>", FOREIGN + b"</configuration>"))
    hosts = machine.inetsrv.parent / "drivers" / "etc" / "hosts"
    before = hosts.read_bytes() if hosts.exists() else None
    with served(machine) as lab, shell_on(lab) as shell:
        shell.observe(STAGES, site, lock=True)
        assert drifted(shell.apply(STAGES, site)["steps"], site) == {}
    after = configuration.read_bytes()
    for line in FOREIGN.splitlines()[1:3]:
        assert line in after
    assert (hosts.read_bytes() if hosts.exists() else None) == before
