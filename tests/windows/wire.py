"""The shipped script on a simulated Windows server, through the lab's wire: by an unmodified pypsrp, or by WinRS."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.wsman import WSMan

from lyncarr.core.kinds import AuthMethod
from lyncarr.core.model import Deadline, Event, Request, Secret, Stage, State, Step, StepRequest
from lyncarr.core.plan import steps_of
from lyncarr.hosts.target import Target, Tls
from lyncarr.hosts.winrs import WinrsShell
from lyncarr.lab.real.wine import WineEngine, WineMachine
from lyncarr.lab.wire.server import LabServer
from lyncarr.materials.upload import pieces
from lyncarr.powershell.bundle import BUNDLES, bundle_of, shipped
from lyncarr.powershell.protocol import EventReader, encode_request

RUN = "11111111-2222-3333-4444-555555555555"
LONGEST_S = 120.0


@contextmanager
def served(machine: WineMachine) -> Iterator[LabServer]:
    """The machine behind a WinRM endpoint."""
    with LabServer(WineEngine(machine), https=False) as lab:
        yield lab


@contextmanager
def shell_on(lab: LabServer, run: str = RUN, transport: str = "psrp") -> Iterator[Sender]:
    """A PowerShell process of its own, closed at the end."""
    if transport == "winrs":
        target = Target("rp01", lab.address, lab.http_port, lab.user, Secret(lab.password), AuthMethod.ntlm, Tls("off"))
        with WinrsShell(target, script=shipped()) as shell:
            yield WinrsSender(shell, run)
        return
    wsman = WSMan(
        lab.address,
        port=lab.http_port,
        ssl=False,
        auth="ntlm",
        username=lab.user,
        password=lab.password,
        encryption="always",
        no_proxy=True,
    )
    with wsman, RunspacePool(wsman) as pool:
        yield PsrpSender(pool, run)


class Sender(ABC):
    """Sends requests as lyncarr does."""

    def __init__(self, run: str) -> None:
        self._run = run
        self.notes: list[Mapping[str, Any]] = []
        """Of the last request."""

    @abstractmethod
    def _events(self, request: Request, secrets: Mapping[str, str]) -> list[Event]:
        """What the host answers, checked."""

    def send(
        self, operation: str, steps: tuple[StepRequest, ...], *, lock: bool, secrets: Mapping[str, str] | None = None, **extra: Any
    ) -> list[Event]:
        """The checked events of one request."""
        request = Request(self._run, operation, steps, lock, {"who": "tests", **extra})
        events = self._events(request, secrets or {})
        self.notes = [event.data for event in events if event.name == "note"]
        return events

    def observe(self, stages: tuple[Stage, ...], site: Any, *, lock: bool) -> dict[str, State]:
        events = self.send("observe", requests(stages, site), lock=lock)
        failed = [event.data for event in events if event.name == "failed"]
        assert not failed, failed
        return next(event.data["steps"] for event in events if event.name == "observed")

    def apply(self, stages: tuple[Stage, ...], site: Any, secrets: Mapping[str, str] | None = None) -> Mapping[str, Any]:
        """The data of `applied`."""
        events = self.send("apply", requests(stages, site), lock=True, secrets=secrets)
        failed = [event.data for event in events if event.name == "failed"]
        assert not failed, failed
        return next(event.data for event in events if event.name == "applied")

    def refused(self, stages: tuple[Stage, ...], site: Any, secrets: Mapping[str, str] | None = None) -> Mapping[str, Any]:
        """The data of `failed` of an apply that must not succeed."""
        events = self.send("apply", requests(stages, site), lock=True, secrets=secrets)
        return next(event.data for event in events if event.name == "failed")

    def upload(self, step: Step, site: Any, items: Iterable[str]) -> None:
        """Send the files that applying `items` of the step needs."""
        for name, file in step.files(site, frozenset(items)).items():
            for offset, data in pieces(file):
                events = self.send("upload", (), lock=True, file=name, offset=offset, data=data)
                assert [event.name for event in events] == ["done"], events


class PsrpSender(Sender):
    """The script with the first request, then its function alone; secrets as the pipeline's input."""

    def __init__(self, pool: RunspacePool, run: str) -> None:
        super().__init__(run)
        self._pool = pool
        self._bundles: set[str] = set()

    def _events(self, request: Request, secrets: Mapping[str, str]) -> list[Event]:
        pipeline = PowerShell(self._pool)
        first = not self._bundles
        kind = bundle_of(request.operation, lock=request.lock)
        if kind not in self._bundles:
            pipeline.add_script(shipped().bundles[kind])
            self._bundles.update((kind, *BUNDLES[kind].parts))
        else:
            pipeline.add_cmdlet("Invoke-LyncarrRequest")
        pipeline.add_parameter("Request", encode_request(request))
        output = pipeline.invoke(input=[json.dumps(secrets)] if secrets else None)
        assert not pipeline.had_errors, [str(error) for error in pipeline.streams.error]
        asked = tuple(step.name for step in request.steps)
        reader = EventReader(request.run, asked, first, request.operation)
        events = [event for text in output for event in reader.feed(text)]
        reader.finish()
        return events


class WinrsSender(Sender):
    def __init__(self, shell: WinrsShell, run: str) -> None:
        super().__init__(run)
        self._shell = shell

    def _events(self, request: Request, secrets: Mapping[str, str]) -> list[Event]:
        events: list[Event] = []
        self._shell.request(request, events.append, Deadline(LONGEST_S), {name: Secret(value) for name, value in secrets.items()})
        return events


def requests(stages: tuple[Stage, ...], site: Any) -> tuple[StepRequest, ...]:
    return tuple(StepRequest(step.name, step.desired(site), step.parameters(site)) for step in steps_of(stages))
