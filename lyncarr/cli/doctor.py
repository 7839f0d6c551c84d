"""`lyncarr doctor`: why a host cannot be reached, and what to do."""

from __future__ import annotations

import sys
from pathlib import Path

from lyncarr.cli.options import DEFAULT_SITE, Output
from lyncarr.cli.remote import Connection, target_of
from lyncarr.core.errors import IN_PLACE
from lyncarr.core.text import safe
from lyncarr.powershell.bundle import shipped


def run_doctor(connection: Connection, path: Path, output: Output, verbose: bool) -> int:
    """Examine one host and say each finding as it comes; returns the exit code of the one that failed, 0 where none did.

    Of the site file only the hosts are read: the way to a server is tried before its farms are known. An address and an account
    on the command line need no site file at all, unless one is named.
    """
    from lyncarr.config.loader import load_hosts
    from lyncarr.config.site import Hosts
    from lyncarr.hosts.doctor import Finding, examine
    from lyncarr.report import doctor

    needless = connection.user is not None and path == DEFAULT_SITE and not path.exists()
    target = target_of(connection, Hosts(path, {}) if needless else load_hosts(path))
    failed: Finding | None = None
    if output is Output.text:
        print(safe(target.where), flush=True)
    for finding in examine(target, shipped()):
        failed = finding if finding.error is not None else failed
        print(doctor.text_line(finding) if output is Output.text else doctor.json_line(target.name, finding), flush=True)
    error = None if failed is None else failed.error
    code = IN_PLACE if error is None else error.exit_code
    move = (
        "Put this host into a site file (lyncarr init DOMAIN writes one); then lyncarr plan."
        if needless
        else f"{connection.line('plan', path)} comes next."
    )
    print(doctor.verdict(target.name, failed, move) if output is Output.text else doctor.json_summary(target.name, failed, code))
    if verbose and error is not None and error.detail:
        print(f"cause: {safe(error.detail)}", file=sys.stderr)
    return code
