"""URL Rewrite and ARR by a stand-in of WebPI, through the wire: the ways in which it works, and those in which it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from lyncarr.core.diff import diff
from lyncarr.core.model import Stage
from lyncarr.lab.real.packages import FAILING, REBOOTING
from lyncarr.lab.real.wine import WineEngine
from lyncarr.lab.wire.server import LabServer
from lyncarr.steps import STEPS
from lyncarr.steps.arr import Arr
from tests.windows.conftest import MakeMachine
from tests.windows.test_runbook import lyncarr, results
from tests.windows.webpi import FEED, lay_feed, lay_webpi, webpi_site, write_webpi_site
from tests.windows.wire import served, shell_on

pytestmark = pytest.mark.wine

ARR = (Stage("install", (Arr(),)),)


def test_runbook_by_webpi(make_machine: MakeMachine, tmp_path: Path) -> None:
    """As a user does it: the plan says what is missing, then which way will be taken; both products come, and nothing is left to do."""
    machine = make_machine("iis")
    with LabServer(WineEngine(machine)) as lab:
        site = write_webpi_site(
            tmp_path,
            machine,
            f"feed = '{FEED}'",
            port=lab.https_port,
            user=lab.user,
            password=lab.password,
            ca=lab.ca_file.read_bytes(),
        )
        code, host = lyncarr(site, "provision", "--yes")
        assert (code, results(host)["arr"]) == (1, "failed")
        assert "needs WebpiCmd, which is not installed on this host" in host["error"]["message"]

        lay_webpi(machine)
        code, host = lyncarr(site, "plan")
        assert code == 2
        assert f"URL Rewrite needs the product list {FEED}, which is not on this host" in told(host, "needs")

        lay_feed(machine)
        code, host = lyncarr(site, "plan")
        assert code == 2
        assert f"ARRv3_0 from {FEED}" in told(host, "installer")

        code, host = lyncarr(site, "provision", "--yes")
        assert (code, host["result"]) == (0, "applied"), host
        assert set(results(host).values()) <= {"applied", "in-place"}
        assert list(results(host)) == [step.name for step in STEPS]
        assert lyncarr(site, "plan")[0] == 0


def told(host: dict[str, object], kind: str) -> str:
    """The notes of a kind in one text."""
    notes = host["notes"]
    assert isinstance(notes, list)
    return "\n".join(note["text"] for note in notes if note["kind"] == kind)


def test_product_lists_that_do_not_work(make_machine: MakeMachine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Retired, dead, without the product, with a package that fails, and a WebpiCmd that says nothing of it or never ends."""
    machine = make_machine("iis")
    lay_webpi(machine)
    how = machine.lab / "webpi.txt"
    retired = webpi_site(tmp_path / "retired", machine, 'source = "webpi"')
    dead = webpi_site(tmp_path / "dead", machine, 'feed = "https://127.0.0.1:9/webproductlist.xml"')
    listed = webpi_site(tmp_path / "listed", machine)
    with served(machine) as lab, shell_on(lab) as shell:
        assert shell.observe(ARR, retired, lock=True) == {"arr": {}}
        failed = shell.refused(ARR, retired)
        assert (failed["kind"], failed["step"]) == ("installer", "arr")
        assert "Microsoft retired its product list" in failed["hint"]

        failed = shell.refused(ARR, dead)
        assert "Check that the host reaches https://127.0.0.1:9/webproductlist.xml" in failed["hint"]
        assert failed["text"].endswith("The product list could not be loaded.")
        how.write_text("quiet")
        failed = shell.refused(ARR, dead)
        assert "WebpiCmd ended with exit code 0 for URL Rewrite: its file or its registry key is missing" in failed["text"]

        how.unlink()
        lay_feed(machine, arr=FAILING)
        failed = shell.refused(ARR, listed)
        assert "for Application Request Routing: its file" in failed["text"]
        assert shell.observe(ARR, listed, lock=True) == {"arr": {"URL Rewrite": {"installed": True}}}

        monkeypatch.setattr("lyncarr.steps.arr.WEBPI_LIMIT_S", 4)
        how.write_text("hangs")
        assert "WebpiCmd was stopped after 4 s while it installed Application Request Routing" in shell.refused(ARR, listed)["text"]


def test_restart_after_webpi(make_machine: MakeMachine, tmp_path: Path) -> None:
    """WebpiCmd ends with 0: that Windows waits for a restart now, and did not before, is what tells."""
    machine = make_machine("iis")
    lay_webpi(machine)
    lay_feed(machine, arr=REBOOTING)
    site = webpi_site(tmp_path, machine)
    with served(machine) as lab, shell_on(lab) as shell:
        shell.observe(ARR, site, lock=True)
        (machine.lab / "webpi.txt").write_text("restart")
        applied = shell.apply(ARR, site)
        assert applied["reboot"] is True
        assert applied["steps"]["arr"] == {"URL Rewrite": {"installed": True}}
    machine.restart()
    (machine.lab / "webpi.txt").unlink()
    with served(machine) as lab, shell_on(lab) as shell:
        shell.observe(ARR, site, lock=True)
        applied = shell.apply(ARR, site)
        assert applied["reboot"] is False
        assert diff(applied["steps"]["arr"], Arr().desired(site)) == ()
