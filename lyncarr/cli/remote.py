"""`lyncarr plan` and `lyncarr provision`: from the options to one run on one host, and its report."""

from __future__ import annotations

import getpass
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Protocol

from lyncarr.cli.ask import agree, asker, terminal
from lyncarr.cli.main import tell
from lyncarr.cli.options import Auth, Output
from lyncarr.core.converge import Listener, Run
from lyncarr.core.errors import UsageError
from lyncarr.core.interrupts import Interrupts
from lyncarr.core.plan import HostResult, select
from lyncarr.powershell.bundle import script_text
from lyncarr.report.text import clean
from lyncarr.steps import RUNBOOK

if TYPE_CHECKING:
    from lyncarr.config.site import Site
    from lyncarr.hosts.target import Target


@dataclass(frozen=True)
class Connection:
    """What the command line says about reaching the host; None leaves it to the site file."""

    host: str | None
    address: str | None
    user: str | None
    auth: Auth | None
    port: int | None
    tls: str | None
    password_from: str | None


class Report(Listener, Protocol):
    def finish(self, result: HostResult, names: tuple[str, ...]) -> None: ...


def run(
    connection: Connection, path: Path, steps: list[str], *, write: bool, yes: bool, timeout: float, output: Output, verbose: bool
) -> int:
    """Plan or provision one host; returns the exit code. Everything that can be refused here is refused before any contact."""
    stages = select(RUNBOOK, steps)
    if write and not yes and (not terminal() or output is Output.json):
        raise UsageError("There is no terminal to ask on; add --yes to apply without a question, or look first with lyncarr plan.")
    from lyncarr.config.check import prepare
    from lyncarr.config.loader import load_site
    from lyncarr.hosts.psrp import PsrpHost
    from lyncarr.powershell.upload import pieces

    site = load_site(path)
    target = target_of(connection, site)
    prepared = prepare(site, asker())
    report = _report(output)
    for warning in prepared.warnings:
        print(f"warning: {clean(warning)}", file=sys.stderr)
    interrupts = Interrupts()
    one = Run(
        host=target.name,
        stages=stages,
        site=prepared,
        open_host=lambda: PsrpHost(target, script=script_text()),
        listener=report,
        who=f"{_user()}@{socket.gethostname()}",
        write=write,
        confirm=None if yes or not write else lambda plan, notes: agree(f"Apply these changes to {target.name}?"),
        interrupts=interrupts,
        plan_deadline_s=timeout,
        read_file=pieces,
        warnings=prepared.warnings,
    )
    with _ctrl_c(interrupts):
        result = one.execute()
    report.finish(result, tuple(farm.name for farm in prepared.farms))
    if result.error is not None:
        tell(result.error, verbose=verbose)
    return result.exit_code


def target_of(connection: Connection, site: Site) -> Target:
    """The host of the site file, or the bare address, with the command line's words over it."""
    from lyncarr.config.sources import resolve
    from lyncarr.hosts.target import make_target

    if connection.host is None:
        known = ", ".join(site.hosts) or "none"
        raise UsageError(f"Name a host: --host NAME (the site file has: {known}), or an address.")
    entry = site.hosts.get(connection.host)
    return make_target(
        connection.host,
        entry,
        base=site.folder,
        address=connection.address,
        user=connection.user,
        auth=None if connection.auth is None else connection.auth.value,
        port=connection.port,
        tls=connection.tls,
        password_from=connection.password_from,
        resolve=lambda reference: resolve(reference, base=site.folder, ask=asker()),
    )


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "unknown"


def _report(output: Output) -> Report:
    if output is Output.json:
        from lyncarr.report.events import JsonReport

        return JsonReport(sys.stdout)
    from rich.console import Console

    from lyncarr.report.console import ConsoleReport

    return ConsoleReport(Console(highlight=False), Console(stderr=True, highlight=False))


@contextmanager
def _ctrl_c(interrupts: Interrupts) -> Iterator[None]:
    def pressed(number: int, frame: FrameType | None) -> None:
        if interrupts.requested is False:
            print("lyncarr: stopping after what is running now; press Ctrl-C again to stop it too", file=sys.stderr)
        interrupts.pressed()

    before = signal.signal(signal.SIGINT, pressed)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
