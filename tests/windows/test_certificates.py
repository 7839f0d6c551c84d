"""Stages `certificates` and `binding` on simulated Windows servers: real stores of LocalMachine, real keys, HTTP.sys as Iis.cs keeps it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lyncarr.core.diff import diff
from lyncarr.core.model import Stage
from lyncarr.core.plan import steps_of
from lyncarr.steps.certificate import Certificate
from lyncarr.steps.https_binding import HttpsBinding
from lyncarr.steps.trusted_roots import TrustedRoots
from tests.windows.conftest import MakeMachine
from tests.windows.sites import full_site
from tests.windows.wire import served, shell_on

pytestmark = pytest.mark.wine

ROOTS = (Stage("certificates", (TrustedRoots(),)),)
KEY = (Stage("certificates", (Certificate(),)),)
BINDING = (Stage("binding", (HttpsBinding(),)),)
ALL = (*ROOTS, *KEY, *BINDING)
BUILD_2012_R2, BUILD_2022 = 9600, 20348


def drift(states: Any, stages: tuple[Stage, ...], site: Any) -> set[str]:
    return {step.name for step in steps_of(stages) if diff(states[step.name], step.desired(site))}


def secrets(site: Any, build: int) -> dict[str, str]:
    return {name: secret.reveal() for name, secret in Certificate().secrets(site, build).items()}


@pytest.mark.parametrize("transport", ["psrp", "winrs"])
def test_certificates_and_binding(make_machine: MakeMachine, tmp_path: Path, transport: str) -> None:
    """Roots, key and binding, each by itself and in order; then another certificate takes the place of the first."""
    machine = make_machine("iis")
    site, later = full_site(tmp_path / "first", machine), full_site(tmp_path / "later", machine)
    first, second = site.public.thumbprint, later.public.thumbprint
    records = machine.inetsrv / "config" / "httpsys.txt"
    with served(machine) as lab:
        with shell_on(lab, transport=transport) as shell:
            assert drift(shell.observe(ALL, site, lock=True), ALL, site) == {"trusted-roots", "certificate", "https-binding"}
            assert shell.refused(BINDING, site)["text"].startswith("needs step certificate")
            assert shell.refused(KEY, site, {**secrets(site, BUILD_2012_R2), "pfx_password": "wrong"})["kind"] == "certificate"

            for stage, hidden in ((ROOTS, None), (KEY, secrets(site, BUILD_2012_R2)), (BINDING, None)):
                applied = shell.apply(stage, site, hidden)
                assert drift(applied["steps"], stage, site) == set()
            assert records.read_text().split() == ["0.0.0.0:443", first, "MY"]
            configuration = (machine.inetsrv / "config" / "applicationHost.config").read_bytes()
            assert b'bindingInformation="*:443:"' in configuration
            assert first.encode() not in configuration

        # The stores are the machine's: another process, later, finds everything in place.
        with shell_on(lab, transport=transport) as shell:
            assert drift(shell.observe(ALL, site, lock=True), ALL, site) == set()
            assert drift(shell.observe(ALL, later, lock=True), ALL, later) == {"trusted-roots", "certificate", "https-binding"}
            assert [note["kind"] for note in shell.notes] == ["old-certificate"]
            shell.apply(ROOTS, later)
            shell.apply(KEY, later, secrets(later, BUILD_2022))
            assert drift(shell.apply(BINDING, later)["steps"], BINDING, later) == set()
            assert records.read_text().split() == ["0.0.0.0:443", second, "MY"]


def test_what_else_is_on_the_port(make_machine: MakeMachine, tmp_path: Path) -> None:
    """Records that IIS does not know are told; a stopped site is drift, and started."""
    machine = make_machine("iis")
    site = full_site(tmp_path, machine)
    foreign = "AB" * 20
    records = machine.inetsrv / "config" / "httpsys.txt"
    records.write_text(f"192.0.2.10:443 {foreign} MY\n0.0.0.0:5986 {foreign} MY\n")
    with served(machine) as lab, shell_on(lab) as shell:
        shell.observe(BINDING, site, lock=True)
        (note,) = shell.notes
        assert note["kind"] == "other-record"
        assert "192.0.2.10:443" in note["text"]
        assert foreign in note["text"]
        shell.apply(KEY, site, secrets(site, BUILD_2012_R2))
        (machine.inetsrv / "config" / "sitestate.txt").write_text("Stopped Default Web Site\n")
        assert shell.observe(BINDING, site, lock=True)["https-binding"]["Default Web Site"] == {"started": False, "autostart": True}
        assert drift(shell.apply(BINDING, site)["steps"], BINDING, site) == set()
    assert f"192.0.2.10:443 {foreign} MY" in records.read_text()
