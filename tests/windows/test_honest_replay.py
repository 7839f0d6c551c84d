"""The replayed host answers as the script does: the same requests go to both, and their events are compared."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from lyncarr.config.loader import load_site
from lyncarr.core.model import Event, Step, StepRequest
from lyncarr.lab.real.wine import WineEngine, WineMachine
from lyncarr.lab.replay.machine import load_preset
from lyncarr.lab.replay.psrp import ReplayEngine
from lyncarr.lab.site import marks
from lyncarr.lab.wire.server import LabServer
from lyncarr.materials.prepare import Prepared, prepare
from lyncarr.powershell.bundle import shipped
from lyncarr.steps import STEPS
from tests.windows.conftest import MakeMachine
from tests.windows.sites import write_full_site
from tests.windows.test_presets import drift
from tests.windows.test_runbook import lyncarr
from tests.windows.wire import Sender, served, shell_on

pytestmark = pytest.mark.wine

NOT_COMPARED = {"unresolved", "pending-reboot", "holder"}
"""Kinds of notes about what the replayed host does not have: a resolver, and files that wait for a restart. A holder's has the time."""
BY_NAME: Mapping[str, Step] = {step.name: step for step in STEPS}
RULES = ("ssl-offload", "http-rules", "host-conditions")
FIRST_ON_BLANK = ("host-conditions", "http-rules", "ssl-offload", "proxy-timeout", "disk-cache", "farms", "https-binding", "arr")
"""Steps that a blank host refuses."""


class Both:
    """A real host and a replayed one, in front of which the same requests are sent."""

    def __init__(self, real: Sender, replayed: Sender) -> None:
        self._real = real
        self._replayed = replayed

    def observe(self, site: Prepared, *names: str, lock: bool = False) -> Mapping[str, Any]:
        """The states that both answer, for all steps where none is named."""
        return self._send("observe", site, names or tuple(BY_NAME), lock=lock)[-2]["steps"]  # type: ignore[no-any-return]

    def apply(self, site: Prepared, *names: str) -> Mapping[str, Any]:
        """The event before `done` of both: applied, or failed."""
        secrets = {name: value.reveal() for step in names for name, value in BY_NAME[step].secrets(site, 9600).items()}
        return self._send("apply", site, names, lock=True, secrets=secrets)[-2]

    def upload(self, site: Prepared) -> None:
        for sender in (self._real, self._replayed):
            sender.upload(BY_NAME["arr"], site, BY_NAME["arr"].desired(site))

    def refused_upload(self) -> Mapping[str, Any]:
        return self._compared("upload", (), lock=True, file="arr", offset=0, data="")[-2]

    def _send(self, operation: str, site: Prepared, names: tuple[str, ...], **more: Any) -> list[dict[str, Any]]:
        steps = tuple(StepRequest(name, BY_NAME[name].desired(site), BY_NAME[name].parameters(site)) for name in names)
        return self._compared(operation, steps, **more)

    def _compared(self, operation: str, steps: tuple[StepRequest, ...], **more: Any) -> list[dict[str, Any]]:
        real, replayed = (_told(sender.send(operation, steps, **more)) for sender in (self._real, self._replayed))
        if replayed != real:
            texts = (json.dumps(each, indent=1, sort_keys=True, default=dict).splitlines() for each in (real, replayed))
            asked = f"{operation} of {', '.join(step.name for step in steps)}"
            pytest.fail("\n".join(difflib.unified_diff(*texts, f"{asked}, real", "replayed", lineterm="", n=6)), pytrace=False)
        return real


def _told(events: list[Event]) -> list[dict[str, Any]]:
    """The events that both must have, without what tells one computer or one moment from another."""
    kept = (event for event in events if event.name not in ("hello", "progress") and event.data.get("kind") not in NOT_COMPARED)
    return [{"event": event.name, **(event.data if event.name != "done" else {})} for event in kept]


@contextlib.contextmanager
def served_both(machine: WineMachine, preset: str, folder: Path) -> Iterator[tuple[LabServer, LabServer]]:
    replay = load_preset(preset)
    replay.fill(marks(folder))
    with served(machine) as real, LabServer(ReplayEngine(replay, script=shipped()), https=False) as replayed:
        yield real, replayed


@contextlib.contextmanager
def shells(labs: tuple[LabServer, LabServer]) -> Iterator[Both]:
    with shell_on(labs[0]) as real, shell_on(labs[1]) as replayed:
        yield Both(real, replayed)


def read(path: Path) -> Prepared:
    return prepare(load_site(path), None)


def test_each_step_alone_on_a_blank_host(make_machine: MakeMachine, tmp_path: Path) -> None:
    machine = make_machine("bare")
    site = read(write_full_site(tmp_path, machine))
    without_packages = dataclasses.replace(site, installers=())
    with served_both(machine, "blank", tmp_path) as labs:
        with shells(labs) as hosts:
            hosts.observe(site)
            hosts.observe(site, lock=True)
            for name in FIRST_ON_BLANK:
                hosts.observe(site, name)
                failed = hosts.apply(site, name)
                assert (failed["event"], failed["kind"], failed["step"]) == ("failed", "needs", name)
            assert hosts.apply(site, "proxy-timeout")["text"].startswith("needs step arr")
            assert hosts.apply(without_packages, "arr")["text"].startswith("needs step iis")
            assert hosts.refused_upload()["text"].startswith("needs step iis")
            for name in ("trusted-roots", "certificate", "iis"):
                hosts.observe(site, name)
                assert hosts.apply(site, name)["event"] == "applied"
            # With IIS, and nothing else:
            failed = hosts.apply(without_packages, "arr")
            assert (failed["kind"], failed["text"]) == ("needs", "URL Rewrite needs an installer")
            hosts.observe(without_packages, "arr")
            hosts.observe(site)
            for name in ("farms", *RULES, "https-binding"):
                hosts.observe(site, name)
                hosts.apply(site, name)
            hosts.upload(site)
            assert hosts.apply(site, "arr")["event"] == "applied"
        # With the products, and no farm, in a new process as after every installation:
        with shells(labs) as hosts:
            hosts.observe(site, lock=True)
            hosts.observe(site)
            for name in ("host-conditions", "disk-cache", "proxy-timeout", "ssl-offload"):
                hosts.observe(site, name)
                failed = hosts.apply(site, name)
                assert failed["text"].startswith("needs step")
            for name in ("farms", "disk-cache", "proxy-timeout"):
                assert hosts.apply(site, name)["event"] == "applied"
                hosts.observe(site)
            assert hosts.apply(site, *RULES)["event"] == "applied"
            assert hosts.apply(site, *RULES)["event"] == "applied"
            hosts.observe(site)


def test_drifted_and_other_configuration_files(make_machine: MakeMachine, tmp_path: Path) -> None:
    machine = make_machine("arr")
    with LabServer(WineEngine(machine)) as lab:
        path = write_full_site(tmp_path, machine, port=lab.https_port, user=lab.user, password=lab.password, ca=lab.ca_file.read_bytes())
        assert lyncarr(path, "provision", "--yes")[0] == 0
    drift(machine)
    head, *farms = path.read_text(encoding="utf-8").split("\n[[farms]]")
    dialin, meet, lyncdiscover, lyncwebext, wac = farms

    def configured(*farms: str, head: str = head) -> Prepared:
        path.write_text("\n[[farms]]".join((head, *farms)), encoding="utf-8")
        return read(path)

    site = configured(*farms)
    without_dialin, without_wac = configured(*farms[1:]), configured(*farms[:-1])
    redirect, forward, offloaded = (
        configured(dialin, f"{meet}{more}\n", lyncdiscover, lyncwebext, wac)
        for more in ('http = "redirect"', 'http = "forward"', "ssl_offload = true")
    )
    wide = configured(dialin, meet, lyncdiscover, lyncwebext, f'{wac}host_pattern = "*.contoso.com"\n')
    reverse = configured(*reversed(farms))
    other_site = configured(*farms, head=head.replace("Default Web Site", "Another Site"))
    with served_both(machine, "drifted", tmp_path) as labs, shells(labs) as hosts:
        hosts.observe(site, lock=True)
        for one in (without_dialin, without_wac, redirect, forward, offloaded, wide, other_site, reverse):
            hosts.observe(one)
        # The rule of a name that is not in the file, without its host condition, takes all requests.
        assert hosts.apply(without_dialin, *RULES)["kind"] == "foreign"
        assert hosts.apply(other_site, "https-binding")["kind"] == "binding"
        for name in BY_NAME:
            hosts.observe(site, name)
            hosts.apply(site, name)
        hosts.observe(site)
        for one in (without_wac, without_dialin, redirect, forward, offloaded, wide, reverse, site):
            hosts.observe(one)
            hosts.apply(one, *RULES)
            hosts.observe(one)
