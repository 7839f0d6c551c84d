"""`lyncarr plan` and `lyncarr provision`: from the options to one run on one host, and its report."""

from __future__ import annotations

import getpass
import os
import signal
import socket
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from hashlib import sha256
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Protocol

from lyncarr.cli.ask import agree, asker, terminal
from lyncarr.cli.main import tell
from lyncarr.cli.options import DEFAULT_SITE, Auth, Output, Transport
from lyncarr.core.converge import Listener, Run
from lyncarr.core.errors import LyncarrError, ProtocolError, RefusedError, UnreachableError, UntrustedError, UsageError
from lyncarr.core.interrupts import Interrupts
from lyncarr.core.outcome import HostResult
from lyncarr.core.plan import select
from lyncarr.core.text import safe
from lyncarr.powershell.bundle import shipped, winrs_bootstrap
from lyncarr.steps import RUNBOOK
from lyncarr.steps.rules import all_rules

if TYPE_CHECKING:
    from lyncarr.config.site import Hosts
    from lyncarr.hosts.shell import RemoteShell
    from lyncarr.hosts.target import Target

LONGEST_TIMEOUT_S = 3600


@dataclass(frozen=True)
class Connection:
    """What the command line says about reaching the host; None leaves it to the site file."""

    host: str | None
    address: str | None = None
    user: str | None = None
    auth: Auth | None = None
    port: int | None = None
    tls: str | None = None
    password_from: str | None = None
    transport: Transport | None = None

    def line(self, command: str, path: Path, steps: Iterable[str] = ()) -> str:
        """The command line of `command` for the same host, reached in the same way, to be pasted.

        Without a password's program: its line may hold a secret of its own, and this one is printed.
        """
        from lyncarr.secrets.program import line_of

        given = [("site", None if path == DEFAULT_SITE else path), ("host", self.host or "NAME")]
        given += [(field.name, getattr(self, field.name)) for field in fields(self)[1:]]
        given += [("step", step) for step in steps]
        words = [
            word
            for name, value in given
            if value is not None and not (name == "password_from" and str(value).startswith("command:"))
            for word in (f"--{name.replace('_', '-')}", str(value))
        ]
        return line_of(["lyncarr", command, *words])


class Report(Listener, Protocol):
    def finish(self, result: HostResult, published: Mapping[str, str]) -> None: ...


def run(
    connection: Connection, path: Path, steps: list[str], *, write: bool, yes: bool, timeout: float, output: Output, verbose: bool
) -> int:
    """Plan or provision one host; returns the exit code. Everything that can be refused here is refused before any contact."""
    stages = select(RUNBOOK, steps)
    if not 1 <= timeout <= LONGEST_TIMEOUT_S:  # which nan is not, whatever it is compared with
        raise UsageError(f"--timeout takes 1 to {LONGEST_TIMEOUT_S} seconds, not {timeout:g}.")
    if write and not yes and output is Output.json:
        raise UsageError("With --output json nobody can be asked; add --yes to apply without a question, or look first with lyncarr plan.")
    if write and not yes and not terminal():
        raise UsageError("There is no terminal to ask on; add --yes to apply without a question, or look first with lyncarr plan.")
    from lyncarr.config.loader import load_site
    from lyncarr.hosts.choose import host_by
    from lyncarr.hosts.tls import context_for
    from lyncarr.materials.prepare import prepare
    from lyncarr.materials.upload import pieces

    site = load_site(path)
    target = target_of(connection, site)
    if target.tls.mode != "off":
        # Here, and kept: a CA file or client certificate that is no good is an error of the site file, not of the host.
        context_for(target.tls, target.certificate, target.key)
    prepared = prepare(site, asker())
    report = _report(output, connection.line("provision", path, steps))
    for warning in prepared.warnings:
        _tell_more(f"warning: {safe(warning)}")
    if verbose:
        for half, digest in shipped().sha256.items():
            _tell_more(f"script, the half to {half}: {len(getattr(shipped(), half))} characters, SHA-256 {digest}")
        if target.transport == "winrs":
            text = winrs_bootstrap()
            _tell_more(f"bootstrap of WinRS: {len(text)} characters, SHA-256 {sha256(text.encode('ascii')).hexdigest()}")
    opened: list[RemoteShell] = []
    host_class = host_by(target)

    def open_host() -> RemoteShell:
        opened.append(host_class(target, script=shipped(), known=any(one.logged_on for one in opened)))
        return opened[-1]

    one = Run(
        host=target.name,
        stages=stages,
        site=prepared,
        open_host=open_host,
        listener=report,
        who=f"{_user()}@{socket.gethostname()}",
        write=write,
        confirm=None if yes or not write else lambda plan, notes: agree(f"Apply these changes to {target.name}?"),
        plan_deadline_s=timeout,
        read_file=pieces,
        warnings=prepared.warnings,
    )
    with _stop_signals(one.interrupts):
        result = one.execute()
        report.finish(result, {rule.name: rule.address for rule in all_rules(prepared)})
        if result.error is not None:
            tell(result.error, verbose=verbose, more=_way(result.error, opened, connection.line("doctor", path)))
        if verbose:
            _tell_more(_cost(opened))
    return result.exit_code


def target_of(connection: Connection, site: Hosts) -> Target:
    """The host of the site file, or the bare address, with the command line's words over it."""
    from lyncarr.hosts.target import make_target
    from lyncarr.secrets.sources import resolve

    known = ", ".join(site.hosts) or "none"
    if connection.host is None:
        raise UsageError(f"Name a host: --host NAME (the site file has: {known}), or an address.")
    name, entry = next(
        ((name, entry) for name, entry in site.hosts.items() if name.casefold() == connection.host.casefold()), (connection.host, None)
    )
    if entry is None and connection.user is None:
        raise UsageError(
            f"--host: the site file has no host '{safe(name, 100)}' (it has: {known}); "
            "to reach an address that is not in it, add --user NAME."
        )
    return make_target(
        name,
        entry,
        base=site.folder,
        address=connection.address,
        user=connection.user,
        auth=None if connection.auth is None else connection.auth.value,
        port=connection.port,
        tls=connection.tls,
        password_from=connection.password_from,
        resolve=lambda reference, base, what, account: resolve(reference, base=base, ask=asker(), account=account, what=what),
        transport=None if connection.transport is None else connection.transport.value,
    )


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "unknown"


def _report(output: Output, provision: str) -> Report:
    if output is Output.json:
        from lyncarr.report.events import JsonReport

        return JsonReport(sys.stdout, shipped().sha256)
    from rich.console import Console

    from lyncarr.report.console import ConsoleReport

    # The stream is named: rich would follow sys.stdout to wherever it leads at that moment.
    return ConsoleReport(Console(file=sys.stdout, highlight=False), Console(file=sys.stderr, highlight=False), provision)


def _tell_more(sentence: str) -> None:
    print(sentence, file=sys.stderr)


def _cost(opened: list[RemoteShell]) -> str:
    traffic = [host.traffic for host in opened]
    requests, connections = sum(one.requests for one in traffic), sum(one.connections for one in traffic)
    up, down = sum(one.bytes_up for one in traffic), sum(one.bytes_down for one in traffic)
    return f"on the wire: {requests} requests over {connections} connections, {up:,} bytes up, {down:,} bytes down"


def _way(error: LyncarrError, opened: list[RemoteShell], doctor: str) -> str:
    """The sentence that sends to lyncarr doctor where that can tell more: the host is out of reach, or nobody got past its log-on.

    Of a certificate that is not trusted it says the same, which ends in a line to copy.
    """
    if isinstance(error, UntrustedError):
        return ""
    before = isinstance(error, ProtocolError | RefusedError) and not any(one.logged_on for one in opened)
    return f"{doctor} says what is in the way." if before or isinstance(error, UnreachableError) else ""


@contextmanager
def _stop_signals(interrupts: Interrupts) -> Iterator[None]:
    """Ctrl-C and SIGTERM stop the run as `interrupts` says, until its report is out."""

    def pressed(number: int, frame: FrameType | None) -> None:
        if interrupts.pressed():
            with suppress(OSError):
                # Not print: the signal may have come in the middle of one.
                os.write(2, b"\nlyncarr: finishing what is being written now, then stopping; press Ctrl-C again to stop that too\n")

    # A shell that starts a job in the background makes it deaf to Ctrl-C, which is meant for others then.
    heard = [number for number in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, pressed) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
