"""`lyncarr lab`: serve a simulated host on a loopback address until Ctrl-C, and write a configuration file for it."""

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

from lyncarr.core import waits
from lyncarr.core.errors import UsageError
from lyncarr.core.interrupts import STOP_SIGNALS
from lyncarr.lab.folder import EDITED, PREVIOUS, STATE_NAME, used_by_this_lab
from lyncarr.lab.replay.machine import load_preset
from lyncarr.lab.replay.psrp import ReplayEngine
from lyncarr.lab.site import marks, write_site
from lyncarr.lab.wire.engine import Engine
from lyncarr.lab.wire.server import LabServer
from lyncarr.powershell.bundle import shipped
from lyncarr.report.events import SCHEMA
from lyncarr.secrets.program import line_of

HOST = "rp01"
USER = "Administrator"
PASSWORD_BYTES = 15


def run(preset: str, powershell: str | None, folder: Path, address: str, output: str) -> int:
    """Serve until a signal of STOP_SIGNALS; returns the exit code.

    `preset` is the first state of the host. `powershell` is the command line of a PowerShell to run behind the wire; without it stored
    states are replayed. The configuration file, certificates, passwords and the state are written into `folder`. `output` is "text",
    or "json" for one line when the host is ready. Raises UsageError, SiteError and ConfigurationError.
    """
    folder = folder.absolute()
    _check_loopback(address)
    machine = load_preset(preset) if powershell is None else None
    command = [] if powershell is None else _program(powershell)
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    with _stop_signals() as stopped, used_by_this_lab(folder) as replaced:
        if machine is None:
            engine, packages = _powershell(command, preset, folder)
        else:
            machine.keep_in(folder / STATE_NAME)
            engine, packages = ReplayEngine(machine, script=shipped()), None
        server = LabServer(engine, address=address, user=USER, password=password)
        try:
            server.start()
        except OSError as error:
            raise UsageError(
                f"The lab cannot listen on {address}: {error.strerror}.",
                hint="Name another loopback address with --address.",
            ) from error
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
            if machine is not None:
                machine.fill(marks(folder))
            _print(_json_line(server, replaced) if output == "json" else _text(server, site, preset, powershell, replaced))
            waits.wait(stopped)
        finally:
            server.stop()
    return 0


def _check_loopback(address: str) -> None:
    try:
        if ipaddress.ip_address(address).is_loopback:
            return
    except ValueError:
        pass
    raise UsageError(f"{address} is not a loopback address.", hint="Give --address an address of 127.0.0.0/8, or ::1.")


def _program(command: str) -> list[str]:
    if sys.platform == "win32":
        raise UsageError(
            "A lab with a PowerShell does not run on Windows.",
            hint="Leave out --powershell: the lab then replays stored states, on every system.",
        )
    words = shlex.split(command)
    if not words or shutil.which(words[0]) is None:
        raise UsageError(f"The program '{command}' does not exist.", hint="Give --powershell the path of a PowerShell 7.")
    return words


def _powershell(command: list[str], preset: str, folder: Path) -> tuple[Engine, Path | None]:
    # These modules need POSIX, see _program. The replay lab runs on Windows too.
    assert sys.platform != "win32"  # noqa: S101  (mypy learns the system)
    from lyncarr.lab.real.powershell import PowerShellEngine
    from lyncarr.lab.real.wine import WineEngine, open_machine, runs_on_wine

    if runs_on_wine(command[0]):
        machine = open_machine(command[0], preset, folder / "machine")
        return WineEngine(machine), machine.packages
    return PowerShellEngine(command), None


@contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """An event that each signal of STOP_SIGNALS sets: all end the lab as intended."""
    stopped = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        stopped.set()

    before = {number: signal.signal(number, stop) for number in STOP_SIGNALS}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _json_line(server: LabServer, replaced: tuple[str, ...]) -> str:
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
            "replaced": list(replaced),
        }
    )


def _text(server: LabServer, site: Path, preset: str, powershell: str | None, replaced: tuple[str, ...]) -> str:
    lines = [f"A simulated Windows server runs on {server.address}: HTTPS port {server.https_port}, HTTP port {server.http_port}."]
    if powershell is None:
        lines += [
            f"It replays stored states, runs no PowerShell, and starts with the preset '{preset}'.",
            f"Its state is in {line_of([str(site.parent / STATE_NAME)])}. To see drift, change a value there and run plan again.",
        ]
    else:
        lines.append(f"Requests run in {powershell}, with your rights on this machine.")
    if replaced:
        kept = [f"{name}{PREVIOUS}" for name in EDITED if name in replaced]
        lines.append(f"Replaced from an earlier lab: {', '.join(replaced)}. Kept: {', '.join(kept)}, and all other files of the folder.")
    lines += [
        "",
        "In another terminal:",
        "",
        *("  " + line_of(["lyncarr", command, "--site", str(site), "--host", HOST]) for command in ("plan", "provision")),
        "",
        "Press Ctrl-C to stop the server.",
    ]
    return "\n".join(lines)


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
