"""`lyncarr plan` and `lyncarr provision`: from the options to one job, its run and its report."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from lyncarr.cli.ask import agree, asker, terminal
from lyncarr.cli.options import Output
from lyncarr.cli.output import print_error, print_line
from lyncarr.cli.paste import command_line
from lyncarr.cli.signals import stop_signals
from lyncarr.core.converge import Listener
from lyncarr.core.errors import LyncarrError, ProtocolError, RefusedError, UnreachableError, UntrustedError, UsageError
from lyncarr.core.kinds import TransportKind
from lyncarr.core.outcome import HostResult, Note
from lyncarr.core.plan import Plan, select
from lyncarr.core.text import safe
from lyncarr.powershell.bundle import shipped, winrs_bootstrap
from lyncarr.runs.connection import Overrides
from lyncarr.runs.job import Confirm, Job, open_job
from lyncarr.steps import STAGES

LONGEST_TIMEOUT_S = 3600


class Report(Listener, Protocol):
    def finish(self, result: HostResult, published: Mapping[str, str]) -> None: ...


def run(
    host: str | None,
    overrides: Overrides,
    site: Path,
    steps: list[str],
    *,
    write: bool,
    yes: bool,
    timeout: float,
    output: Output,
    verbose: bool,
) -> int:
    """Plan or provision one host; returns the exit code. What can be refused locally is refused before any contact."""
    select(STAGES, steps)
    _check_options(write=write, yes=yes, timeout=timeout, output=output)
    report = _report(output, command_line("provision", site, host, overrides, steps))
    job = open_job(site, host, steps=steps, timeout_s=timeout, listener=report, ask=asker(), **vars(overrides))
    for warning in job.warnings:
        print_line(f"warning: {safe(warning)}")
    if verbose:
        _print_scripts(job)
    with stop_signals(job):
        result = job.converge(None if yes else _question(job)) if write else job.plan()
        report.finish(result, job.published)
        if result.error is not None:
            print_error(result.error, verbose=verbose, hint=_doctor(result.error, job, command_line("doctor", site, host, overrides)))
        if verbose:
            print_line(_cost(job))
    return result.exit_code


def _check_options(*, write: bool, yes: bool, timeout: float, output: Output) -> None:
    if not 1 <= timeout <= LONGEST_TIMEOUT_S:  # which nan is not, whatever it is compared with
        raise UsageError(f"--timeout must be a number of seconds from 1 to {LONGEST_TIMEOUT_S}, not {timeout:g}.")
    hint = "Add --yes to apply without a question, or run lyncarr plan first."
    if write and not yes and output is Output.json:
        raise UsageError("lyncarr cannot ask a question with --output json.", hint=hint)
    if write and not yes and not terminal():
        raise UsageError("lyncarr cannot ask a question, because standard input is not a terminal.", hint=hint)


def _question(job: Job) -> Confirm:
    def confirm(plan: Plan, notes: list[Note]) -> bool:
        return agree(f"Apply these changes to {job.target.name}?")

    return confirm


def _report(output: Output, provision: str) -> Report:
    if output is Output.json:
        from lyncarr.report.events import JsonReport

        return JsonReport(sys.stdout, shipped().sha256)
    from rich.console import Console

    from lyncarr.report.console import ConsoleReport

    # The stream is named: rich would follow sys.stdout to wherever it leads at that moment.
    return ConsoleReport(Console(file=sys.stdout, highlight=False), Console(file=sys.stderr, highlight=False), provision)


def _print_scripts(job: Job) -> None:
    script = shipped()
    for kind, digest in script.sha256.items():
        print_line(f"script bundle {kind}: {len(script.bundles[kind])} characters, SHA-256 {digest}")
    if job.target.transport == TransportKind.winrs:
        text = winrs_bootstrap()
        print_line(f"bootstrap for WinRS: {len(text)} characters, SHA-256 {sha256(text.encode('ascii')).hexdigest()}")


def _cost(job: Job) -> str:
    cost = job.traffic
    sizes = f"{cost.bytes_up:,} bytes up, {cost.bytes_down:,} bytes down"
    return f"on the wire: {cost.requests} requests over {cost.connections} connections, {sizes}"


def _doctor(error: LyncarrError, job: Job, doctor: str) -> str:
    """The hint to run lyncarr doctor, where that can find more: the host cannot be reached, or the logon failed.

    Not for an untrusted certificate: doctor reports the same, and the error ends with a line to copy.
    """
    if isinstance(error, UntrustedError):
        return ""
    before = isinstance(error, ProtocolError | RefusedError) and not job.logged_on
    return f"Run {doctor} to check the connection." if before or isinstance(error, UnreachableError) else ""
