"""The real console script, as a process of its own, against a replayed host in this process."""

from __future__ import annotations

import contextlib
import io
import json
import os
import queue
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

import pytest

from lyncarr.cli.main import run
from lyncarr.config.loader import load_site
from lyncarr.lab.replay.machine import Machine
from lyncarr.lab.replay.psrp import ReplayEngine
from lyncarr.lab.wire.engine import Engine
from lyncarr.lab.wire.faults import Faults
from lyncarr.lab.wire.server import LabServer
from lyncarr.materials.prepare import Prepared, prepare
from lyncarr.powershell.bundle import shipped
from lyncarr.steps import STEPS
from tests.lab.terminal import Terminal, hear_ctrl_c
from tests.patience import HANG_S
from tests.platforms import plain_environment

PASSWORD = "P@ssw0rd-of-the-lab"
FARMS = """
[[farms]]
name = "dialin.contoso.com"
servers = ["fepool.contoso.local"]

[[farms]]
name = "meet.contoso.com"
servers = ["fepool.contoso.local"]
"""
WAIT_S = HANG_S


@dataclass
class Done:
    """What a process left: its exit code and what it said."""

    code: int
    out: str
    err: str

    @property
    def events(self) -> list[dict[str, Any]]:
        """The lines of --output json; each must be an object of schema 1."""
        lines = [json.loads(line) for line in self.out.splitlines()]
        assert all(line["schema"] == 1 for line in lines)
        return lines

    @property
    def host(self) -> dict[str, Any]:
        """The host's line: the one before the last, which is the summary and agrees with it."""
        host, summary = self.events[-2:]
        assert host["event"] == "host"
        assert summary == {"schema": 1, "event": "summary", "exit_code": self.code, "hosts": {host["host"]: host["result"]}}
        return host

    @property
    def words(self) -> dict[str, str]:
        """Step -> its result."""
        return {step["step"]: step["result"] for step in self.host["steps"]}

    def quiet(self) -> Done:
        """Nobody saw a traceback or what would work a terminal."""
        for text in (self.out, self.err):
            assert "Traceback" not in text, text
            assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text), ascii(text)
        return self


@dataclass
class Bench:
    """A folder with a site file, a machine, and the server in front of it."""

    transport: ClassVar[str] = "psrp"
    """Of the site file; the fixture of that name sets it for both."""

    folder: Path
    machine: Machine = field(default_factory=lambda: Machine())
    faults: Faults = field(default_factory=Faults)
    host: str = ""
    """More lines for the table [hosts.rp01]."""
    more: str = ""
    """More tables for the site file."""
    farms: str = FARMS
    auth: str = "basic"
    tls: str = "ca"
    password: str = PASSWORD
    options: dict[str, Any] = field(default_factory=dict)

    def __enter__(self) -> Self:
        self.lab = LabServer(self.engine(), password=self.password, faults=self.faults, linger_s=0.02, **self.options)
        self.lab.start()
        (self.folder / "ca.pem").write_bytes(self.lab.ca_file.read_bytes())
        self.environment = {**plain_environment(), "LYNCARR_TEST_PASSWORD": self.password}
        self.write_site()
        return self

    def __exit__(self, *exc: object) -> None:
        self.lab.stop()

    def engine(self) -> Engine:
        return ReplayEngine(self.machine, script=shipped())

    def write_site(self) -> None:
        tls, port = ("off", self.lab.http_port) if self.tls == "off" else ("ca:ca.pem", self.lab.https_port)
        table = (
            f'[hosts.rp01]\naddress = "{self.lab.address}"\nport = {port}\nuser = "{self.lab.user}"\n'
            f'transport = "{self.transport}"\nauth = "{self.auth}"\ntls = "{tls}"\npassword = "env:LYNCARR_TEST_PASSWORD"\n{self.host}\n'
        )
        (self.folder / "lyncarr.toml").write_text(table + self.more + self.farms, encoding="utf-8")

    @property
    def site(self) -> Prepared:
        return prepare(load_site(self.folder / "lyncarr.toml"), None)

    def finish(self) -> Bench:
        """Put the machine where a whole run would leave it."""
        self.machine.states = finished(self.site)
        return self

    @property
    def writes(self) -> list[list[str]]:
        """The steps of each apply request that reached the machine."""
        return [
            [step["name"] for step in exchange.request["steps"]]
            for exchange in self.machine.exchanges
            if exchange.request["operation"] == "apply"
        ]

    def command(self, *words: str, host: str = "rp01") -> list[str]:
        return [sys.executable, "-m", "lyncarr", *words, "--host", host]

    def start(self, *words: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*words),
            cwd=self.folder,
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            preexec_fn=hear_ctrl_c if os.name == "posix" else None,
        )

    def run(self, *words: str, **environment: str) -> Done:
        process = self.start(*words, **environment)
        out, err = process.communicate(timeout=90)
        return Done(process.returncode, out, err).quiet()

    def json(self, *words: str, **environment: str) -> Done:
        return self.run(*words, "--output", "json", **environment)

    def here(self, *words: str, output: str = "json") -> Done:
        """The same in this process, without the time that a start takes: for tests of many runs."""
        return self.loudly(*words, output=output).quiet()

    def loudly(self, *words: str, output: str = "json") -> Done:
        """`here` where a traceback is expected."""
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            patch.setenv("LYNCARR_TEST_PASSWORD", self.password)
            code = run([*words, "--host", "rp01", "--site", str(self.folder / "lyncarr.toml"), "--output", output])
        return Done(code, out.getvalue(), err.getvalue())

    @contextlib.contextmanager
    def terminal(self, *words: str, columns: int = 80, **environment: str) -> Iterator[Terminal]:
        with Terminal(self.command(*words), self.folder, self.environment | {"TERM": "xterm"} | environment, columns) as terminal:
            yield terminal


def finished(site: Prepared) -> dict[str, Any]:
    """What a machine that is in place answers, as JSON has it."""
    states = {step.name: step.desired(site) for step in STEPS}
    plain: dict[str, Any] = json.loads(json.dumps(states, default=dict))
    return plain


def wait_for(stream: Any, text: str) -> str:
    """Lines of a pipe up to the one that contains `text`. Fails, with what was read, where `text` does not come."""
    lines: queue.Queue[str | None] = queue.Queue()

    def read() -> None:
        for line in stream:
            lines.put(line)
            if text in line:
                return
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    seen = ""
    while text not in seen:
        try:
            line = lines.get(timeout=WAIT_S)
        except queue.Empty:
            line = None
        assert line is not None, f"{text!r} never came:\n{seen}"
        seen += line
    return seen
