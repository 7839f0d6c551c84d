"""Each command in a page runs: page by page, in the order of the page, with the real command line against the replay lab.

A new line of a page must be listed: in RUNS if it can run here, otherwise in ELSEWHERE with the reason and the test that runs it. The
output that a page shows below a command must be exactly the output of the command.
"""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lyncarr.config.loader import load_site
from lyncarr.lab.replay.machine import load_preset
from lyncarr.lab.replay.psrp import ReplayEngine
from lyncarr.lab.site import write_site
from lyncarr.lab.wire.server import LabServer
from lyncarr.materials.prepare import prepare
from lyncarr.powershell.bundle import shipped
from tests.lab.console import finished, wait_for
from tests.lab.terminal import Terminal
from tests.patience import HANG_S
from tools.docs.documents import PAGES, ROOT, Line, blocks, code_in, kinds, lines, name_of


class Reader:
    """A reader who follows a page: a folder with a complete configuration file, and the new server that the file names."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.machine = load_preset("blank")
        self.lab = LabServer(ReplayEngine(self.machine, script=shipped()), linger_s=0.02)
        self.environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "LANG": "C.UTF-8", "RP01_PASSWORD": self.lab.password}

    def __enter__(self) -> Reader:
        self.lab.start()
        self.fill_in()
        return self

    def __exit__(self, *exc: object) -> None:
        self.lab.stop()

    @property
    def site(self) -> Path:
        return self.folder / "lyncarr.toml"

    def copy_configuration(self) -> None:
        recorded = ROOT / "tests" / "compatibility" / "0.1.0" / "applicationHost.config"
        (self.folder / recorded.name).write_bytes(recorded.read_bytes())

    def forget_site(self) -> None:
        self.site.unlink()

    def fill_in(self) -> None:
        """Replace the file that `lyncarr init` wrote by one with the servers and certificates of the reader."""
        self.site.unlink(missing_ok=True)
        lab = self.lab
        write_site(
            self.folder,
            host="rp01",
            address=lab.address,
            port=lab.https_port,
            user=lab.user,
            password=lab.password,
            authority=lab.ca_file.read_bytes(),
        )

    def drift(self) -> None:
        """The finished server, with the timeout of one farm changed by hand."""
        self.machine.states = finished(prepare(load_site(self.site), None))
        self.machine.states["proxy-timeout"]["dialin.contoso.com"]["timeout_s"] = 30

    def run(self, command: str, answer: str = "") -> tuple[int, str]:
        """Exit code and standard output. With an `answer`, the command runs on a terminal and gets it as input to its question."""
        words = shlex.split(command)
        if answer:
            with Terminal(words, self.folder, self.environment | {"TERM": "xterm"}, 120) as terminal:
                terminal.wait_for("[y/N]")
                terminal.type(f"{answer}\n")
                return terminal.end(), terminal.text
        done = subprocess.run(
            words, cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, timeout=90
        )
        return done.returncode, done.stdout

    def serve(self, command: str) -> tuple[int, str]:
        """Start a lab, run the two commands that it prints, and end the lab with Ctrl-C."""
        lab = subprocess.Popen(
            shlex.split(command), cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        )
        with lab:
            try:
                output = wait_for(lab.stdout, "Press Ctrl-C to stop the server.")
                plan, provision = re.findall(r"^  (lyncarr .+)$", output, re.MULTILINE)
                assert self.run(plan)[0] == 2
                assert self.run(provision, "y")[0] == 0
            finally:
                lab.send_signal(signal.SIGINT)
                code = lab.wait(timeout=HANG_S)
        return code, output


@dataclass(frozen=True)
class Run:
    """The exit code of a command, the answer to its question, and what the reader does before and after it."""

    code: int = 0
    answer: str = ""
    serves: bool = False
    before: Callable[[Reader], None] = lambda reader: None
    after: Callable[[Reader], None] = lambda reader: None


RUNS = {
    "lyncarr --version": Run(),
    "lyncarr init contoso.com": Run(before=Reader.forget_site, after=Reader.fill_in),
    "lyncarr check": Run(),
    "lyncarr route https://dialin.contoso.com/ --config applicationHost.config": Run(before=Reader.copy_configuration),
    "lyncarr schema --file lyncarr.schema.json": Run(),
    "lyncarr bootstrap --controller 192.0.2.50 --name rp01 --file enable-winrm.ps1": Run(),
    "lyncarr bootstrap --controller 192.0.2.50 --name rp01 --file lyncarr-bootstrap.ps1": Run(),
    "lyncarr doctor rp01": Run(),
    "lyncarr plan rp01": Run(code=2),
    "lyncarr provision rp01": Run(answer="y"),
    "lyncarr provision rp01 --yes": Run(),
    "lyncarr plan rp01 --password-from env:RP01_PASSWORD --output json": Run(),
    "lyncarr lab --preset blank": Run(serves=True),
}

SHOWN: dict[tuple[str, str], Callable[[Reader], None]] = {("README.md", "lyncarr plan rp01"): Reader.drift}
"""(page, command) of a block with output -> the function that gives the server the state of the page."""

ELSEWHERE = {
    "make bundle": ("tests/docs/test_bundle.py", "takes half a minute and the package index"),
    "make test-windows": (".ci/run", "takes minutes"),
    "make demo": ("tests/docs/test_demo.py", "runs the same module"),
    "make test": ("tests/docs/test_commands.py", "is running"),
    "make check": ("tests/docs/test_commands.py", "is a part of make test"),
    "make clean": ("tests/docs/test_commands.py", "removes the environment of the tests"),
    "make lint": (".ci/run", "judges the whole checkout, once"),
    "make docs": ("tests/docs/test_generated.py", "writes into the checkout"),
    "make check-docs": ("tests/docs/test_generated.py", "judges what the whole test run recorded"),
    "make coverage-ps": ("tests/snippets/test_report.py", "takes all tests of the snippets"),
    "make presets": ("tests/windows/test_presets.py", "writes into the checkout"),
    "make faults": ("tests/lab/test_sweep.py", "takes the best part of an hour; a selection runs there"),
    "make bench": ("tests/lab/test_benchmark.py", "takes a quarter of an hour; its smallest form runs there"),
    "make acceptance": ("tests/windows/test_acceptance.py", "is for a real server; runs against the lab there"),
    "pipx install": ("tests/docs/test_wheel.py", "would fetch packages; the wheel is built and installed there without"),
    "pipx inject": ("tests/unit/test_sources.py", "would fetch the package, which the tests have"),
    "pip install": ("tests/docs/test_wheel.py", "would fetch packages; the wheel is built and installed there without"),
    "python3 -m venv": ("tests/docs/test_wheel.py", "makes an environment there"),
    ".ci/run": (".ci/run", "runs all tests"),
}
"""The beginning of a command that cannot run here -> the file that runs it instead, and the reason."""

KINDS = {"console", "powershell", "toml", "json", "python", "markdown", "text", ""}
PROGRAMS = ("lyncarr", "make", "pip", "pipx", "python", "python3", "openssl", "git", ".ci/run")
SHELL_LINES: list[Line] = [line for page in PAGES for line in lines(page)]


def listed(command: str) -> str | None:
    """The key of ELSEWHERE for a command, or None."""
    return next((start for start in ELSEWHERE if command == start or command.startswith(f"{start} ")), None)


@pytest.mark.parametrize("line", SHELL_LINES, ids=str)
def test_each_line_is_listed_once(line: Line) -> None:
    assert (line.command in RUNS) != (listed(line.command) is not None), f"{line}: add it to RUNS, or to ELSEWHERE with the reason"
    assert not line.shown or (line.page, line.command) in SHOWN, f"{line}: add to SHOWN how its output comes to be"


def test_no_entry_is_unused() -> None:
    written = {line.command for line in SHELL_LINES} | {code for page in PAGES for code in code_in(page)}
    assert set(RUNS) <= {line.command for line in SHELL_LINES}
    assert set(SHOWN) <= {(line.page, line.command) for line in SHELL_LINES if line.shown}
    assert set(ELSEWHERE) == {listed(command) for command in written} - {None}
    for file, _ in ELSEWHERE.values():
        assert (ROOT / file).is_file(), file


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_hide_in_no_other_block(page: Path) -> None:
    """The tests of this folder read each kind of block. Blocks of text, and blocks without a kind, contain no command."""
    assert kinds(page) <= KINDS
    for kind in ("text", ""):
        for block in blocks(page, kind):
            for text in block.text.splitlines():
                assert not text.startswith(("$ ", "> ", *(f"{program} " for program in PROGRAMS))), f"{block}: {text}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_within_sentences_are_listed(page: Path) -> None:
    """test_text.py parses the commands of lyncarr."""
    for code in code_in(page):
        if code.startswith(tuple(f"{program} " for program in PROGRAMS if program != "lyncarr")):
            assert listed(code) is not None, f"{name_of(page)}: {code}"


@pytest.mark.parametrize(
    "command",
    sorted({one for page in PAGES for one in [*code_in(page), *(line.command for line in lines(page))] if one.startswith("make ")}),
)
def test_make_knows_its_targets(command: str) -> None:
    done = subprocess.run([*shlex.split(command), "--dry-run"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    with Reader(tmp_path) as reader:
        yield reader


@pytest.mark.parametrize("page", [page for page in PAGES if any(line.command in RUNS for line in lines(page))], ids=name_of)
def test_a_page_runs_from_its_first_line_to_its_last(page: Path, reader: Reader) -> None:
    for line in lines(page):
        if line.command not in RUNS:
            continue
        how = RUNS[line.command]
        how.before(reader)
        if line.shown:
            before = reader.machine.states
            SHOWN[line.page, line.command](reader)
        code, output = reader.serve(line.command) if how.serves else reader.run(line.command, how.answer)
        assert code == how.code, f"{line}\n{output}"
        if line.shown:
            assert output.strip("\n") == line.shown
            reader.machine.states = before
        how.after(reader)
