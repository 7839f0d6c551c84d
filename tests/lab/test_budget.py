"""What a run costs on the wire, counted where it arrives: the whole product with the site of the lab, which has everything in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lyncarr.core.plan import make_plan, steps_of, units
from lyncarr.lab.site import write_site
from lyncarr.lab.wire.server import RequestRecord
from lyncarr.steps import STAGES
from tests.lab.console import Bench

pytestmark = pytest.mark.usefixtures("transport")

PLAN_REQUESTS = {("basic", "ca"): 6, ("ntlm", "ca"): 8, ("negotiate", "ca"): 8, ("ntlm", "off"): 9, ("negotiate", "off"): 9}
PLAN_BYTES = {"psrp": 130_000, "winrs": 138_000}
"""Over WinRS the bootstrap comes first, 9 KB."""
UNIT_REQUESTS = 2
SECRETS_REQUESTS = {"psrp": 2, "winrs": 0}
"""Over WinRS they stand beside their request."""
FRESH_SHELL_REQUESTS = {"psrp": 5, "winrs": 6}


@pytest.fixture(scope="module")
def materials(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The lab's own site: five names, a root, a certificate, two packages. Its keys take a second to make."""
    folder = tmp_path_factory.mktemp("site")
    write_site(folder, host="rp01", address="127.0.0.1", port=1, user="x", password="x", authority=b"")
    return folder


@pytest.fixture(params=PLAN_REQUESTS, ids=lambda way: f"{way[0]} {way[1]}")
def bench(request: pytest.FixtureRequest, materials: Path, tmp_path: Path) -> Iterator[Bench]:
    auth, tls = request.param
    for part in ("certs", "media"):
        (tmp_path / part).symlink_to(materials / part)
    text = (materials / "lyncarr.toml").read_text(encoding="utf-8")
    with Bench(tmp_path, auth=auth, tls=tls, farms=text[text.index("[certificates]") :]) as bench:
        yield bench


def allowed(bench: Bench) -> int:
    return PLAN_REQUESTS[(bench.auth, bench.tls)]


def told(records: list[RequestRecord]) -> str:
    """For the message of a failed assertion: what was measured."""
    rows = "\n".join(f"  {record.action or record.auth}: {record.bytes_up} up, {record.bytes_down} down" for record in records)
    return f"{len(records)} requests, {sum(record.bytes_up for record in records)} bytes up:\n{rows}"


def test_a_plan_of_a_bare_server(bench: Bench, transport: str) -> None:
    assert bench.here("plan").code == 2
    records = bench.lab.requests
    assert len(records) <= allowed(bench), told(records)
    assert sum(record.bytes_up for record in records) < PLAN_BYTES[transport], told(records)
    assert bench.lab.connections == 1


def test_a_run_that_finds_nothing_to_do(bench: Bench, transport: str) -> None:
    bench.finish()
    assert bench.here("provision", "--yes").code == 0
    records = bench.lab.requests
    assert len(records) <= allowed(bench), told(records)
    assert sum(record.bytes_up for record in records) < PLAN_BYTES[transport], told(records)
    assert bench.lab.connections == 1


def test_a_whole_run(bench: Bench, transport: str) -> None:
    """Each unit, the certificate's secrets and the fresh shell after the install. Uploads are not part of the budget."""
    steps = steps_of(STAGES)
    plan = make_plan(steps, {step.name: step.desired(bench.site) for step in steps}, {step.name: {} for step in steps})
    due = [unit for stage in STAGES for unit in units(stage, plan)]
    secrets = [unit for unit in due if any(step.secrets(bench.site, 9600) for step in unit.steps)]
    assert (len(due), len(secrets)) == (6, 1)
    assert bench.here("provision", "--yes").code == 0
    uploads = sum(exchange.request["operation"] == "upload" for exchange in bench.machine.exchanges)
    log_on = allowed(bench) - 6
    budget = (
        allowed(bench) + len(due) * UNIT_REQUESTS + len(secrets) * SECRETS_REQUESTS[transport] + FRESH_SHELL_REQUESTS[transport] + log_on
    )
    measured = len(bench.lab.requests) - uploads * UNIT_REQUESTS
    assert measured <= budget, f"{measured} of {budget}; {told(bench.lab.requests)}"


def test_the_repair_of_one_thing(bench: Bench) -> None:
    bench.finish().machine.states["proxy-timeout"]["meet.contoso.com"]["timeout_s"] = 30
    assert bench.here("provision", "--yes").code == 0
    records = bench.lab.requests
    assert len(records) <= allowed(bench) + UNIT_REQUESTS, told(records)


def test_live_events_cost_a_request_for_each_burst(bench: Bench) -> None:
    bench.finish().machine.states["proxy-timeout"]["meet.contoso.com"]["timeout_s"] = 30
    bench.machine.faults.pause_s = 0.3
    assert bench.here("provision", "--yes").code == 0
    records = bench.lab.requests
    assert len(records) <= allowed(bench) + UNIT_REQUESTS + 1, told(records)
