"""`lyncarr doctor`: why a host cannot be reached, and what to do."""

from __future__ import annotations

from pathlib import Path

from lyncarr.cli.ask import asker
from lyncarr.cli.options import DEFAULT_SITE, Output
from lyncarr.cli.output import print_line
from lyncarr.cli.paste import command_line
from lyncarr.core.errors import IN_PLACE
from lyncarr.core.text import safe
from lyncarr.powershell.bundle import shipped
from lyncarr.runs.connection import Overrides, find_target


def run_doctor(host: str | None, overrides: Overrides, path: Path, output: Output, verbose: bool) -> int:
    """Examine one host and say each finding as it comes; returns the exit code of the one that failed, 0 where none did.

    Of the site file only the hosts are read: the way to a server is tried before its farms are known. An address and an account
    on the command line need no site file at all, unless one is named.
    """
    from lyncarr.config.loader import load_hosts
    from lyncarr.config.site import Hosts
    from lyncarr.report import doctor
    from lyncarr.runs.doctor import Finding, examine

    needless = overrides.user is not None and path == DEFAULT_SITE and not path.exists()
    target = find_target(Hosts(path, {}) if needless else load_hosts(path), host, overrides, asker())
    failed: Finding | None = None
    if output is Output.text:
        print(safe(target.where), flush=True)
    for finding in examine(target, shipped()):
        failed = finding if finding.error is not None else failed
        print(doctor.text_line(finding) if output is Output.text else doctor.json_finding(target.name, finding), flush=True)
    error = None if failed is None else failed.error
    code = IN_PLACE if error is None else error.exit_code
    move = (
        "Put this host into a site file (lyncarr init DOMAIN writes one); then lyncarr plan."
        if needless
        else f"{command_line('plan', path, host, overrides)} comes next."
    )
    print(doctor.verdict(target.name, failed, move) if output is Output.text else doctor.json_summary(target.name, failed, code))
    if verbose and error is not None and error.detail:
        print_line(f"cause: {safe(error.detail)}")
    return code
