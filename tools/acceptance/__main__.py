"""`make acceptance HOST=rp01`: the course on a real Windows server that may be lost, and its answers to what documents leave open."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from lyncarr.cli.ask import asker
from lyncarr.config.loader import load_site
from lyncarr.config.site import Site
from lyncarr.core.errors import LyncarrError, UsageError
from lyncarr.core.text import safe
from lyncarr.hosts.target import Target
from lyncarr.runs.connection import Overrides, find_target
from lyncarr.secrets.sources import resolve
from tools.acceptance import hands, proxy, secrets_in_log
from tools.acceptance.course import Course, CourseError

QUESTIONS = {
    "versions": "What the server runs",
    "sections": "What the packages declared in applicationHost.config",
    "schema": "Files in IIS' schema folder",
    "types": "The .NET types of attribute values",
    "position": "Where AddAt(Count) puts a rule",
    "again": "A removed rule, added again",
}
FOR_A_PERSON = (
    "Is iisreset needed after a change of farms? Change a farm in IIS Manager, and see whether a request follows without it.",
    "Which attributes does IIS Manager write into a new farm, and what becomes of the rules when SSL offloading is ticked there? "
    "Compare applicationHost.config before and after, then run lyncarr plan.",
    "Was the account new on the server when the certificate was imported? Say so beside what step certificate said above.",
)


class Report:
    """Numbered lines of the course, then titles with lines below them."""

    def __init__(self) -> None:
        self._number = 0

    def step(self, text: str) -> None:
        self._number += 1
        print(f"{self._number:2}. {safe(text, 2000)}", flush=True)

    def section(self, title: str, lines: list[str]) -> None:
        print(f"\n{title}:")
        for line in lines or ["nothing"]:
            print(f"    {safe(line, 2000)}", flush=True)


def site_secrets(site: Site, target: Target) -> dict[str, str]:
    """The passwords that the site file knows: name -> value."""
    found = {}
    if target.password is not None:
        found["the account's password"] = target.password.reveal()
    if site.certificates.public is not None and site.certificates.password is not None:
        what = "the password of the PFX, to look for it in the server's log"
        account = site.certificates.public.name
        found["the password of the PFX"] = resolve(
            site.certificates.password, base=site.folder, ask=asker(), account=account, label=what
        ).reveal()
    return found


def judge_log(target: Target, logging: dict[str, Any], secrets: dict[str, str]) -> list[str]:
    """Lines about the events of the run; the first word is FOUND where a secret is in them."""
    if not logging["readable"]:
        return ["the log cannot be read on this host: Get-WinEvent is missing"]
    events = hands.call(target, "events.ps1", "Get-LyncarrLogged", Since=logging["now"])
    lines = [
        f"module logging (4103) is {'on' if logging['modules'] else 'off'}, script block logging (4104) is "
        f"{'on' if logging['blocks'] else 'off'} by policy; {len(events)} events since the beginning"
    ]
    if not (logging["modules"] and logging["blocks"]):
        lines.append("turn both on by policy and begin again on a bare server for an answer that counts")
    short = [name for name, secret in secrets.items() if len(secret) < secrets_in_log.SHORTEST]
    lines += [f"{name} is too short to be looked for" for name in short]
    names = secrets_in_log.found(events, {name: secret for name, secret in secrets.items() if name not in short})
    return [*lines, *(f"FOUND: {name}" for name in names)] if names else [*lines, "no secret was found in them"]


def accept(host: str, path: Path) -> int:
    """Run everything; 0 where the course was taken and no secret was logged."""
    site = load_site(path)
    target = find_target(site, host, Overrides(), asker())
    secrets, farm, report = site_secrets(site, target), site.farms[0].name, Report()
    print(f"Acceptance on {target.where}, a server that may be lost: it is changed, and one setting is broken and mended.")
    (logging,) = hands.call(target, "events.ps1", "Get-LyncarrLogging")

    def drift(name: str) -> dict[str, int]:
        (seconds,) = hands.call(target, "drift.ps1", "Set-LyncarrOtherTimeout", Farm=name)
        return seconds

    certificate, failure = "not reached", None
    try:
        certificate = Course(host, path, farm, drift, report.step).run().get("certificate", "not part of this site")
    except (CourseError, LyncarrError) as error:
        failure = str(error)
        report.step(f"The course ends here. {failure}")
    for answer in hands.call(target, "questions.ps1", "Get-LyncarrAnswer", Farm=farm):
        report.section(QUESTIONS[answer["question"]], answer["answer"])
    report.section("The import of the PFX, as step certificate said in the first provision", [certificate])
    asked = [proxy.ask(target.address, site.website.port, farm, request) for request in ("/", "/ucwa/")]
    report.section("Requests through the proxy, asked from here", asked)
    log = judge_log(target, logging, secrets)
    if certificate != "applied":
        log.append(f"no secret was sent in this run: step certificate was {certificate}")
    report.section("Secrets in PowerShell's log", log)
    report.section("For a person to find out", list(FOR_A_PERSON))
    leaked = any(line.startswith("FOUND") for line in log)
    print(f"\n{'FAILED' if failure or leaked else 'Passed'} on {safe(target.where, 200)}.")
    return 1 if failure or leaked else 0


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="make acceptance", description=__doc__)
    parser.add_argument("host", nargs="?", help="a host of the site file: a Windows server that may be lost")
    parser.add_argument("--site", type=Path, default=Path("lyncarr.toml"), help="the site file")
    options = parser.parse_args(arguments)
    try:
        if options.host is None:
            raise UsageError("Name a Windows server that may be lost, a host of the site file: make acceptance HOST=NAME SITE=lyncarr.toml")
        return accept(options.host, options.site)
    except LyncarrError as error:
        print(error, file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
