"""The replayed host: the contract over stored states, judged by the reader that the product uses, through the wire."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pypsrp.complex_objects import PSInvocationState
from pypsrp.powershell import PowerShell, RunspacePool

from lyncarr.core.errors import SiteError, UsageError
from lyncarr.core.model import Event
from lyncarr.lab.command import run as run_lab
from lyncarr.lab.replay.machine import Holder, Machine, MachineFaults, load_preset, preset_names
from lyncarr.lab.site import FARMS, write_site
from lyncarr.lab.wire.server import LabServer
from lyncarr.powershell.protocol import EventReader
from tests.lab.lab_client import RUN, SCRIPT, connect, eventually, first, further, pipeline, pool, post, replay, request
from tests.patience import HANG_S

WANTED = {"dialin.contoso.com": {"timeout_s": 900}}


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def lab(machine: Machine) -> Iterator[LabServer]:
    with LabServer(replay(machine)) as server:
        yield server


def events(
    output: list[str], operation: str = "observe", *, hello: bool = False, steps: tuple[str, ...] = ("proxy-timeout",)
) -> list[Event]:
    """The events of one request, as the product's own reader takes them."""
    reader = EventReader(RUN, steps, hello, operation)
    found = [event for text in output for event in reader.feed(text)]
    reader.finish()
    return found


def observe(runspaces: RunspacePool, *, lock: bool = False) -> list[Event]:
    return events(first(runspaces, request(lock=lock, proxy_timeout=WANTED)), hello=True)


def apply(runspaces: RunspacePool, secrets: str | None = None) -> list[Event]:
    return events(further(runspaces, request("apply", lock=True, proxy_timeout=WANTED), secrets), "apply")


def names(found: list[Event]) -> list[str]:
    return [event.name for event in found]


def test_a_bare_host_has_nothing(lab: LabServer) -> None:
    with pool(lab) as runspaces:
        found = observe(runspaces)
    assert names(found) == ["hello", "observed", "done"]
    assert found[0].data["computer"] == "RP01"
    assert found[1].data["steps"] == {"proxy-timeout": {}}


def test_what_is_applied_is_seen_again_and_kept(lab: LabServer, machine: Machine) -> None:
    with pool(lab) as runspaces:
        observe(runspaces, lock=True)
        found = apply(runspaces)
    assert names(found) == ["applying", "applied", "done"]
    assert found[1].data == {"steps": {"proxy-timeout": WANTED}, "backup": f"lyncarr-{RUN}", "reboot": False}
    with pool(lab) as runspaces:
        assert observe(runspaces)[1].data["steps"] == {"proxy-timeout": WANTED}


def test_what_a_step_does_not_name_stays(lab: LabServer, machine: Machine) -> None:
    machine.states = {"proxy-timeout": {"foreign": {"timeout_s": 30}, "dialin.contoso.com": {"timeout_s": 30, "other": True}}, "farms": {}}
    with pool(lab) as runspaces:
        observe(runspaces, lock=True)
        apply(runspaces)
    assert machine.states == {
        "proxy-timeout": {"foreign": {"timeout_s": 30}, "dialin.contoso.com": {"timeout_s": 900, "other": True}},
        "farms": {},
    }


def test_an_apply_that_changes_nothing_makes_no_backup(lab: LabServer, machine: Machine) -> None:
    machine.states = {"proxy-timeout": dict(WANTED)}
    with pool(lab) as runspaces:
        observe(runspaces, lock=True)
        assert apply(runspaces)[1].data["backup"] is None


def test_secrets_arrive_and_are_not_kept(lab: LabServer, machine: Machine) -> None:
    with pool(lab) as runspaces:
        observe(runspaces, lock=True)
        apply(runspaces, json.dumps({"pfx": "canary-1", "password": "canary-2"}))
    assert machine.exchanges[-1].secrets == ("password", "pfx")
    assert "canary" not in repr(machine)


def test_each_unit_costs_two_requests_and_four_with_secrets(lab: LabServer) -> None:
    with pool(lab) as runspaces:
        observe(runspaces, lock=True)
        before = len(lab.requests)
        apply(runspaces)
        assert len(lab.requests) - before == 2
        before = len(lab.requests)
        apply(runspaces, "{}")
        assert [record.action for record in lab.requests[before:]] == ["Command", "Send", "Receive"]


def test_apply_needs_the_lock(lab: LabServer, machine: Machine) -> None:
    with pool(lab) as runspaces:
        observe(runspaces)
        [output] = further(runspaces, request("apply", lock=False, proxy_timeout=WANTED))
    found = events([output], "apply")
    assert found[0].data["kind"] == "error"
    assert machine.states == {}


def test_the_lock_keeps_a_second_shell_out_until_the_first_has_gone(lab: LabServer) -> None:
    with pool(lab) as one:
        observe(one, lock=True)
        with pool(lab) as two:
            found = observe(two, lock=True)
            assert names(found) == ["hello", "failed", "done"]
            assert found[1].data["kind"] == "busy"
            assert "held by tests since" in found[1].data["text"]
        with pool(lab) as three:
            found = observe(three)
            assert names(found) == ["hello", "note", "observed", "done"]
            assert found[1].data["kind"] == "holder"
    with pool(lab) as four:
        assert names(observe(four, lock=True)) == ["hello", "observed", "done"]


def test_an_idle_shell_gives_its_lock_back(lab: LabServer, machine: Machine) -> None:
    with connect(lab) as connection:
        RunspacePool(connection, idle_timeout=2).open()
        runspaces = RunspacePool(connection, idle_timeout=2)
        runspaces.open()
        observe(runspaces, lock=True)
        assert machine.holder is not None
        assert eventually(lambda: machine.holder is None)
        assert eventually(lambda: not lab.shells.open_shells)


def test_somebody_outside_holds_the_host(lab: LabServer, machine: Machine) -> None:
    machine.holder = Holder("CONTOSO\\operator", "2026-11-24T09:00:00Z")
    with pool(lab) as runspaces:
        [failed] = [event for event in observe(runspaces, lock=True) if event.name == "failed"]
    assert failed.data["text"] == "held by CONTOSO\\operator since 2026-11-24T09:00:00Z"
    assert machine.holder is not None


def test_notes_are_told_for_the_steps_asked_for(lab: LabServer, machine: Machine) -> None:
    machine.notes = [
        {"step": None, "kind": "unresolved", "text": "one"},
        {"step": "proxy-timeout", "kind": "foreign-rule", "text": "two"},
        {"step": "farms", "kind": "foreign-farm", "text": "three"},
    ]
    with pool(lab) as runspaces:
        assert [event.data["text"] for event in observe(runspaces) if event.name == "note"] == ["one", "two"]


def test_a_set_that_lies_is_seen_through(lab: LabServer, machine: Machine) -> None:
    machine.faults.lying = frozenset({"proxy-timeout"})
    with pool(lab) as runspaces:
        observe(runspaces, lock=True)
        assert apply(runspaces)[1].data["steps"] == {"proxy-timeout": {}}


@pytest.mark.parametrize(
    ("faults", "kind"),
    [
        (MachineFaults(fail={"proxy-timeout": ("installer", "msiexec ended with 1603")}), "installer"),
        (MachineFaults(locked=True), "locked"),
        (MachineFaults(changed_on_disk=5), "locked"),
    ],
)
def test_a_step_that_fails_keeps_nothing(lab: LabServer, machine: Machine, faults: MachineFaults, kind: str) -> None:
    machine.faults = faults
    with pool(lab) as runspaces:
        observe(runspaces, lock=True)
        found = apply(runspaces)
        assert names(found) == ["applying", "failed", "done"]
        assert (found[1].data["kind"], found[1].data["step"]) == (kind, "proxy-timeout")
        assert machine.states == {}
        machine.faults = MachineFaults()
        assert names(apply(runspaces)) == ["applying", "applied", "done"]


def test_a_file_that_changed_on_disk_is_retried(lab: LabServer, machine: Machine) -> None:
    machine.faults.changed_on_disk = 2
    with pool(lab) as runspaces:
        observe(runspaces, lock=True)
        assert names(apply(runspaces)) == ["applying", "note", "note", "applied", "done"]


def test_a_reboot_is_asked_for_until_it_was_done(lab: LabServer, machine: Machine) -> None:
    machine.faults.reboot_after = frozenset({"proxy-timeout"})
    with pool(lab) as runspaces:
        observe(runspaces, lock=True)
        assert apply(runspaces)[1].data["reboot"] is True
    with pool(lab) as runspaces:
        assert observe(runspaces)[0].data["pending_reboot"] is True
    machine.restart()
    with pool(lab) as runspaces:
        assert observe(runspaces)[0].data["pending_reboot"] is False


def test_a_stop_ends_a_long_apply_with_nothing_kept(lab: LabServer, machine: Machine) -> None:
    machine.faults.pause_s = 60
    with pool(lab) as runspaces:
        observe(runspaces, lock=True)
        shell = pipeline(runspaces, SCRIPT.bundles["write"], Request=request("apply", lock=True, proxy_timeout=WANTED))
        shell.begin_invoke()
        shell.poll_invoke()
        assert [json.loads(text)["event"] for text in shell.output] == ["applying"]
        shell.stop()
        assert shell.state == PSInvocationState.STOPPED
    assert machine.states == {}


def test_hostile_output_can_be_put_into_the_answer(lab: LabServer, machine: Machine) -> None:
    machine.faults.rewrite = lambda lines: [lines[0], 5, "x" * 2_000_000]
    with pool(lab) as runspaces:
        output: list[Any] = first(runspaces, request())
    assert (json.loads(output[0])["event"], output[1], len(output[2])) == ("hello", 5, 2_000_000)


def test_only_the_shipped_script_is_run(lab: LabServer, machine: Machine) -> None:
    with pool(lab) as runspaces:
        shell = pipeline(runspaces, SCRIPT.bundles["look"] + " ", Request=request())
        assert shell.invoke() == []
        assert shell.state == PSInvocationState.FAILED
        assert "only the script that lyncarr ships" in str(shell.streams.error[0])
    assert not machine.exchanges


def test_the_function_is_not_there_before_the_script(lab: LabServer) -> None:
    with pool(lab) as runspaces:
        assert further(runspaces, request()) == []
        observe(runspaces)
        assert events(further(runspaces, request(proxy_timeout=WANTED)))


def test_the_half_that_writes_comes_before_the_first_write(lab: LabServer) -> None:
    with pool(lab) as runspaces:
        shell = pipeline(runspaces, SCRIPT.bundles["write"], Request=request())
        assert shell.invoke() == []
        assert shell.state == PSInvocationState.FAILED
        observe(runspaces, lock=True)
        shell = PowerShell(runspaces)
        shell.add_cmdlet("Invoke-LyncarrRequest").add_parameter("Request", request("apply", lock=True, proxy_timeout=WANTED))
        assert shell.invoke() == []
        assert "Invoke-LyncarrApply" in str(shell.streams.error[0])
        output = further(runspaces, request("apply", lock=True, proxy_timeout=WANTED))
    assert json.loads(output[-1].splitlines()[-1])["event"] == "done"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"run":1}', request("format-disk", proxy_timeout={})])
def test_a_request_that_is_none_fails_and_is_done(lab: LabServer, text: str) -> None:
    with pool(lab) as runspaces:
        [output] = first(runspaces, text)
    found = [json.loads(line) for line in output.splitlines()]
    assert [event["event"] for event in found[-2:]] == ["failed", "done"]
    assert found[-1]["count"] == len(found) - 1


# Presets, the kept file, the command


def test_every_preset_loads() -> None:
    assert "blank" in preset_names()
    for name in preset_names():
        assert load_preset(name).computer
    assert load_preset("blank").states["proxy-timeout"] == {}
    finished, drifted = load_preset("finished").states, load_preset("drifted").states
    assert finished["proxy-timeout"]["dialin.contoso.com"] != drifted["proxy-timeout"]["dialin.contoso.com"]
    with pytest.raises(UsageError, match="Unknown preset 'blanc'") as caught:
        load_preset("blanc")
    assert caught.value.hint == "Did you mean 'blank'?"


def test_states_kept_in_a_file_can_be_broken_by_hand(lab: LabServer, machine: Machine, tmp_path: Path) -> None:
    store = tmp_path / "state.json"
    machine.keep_in(store)
    with pool(lab) as runspaces:
        observe(runspaces, lock=True)
        apply(runspaces)
        assert json.loads(store.read_text()) == {"proxy-timeout": WANTED}
        store.write_text(store.read_text().replace("900", "30"))
        [observed] = [e for e in events(further(runspaces, request(proxy_timeout=WANTED))) if e.name == "observed"]
        assert observed.data["steps"]["proxy-timeout"]["dialin.contoso.com"]["timeout_s"] == 30
        store.write_text("{")
        [failed] = [e for e in events(further(runspaces, request(proxy_timeout=WANTED))) if e.name == "failed"]
        assert failed.data["text"].startswith("state.json of the lab is not valid JSON (")


def write(folder: Path) -> Path:
    return write_site(folder, host="rp01", address="127.0.0.1", port=1234, user="Administrator", password="geheim", authority=b"-----BEGIN")


def test_the_site_file_names_what_was_written(tmp_path: Path) -> None:
    path = write(tmp_path / "lab")
    site = tomllib.loads(path.read_text())
    assert site["hosts"]["rp01"] | {"port": 1234, "tls": "ca:ca.pem", "password": "file:password.txt"} == site["hosts"]["rp01"]
    assert [farm["name"].split(".")[0] for farm in site["farms"]] == [label for label, _, _ in FARMS]
    secret_files = ["password.txt", "certs/public-password.txt", "certs/public.pfx"]
    for name in secret_files:
        assert stat.S_IMODE((path.parent / name).stat().st_mode) == 0o600
    assert (path.parent / "password.txt").read_text() == "geheim"
    assert "geheim" not in path.read_text()


def test_the_site_file_passes_the_products_own_checks(tmp_path: Path) -> None:
    from lyncarr.config.loader import load_site
    from lyncarr.materials.prepare import prepare

    prepared = prepare(load_site(write(tmp_path)), None)
    assert not prepared.warnings
    assert len(prepared.farms) == len(FARMS)


def test_the_lab_writes_again_what_is_its_own_and_nothing_else(tmp_path: Path) -> None:
    path = write(tmp_path)
    assert write(tmp_path) == path
    path.write_text("# mine\n")
    with pytest.raises(SiteError, match="not written by lyncarr lab") as caught:
        write(tmp_path)
    assert "--folder" in caught.value.hint
    assert path.read_text() == "# mine\n"


@pytest.mark.parametrize(
    ("preset", "powershell", "address", "words"),
    [
        ("blank", None, "192.0.2.1", "loopback"),
        ("blank", None, "rp01", "loopback"),
        ("nothing", None, "127.0.0.1", "preset"),
        ("blank", "no-such-program -x", "127.0.0.1", "does not exist"),
        ("blank", "", "127.0.0.1", "does not exist"),
    ],
)
def test_what_the_command_refuses(tmp_path: Path, preset: str, powershell: str | None, address: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        run_lab(preset, powershell, tmp_path / "lab", address, "text")
    assert not (tmp_path / "lab" / "lyncarr.toml").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_serves_until_it_is_told_to_end(tmp_path: Path, number: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "lyncarr", "lab", "--folder", str(tmp_path / "lab"), "--output", "json"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        assert (ready.pop("schema"), ready.pop("event")) == (1, "lab")
        assert set(ready) == {"address", "http_port", "https_port", "user", "password", "pin", "replaced"}
        assert (tmp_path / "lab" / "password.txt").read_text() == ready["password"]
        lab = _Elsewhere(tmp_path / "lab" / "ca.pem", ready)
        assert post(lab).status_code == 500  # type: ignore[arg-type]
        process.send_signal(number)
        assert process.wait(HANG_S) == 0
        assert process.stdout.read() == ""
    finally:
        process.kill()
        process.wait()


class _Elsewhere:
    """A lab in another process, as far as a raw request needs to know it."""

    def __init__(self, ca_file: Path, ready: dict[str, Any]) -> None:
        self.ca_file = ca_file
        self.address, self.https_port = ready["address"], ready["https_port"]
        self.user, self.password = ready["user"], ready["password"]


def test_the_command_teaches_a_line_that_can_be_pasted(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "lyncarr", "lab", "--folder", str(tmp_path / "my lab")], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        lines = []
        while not (lines and lines[-1].startswith("Press Ctrl-C")):
            lines.append(process.stdout.readline())
        assert f"  lyncarr plan --site '{tmp_path / 'my lab' / 'lyncarr.toml'}' --host rp01\n" in lines
    finally:
        process.terminate()
        assert process.wait(HANG_S) == 0
