"""`lyncarr plan` and `lyncarr provision`: from the options to one job, its run and its reports."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from lyncarr.cli.ask import agree, asker, terminal
from lyncarr.cli.choose import host_of
from lyncarr.cli.options import Output, View
from lyncarr.cli.output import print_error, print_labelled, print_line
from lyncarr.cli.paste import command_line
from lyncarr.cli.signals import stop_signals
from lyncarr.cli.streams import rich_console
from lyncarr.core.errors import FaultError, LyncarrError, ProtocolError, RefusedError, UnreachableError, UntrustedError, UsageError
from lyncarr.core.kinds import TransportKind
from lyncarr.core.limits import PLAN_DEADLINE_S
from lyncarr.core.outcome import Note
from lyncarr.core.plan import Plan, select
from lyncarr.core.text import safe
from lyncarr.powershell.bundle import shipped, winrs_bootstrap
from lyncarr.report.log import LogReport, open_log
from lyncarr.report.several import Report, Reports
from lyncarr.runs.connection import Overrides
from lyncarr.runs.job import Confirm, Job, open_job
from lyncarr.steps import STAGES


@dataclass(frozen=True)
class Request:
    """One command line of plan or provision. `host` is the host that it names, None without one."""

    command: str
    host: str | None
    overrides: Overrides
    site: Path
    steps: tuple[str, ...]
    write: bool = False
    yes: bool = False
    timeout_s: float = PLAN_DEADLINE_S
    output: Output = Output.text
    view: View = View.steps
    verbose: bool = False
    log_file: Path | None = None


def run(request: Request) -> int:
    """Plan or provision one host; returns the exit code. What can be refused locally is refused before any contact."""
    select(STAGES, request.steps)
    _check_options(request)
    with open_logs(request.log_file) as log:
        return _run(request, log)


def _run(request: Request, log: LogReport | None) -> int:
    from lyncarr.config.loader import load_site

    site = load_site(request.site)
    host = host_of(request.host, site.hosts, unattended=request.write and request.yes)
    reports = Reports()
    job = open_job(site, host, steps=request.steps, timeout_s=request.timeout_s, listener=reports, ask=asker(), **vars(request.overrides))
    given = (request.site, host, request.overrides)
    reports.add(_report(request, job, "" if request.write else command_line("provision", *given, request.steps)))
    if log is not None:
        reports.add(log)
        log.line(host, "command", {"line": command_line(request.command, *given, request.steps), "script_sha256": shipped().sha256})
    for warning in job.warnings:
        print_labelled("warning", warning)
    if request.verbose:
        _print_scripts(job)
    with stop_signals(job):
        result = job.converge(None if request.yes else _question(job)) if request.write else job.plan()
        reports.finish(result)
        if result.error is not None:
            print_error(result.error, verbose=request.verbose, hint=_doctor(result.error, job, command_line("doctor", *given)))
        if request.verbose:
            print_line(_cost(job))
    return result.exit_code


@contextmanager
def open_logs(path: Path | None) -> Iterator[LogReport | None]:
    """The log file, None without one. An error that ends the command is written to it."""
    if path is None:
        yield None
        return
    log = open_log(path)
    try:
        yield log
    except LyncarrError as error:
        log.error("-", error)
        raise
    except Exception as error:
        log.error("-", FaultError(error))
        raise
    finally:
        log.close()
        if log.lost is not None:
            print_line(f"warning: The log file is incomplete ({log.lost.strerror}).")


def _check_options(request: Request) -> None:
    hint = "Add --yes to apply without a question, or run lyncarr plan first."
    if request.write and not request.yes and request.output is Output.json:
        raise UsageError("lyncarr cannot ask a question with --output json.", hint=hint)
    if request.write and not request.yes and not terminal():
        raise UsageError("lyncarr cannot ask a question, because standard input is not a terminal.", hint=hint)


def _question(job: Job) -> Confirm:
    def confirm(plan: Plan, notes: list[Note]) -> bool:
        return agree(f"Apply these changes to {safe(job.target.name)}?")

    return confirm


def _report(request: Request, job: Job, next_command: str) -> Report:
    if request.output is Output.json:
        from lyncarr.report.events import JsonReport

        return JsonReport(sys.stdout, shipped().sha256)
    from lyncarr.report.console import ConsoleReport
    from lyncarr.report.names import published_names

    return ConsoleReport(
        # The streams are named: rich would follow sys.stdout to wherever it leads at that moment.
        rich_console(sys.stdout),
        rich_console(sys.stderr),
        names=published_names(job.site),
        by_name=request.view is View.names,
        full=request.verbose,
        next_command=next_command,
    )


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

    Not for an untrusted certificate, of which doctor reports the same.
    """
    if isinstance(error, UntrustedError):
        return ""
    before = isinstance(error, ProtocolError | RefusedError) and not job.logged_on
    return f"To check the connection, run:\n  {doctor}" if before or isinstance(error, UnreachableError) else ""
