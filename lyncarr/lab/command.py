"""`lyncarr lab`: a simulated host on loopback until Ctrl-C, with a site file that leads to it."""

from __future__ import annotations

import ipaddress
import json
import secrets
import shlex
import shutil
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from lyncarr.core.errors import UsageError
from lyncarr.lab.real.powershell import PowerShellEngine
from lyncarr.lab.replay.machine import load_preset
from lyncarr.lab.replay.psrp import ReplayEngine
from lyncarr.lab.site import marks, write_site
from lyncarr.lab.wire.engine import Engine
from lyncarr.lab.wire.server import LabServer
from lyncarr.powershell.bundle import shipped
from lyncarr.report.events import SCHEMA

HOST = "rp01"
USER = "Administrator"
STATE_NAME = "state.json"
PASSWORD_BYTES = 15


def run(preset: str, powershell: str | None, folder: Path, address: str, output: str) -> int:
    """Serve until SIGINT or SIGTERM; returns the exit code.

    `preset` is the state of a replayed host; with `powershell`, the command line of a PowerShell, that runs behind the wire
    instead and the preset is not used. The site file, the authority's certificate and the passwords are written into `folder`.
    `output` is "text", or "json" for one line when the host is ready. Raises UsageError and SiteError.
    """
    folder = folder.absolute()
    _check_loopback(address)
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    engine, packages = (_replay(preset, folder), None) if powershell is None else _powershell(powershell, preset, folder)
    with _stop_signals() as stopped:
        server = LabServer(engine, address=address, user=USER, password=password)
        try:
            server.start()
        except OSError as error:
            raise UsageError(f"The lab cannot listen on {address}: {error.strerror}. Name another --address of 127.0.0.0/8.") from error
        try:
            site = write_site(
                folder,
                host=HOST,
                address=address,
                port=server.https_port,
                user=USER,
                password=password,
                authority=server.ca_file.read_bytes(),
                packages=packages,
            )
            if isinstance(engine, ReplayEngine):
                engine.machine.fill(marks(folder))
            _say(_json_line(server) if output == "json" else _teaching_text(server, site, preset, powershell))
            stopped.wait()
        finally:
            server.stop()
    return 0


def _check_loopback(address: str) -> None:
    try:
        if ipaddress.ip_address(address).is_loopback:
            return
    except ValueError:
        pass
    raise UsageError(f"{address} is not a loopback address; the lab serves on 127.0.0.0/8 or ::1 only.")


def _replay(preset: str, folder: Path) -> Engine:
    machine = load_preset(preset)
    folder.mkdir(parents=True, exist_ok=True)
    machine.keep_in(folder / STATE_NAME)
    return ReplayEngine(machine, script=shipped())


def _powershell(command: str, preset: str, folder: Path) -> tuple[Engine, Path | None]:
    words = shlex.split(command)
    if not words or shutil.which(words[0]) is None:
        raise UsageError(f"There is no program '{command}'; give --powershell the path of a PowerShell 7, or the command line of one.")
    # Locks its templates by fcntl, which only a POSIX system has; the replay lab runs everywhere.
    from lyncarr.lab.real.wine import WineEngine, open_machine, runs_on_wine

    if runs_on_wine(words[0]):
        machine = open_machine(words[0], preset, folder / "machine")
        return WineEngine(machine), machine.packages
    return PowerShellEngine(words), None


@contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set: both are the regular way to end the lab."""
    stopped = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        stopped.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _json_line(server: LabServer) -> str:
    return json.dumps(
        {
            "schema": SCHEMA,
            "event": "lab",
            "address": server.address,
            "http_port": server.http_port,
            "https_port": server.https_port,
            "user": server.user,
            "password": server.password,
            "pin": server.pin,
        }
    )


def _teaching_text(server: LabServer, site: Path, preset: str, powershell: str | None) -> str:
    where = shlex.quote(str(site))
    lines = [
        f"A simulated Windows server answers on {server.address}: https port {server.https_port}, http port {server.http_port}.",
    ]
    if powershell is None:
        lines += [
            f"It replays stored states, beginning with the preset '{preset}'. It shows how lyncarr works, and runs no PowerShell.",
            f"What it has stands in {shlex.quote(str(site.parent / STATE_NAME))}: break one thing there and look again.",
        ]
    else:
        lines.append(f"Behind the wire runs {powershell}: whatever is sent is truly carried out, by that program and as you.")
    lines += [
        "",
        "In another terminal:",
        "",
        f"  lyncarr plan --site {where} --host {HOST}",
        f"  lyncarr provision --site {where} --host {HOST}",
        "",
        "Ctrl-C ends it.",
    ]
    return "\n".join(lines)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
