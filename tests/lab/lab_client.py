"""Unmodified pypsrp against a lab, and raw requests where the answer's bytes matter."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.wsman import WSMan

from lyncarr.lab.replay.machine import Machine
from lyncarr.lab.replay.psrp import ReplayEngine
from lyncarr.lab.wire import wsman
from lyncarr.lab.wire.connection import RequestRecord
from lyncarr.lab.wire.server import LabServer
from lyncarr.powershell.bundle import Script
from tests.patience import HANG_S

SCRIPT = Script({"look": "the bundle that looks", "lock": "the bundle that locks", "write": "the bundle that writes"})
RUN = "6a3f0f6e-2f0c-4a52-9a55-0d8c1f4b7a10"

TRANSPORTS: dict[str, dict[str, Any]] = {
    "https basic": {"ssl": True, "auth": "basic"},
    "https ntlm": {"ssl": True, "auth": "ntlm"},
    "https negotiate": {"ssl": True, "auth": "negotiate"},
    "https ntlm sealed": {"ssl": True, "auth": "ntlm", "encryption": "always"},
    "http ntlm sealed": {"ssl": False, "auth": "ntlm"},
    "http negotiate sealed": {"ssl": False, "auth": "negotiate"},
}


def gone(pid: int) -> bool:
    """Whether a process has ended; one that only waits for its parent to notice has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def start_at(lab: LabServer, action: str, timer: threading.Timer) -> None:
    """Start the timer when the next message of this action arrives."""

    def arrived(record: RequestRecord, message: wsman.Message) -> None:
        if record.action == action:
            lab.on_message = lambda record, message: None
            timer.start()

    lab.on_message = arrived


def eventually(condition: Callable[[], bool], seconds: float = HANG_S) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def script(name: str) -> str:
    return (Path(__file__).parent / "scripts" / f"{name}.ps1").read_text(encoding="ascii")


def replay(machine: Machine | None = None) -> ReplayEngine:
    return ReplayEngine(machine or Machine(), script=SCRIPT)


def connect(lab: LabServer, **options: Any) -> WSMan:
    """A connection of pypsrp; by default https and basic, which costs no extra requests."""
    settings: dict[str, Any] = {"ssl": True, "auth": "basic", "username": lab.user, "password": lab.password}
    settings.update(options)
    settings.setdefault("port", lab.https_port if settings["ssl"] else lab.http_port)
    settings.setdefault("cert_validation", str(lab.ca_file) if settings["ssl"] else True)
    return WSMan(lab.address, no_proxy=True, **settings)


@contextmanager
def pool(lab: LabServer, **options: Any) -> Iterator[RunspacePool]:
    idle = options.pop("idle_timeout", None)
    with connect(lab, **options) as connection, RunspacePool(connection, idle_timeout=idle) as runspaces:
        yield runspaces


def pipeline(runspaces: RunspacePool, text: str, **parameters: Any) -> PowerShell:
    shell = PowerShell(runspaces)
    shell.add_script(text)
    shell.add_parameters(parameters)
    return shell


def request(operation: str = "observe", *, lock: bool = False, run: str = RUN, **desired: Any) -> str:
    """A request of the contract; keywords are steps (with _ for -) and their desired states."""
    steps = [{"name": name.replace("_", "-"), "desired": state, "parameters": {}} for name, state in desired.items()]
    return json.dumps({"protocol": 1, "run": run, "operation": operation, "lock": lock, "steps": steps, "who": "tests"})


def first(runspaces: RunspacePool, text: str, script: str = "") -> list[str]:
    """Output of the pipeline that is the script: the bundle that the request `text` needs, or another `script`."""
    kind = "lock" if '"lock": true' in text else "look"
    output: list[str] = pipeline(runspaces, script or SCRIPT.bundles[kind], Request=text).invoke()
    return output


def further(runspaces: RunspacePool, text: str, secrets: str | None = None) -> list[str]:
    """Output of a pipeline that calls the script's function."""
    shell = PowerShell(runspaces)
    if '"operation": "apply"' in text:
        shell.add_script(SCRIPT.bundles["write"])
    else:
        shell.add_cmdlet("Invoke-LyncarrRequest")
    shell.add_parameter("Request", text)
    output: list[str] = shell.invoke(input=None if secrets is None else [secrets])
    return output


def envelope(
    action: str,
    *,
    shell_id: str | None = None,
    body: str = "",
    resource: str = f"{wsman.POWERSHELL_RESOURCE}Microsoft.PowerShell",
    timeout_s: int = 20,
) -> str:
    """A SOAP request as a client of ours would send it."""
    selector = f'<w:SelectorSet><w:Selector Name="ShellId">{shell_id}</w:Selector></w:SelectorSet>' if shell_id else ""
    return (
        f'<s:Envelope xmlns:s="{wsman.NAMESPACES["s"]}" xmlns:a="{wsman.NAMESPACES["a"]}" xmlns:w="{wsman.NAMESPACES["w"]}" '
        f'xmlns:rsp="{wsman.NAMESPACES["rsp"]}"><s:Header><a:Action>{action}</a:Action>'
        f"<a:MessageID>uuid:{uuid.uuid4()}</a:MessageID><w:ResourceURI>{resource}</w:ResourceURI>"
        f"<w:OperationTimeout>PT{timeout_s}S</w:OperationTimeout>{selector}</s:Header><s:Body>{body}</s:Body></s:Envelope>"
    )


def post(lab: LabServer, body: str = "", *, timeout_s: float = 10, **options: Any) -> requests.Response:
    """One raw request over https with Basic; redirects are not followed. Without a body: a Get of a shell that is not there."""
    with requests.Session() as session:
        session.trust_env = False
        session.headers["Accept-Encoding"] = "identity"
        return session.post(
            f"https://{lab.address}:{lab.https_port}/wsman",
            data=(body or envelope(wsman.GET, shell_id=str(uuid.uuid4()))).encode(),
            auth=(lab.user, lab.password),
            verify=str(lab.ca_file),
            allow_redirects=False,
            timeout=timeout_s,
            **options,
        )
