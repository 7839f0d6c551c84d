"""Stage `install` on simulated Windows servers: the shipped script, real MSI packages, and everything that can be wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from lyncarr.core.diff import diff
from lyncarr.core.model import Stage
from lyncarr.lab.real.packages import FAILING, REBOOTING
from lyncarr.steps.arr import Arr
from lyncarr.steps.iis import Iis
from tests.windows.conftest import MakeMachine
from tests.windows.sites import full_site
from tests.windows.wire import served, shell_on

pytestmark = pytest.mark.wine

IIS = (Stage("install", (Iis(),)),)
ARR = (Stage("install", (Arr(),)),)
PRODUCTS = ("URL Rewrite", "Application Request Routing")


def test_role(make_machine: MakeMachine, tmp_path: Path) -> None:
    """Refused, then installed with a restart due, which the next look at the host tells."""
    machine = make_machine("bare")
    site = full_site(tmp_path, machine)
    faults = machine.lab / "faults.txt"
    with served(machine) as lab, shell_on(lab) as shell:
        assert shell.observe(IIS, site, lock=True) == {"iis": {}}
        assert shell.refused(ARR, site)["kind"] == "needs"

        faults.write_text("role-fails\n")
        failed = shell.refused(IIS, site)
        assert (failed["kind"], failed["step"]) == ("feature", "iis")
        assert "(Failed)" in failed["text"]
        assert not machine.inetsrv.exists()

        faults.write_text("role-reboot\n")
        assert shell.apply(IIS, site)["reboot"] is True
        assert diff(shell.observe(IIS, site, lock=True)["iis"], Iis().desired(site)) == ()
        with shell_on(lab, "22222222-2222-3333-4444-555555555555") as other:
            events = other.send("observe", (), lock=False)
            assert events[0].data["pending_reboot"] is True


def test_missing_feature(make_machine: MakeMachine, tmp_path: Path) -> None:
    """One feature of the defaults is missing: only that is drift. One that the edition cannot offer is none."""
    machine = make_machine("iis")
    site = full_site(tmp_path, machine)
    features = machine.lab / "features.txt"
    text = features.read_text()
    text = text.replace("Installed|Web-Filtering", "Available|Web-Filtering").replace(
        "Installed|Web-Mgmt-Console", "Removed|Web-Mgmt-Console"
    )
    features.write_text(text)
    with served(machine) as lab, shell_on(lab) as shell:
        assert shell.observe(IIS, site, lock=True)["iis"]["Web-Server"] == {"installed": True, "missing": ("Web-Filtering",)}
        assert diff(shell.apply(IIS, site)["steps"]["iis"], Iis().desired(site)) == ()
    assert "Installed|Web-Filtering" in features.read_text()
    assert "Removed|Web-Mgmt-Console" in features.read_text()


def test_packages_that_are_refused(make_machine: MakeMachine, tmp_path: Path) -> None:
    """Hash, signature and signer are each looked at on the host, before anything of a package is run."""
    machine = make_machine("iis")
    site = full_site(tmp_path, machine)
    signers = machine.packages / "signers.txt"
    signed = signers.read_text()
    with served(machine) as lab, shell_on(lab) as shell:
        assert shell.observe(ARR, site, lock=True) == {"arr": {}}
        for words, listed, one in (
            ("NotSigned", "", site),
            ("HashMismatch", signed.replace(" Valid ", " HashMismatch "), site),
            ("is signed by 'Microsoft Corporation'", signed, full_site(tmp_path / "another", machine, publisher="Contoso")),
        ):
            signers.write_text(listed)
            shell.upload(Arr(), one, PRODUCTS)
            failed = shell.refused(ARR, one)
            assert (failed["kind"], words in failed["text"]) == ("installer", True), failed

        # The file is exchanged after it was uploaded.
        shell.upload(Arr(), site, PRODUCTS)
        (uploaded,) = (machine.drive / "ProgramData" / "lyncarr").glob("*/url_rewrite.msi")
        uploaded.write_bytes(uploaded.read_bytes() + b"\0")
        failed = shell.refused(ARR, site)
        assert "has SHA-256" in failed["text"]
        assert not list((machine.drive / "ProgramData" / "lyncarr").glob("*/*.msi")), "packages are deleted after each attempt"
        assert not (machine.inetsrv / "rewrite.dll").exists()


def test_package_that_fails(make_machine: MakeMachine, tmp_path: Path) -> None:
    """The first package is installed, the second ends with 1603; the next run needs only the second, which then asks for a restart."""
    machine = make_machine("iis")
    site = full_site(tmp_path / "fails", machine, arr=FAILING)
    with served(machine) as lab, shell_on(lab) as shell:
        shell.observe(ARR, site, lock=True)
        shell.upload(Arr(), site, PRODUCTS)
        failed = shell.refused(ARR, site)
        assert (failed["kind"], failed["step"]) == ("installer", "arr")
        assert "ended with exit code 1603" in failed["text"]
        assert shell.observe(ARR, site, lock=True) == {"arr": {"URL Rewrite": {"installed": True}}}

        again = full_site(tmp_path / "reboots", machine, arr=REBOOTING)
        shell.upload(Arr(), again, PRODUCTS[1:])
        applied = shell.apply(ARR, again)
        assert applied["reboot"] is True
        assert diff(applied["steps"]["arr"], Arr().desired(again)) == ()
    assert b"webFarms" in (machine.inetsrv / "config" / "applicationHost.config").read_bytes()
