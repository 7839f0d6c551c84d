"""`lyncarr doctor`: check the connection to a host, one part after the other."""

from __future__ import annotations

import sys
from pathlib import Path

from lyncarr.cli.ask import asker
from lyncarr.cli.choose import host_of
from lyncarr.cli.options import DEFAULT_SITE, Output
from lyncarr.cli.output import print_labelled, terminal_width
from lyncarr.cli.paste import command_line
from lyncarr.cli.remote import open_logs
from lyncarr.core.errors import IN_PLACE
from lyncarr.core.text import safe
from lyncarr.powershell.bundle import shipped
from lyncarr.runs.connection import Overrides, connection_warnings, find_target


def run_doctor(host: str | None, overrides: Overrides, path: Path, output: Output, verbose: bool, log_file: Path | None) -> int:
    """Check one host and print each finding as it comes; returns the exit code of the one that failed, 0 where none did.

    Reads only the hosts of the configuration file, so the connection can be checked before the farms are known. An address and an
    account on the command line need no configuration file, unless one is named.
    """
    with open_logs(log_file) as log:
        from lyncarr.config.loader import load_hosts
        from lyncarr.config.site import Hosts
        from lyncarr.report import doctor
        from lyncarr.runs.doctor import Finding, examine

        without_file = overrides.user is not None and path == DEFAULT_SITE and not path.exists()
        hosts = Hosts(path, {}) if without_file else load_hosts(path)
        name = host_of(host, hosts.hosts, unattended=False)
        target = find_target(hosts, name, overrides, asker())
        width = terminal_width(sys.stdout)
        failed: Finding | None = None
        for warning in connection_warnings(target):
            print_labelled("warning", warning)
        if output is Output.text:
            print(safe(target.where), flush=True)
        for finding in examine(target, shipped()):
            failed = finding if finding.error is not None else failed
            if output is Output.text:
                print("\n".join(doctor.text_lines(finding, width)), flush=True)
            else:
                print(doctor.json_finding(target.name, finding), flush=True)
            if log is not None:
                log.line(target.name, "finding", doctor.finding_members(target.name, finding))
        error = None if failed is None else failed.error
        code = IN_PLACE if error is None else error.exit_code
        if output is Output.json:
            print(doctor.json_summary(target.name, failed, code))
        else:
            following = None if without_file else command_line("plan", path, name, overrides)
            print("\n".join(doctor.closing_lines(target.name, failed, following, width)))
        if verbose and error is not None and error.detail:
            print_labelled("cause", safe(error.detail))
        if log is not None and error is not None:
            log.error(target.name, error)
        return code
