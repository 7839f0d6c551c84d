"""The cost to converge a host, compared with other tools on one simulated host: python -m benchmarks.converge.

Prints requests, bytes, seconds and memory; docs/benchmarks.md explains them. --write writes the table and the picture there.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks import page
from benchmarks.hosts import Ground, ReplayGround, wine_ground
from benchmarks.link import Link
from benchmarks.measure import BenchmarkHost
from benchmarks.sites import SITES
from benchmarks.tools import LYNCARR, Ansible, Lyncarr, Pipelines, RunPs, Tool
from lyncarr.lab.wire.server import LabServer

NAMES = ("pypsrp", "pywinrm", "Ansible")
# make bench installs Ansible here, separate from the packages of lyncarr.
ANSIBLE = Path(__file__).parents[1] / ".venv-ansible" / "bin" / "ansible-playbook"


def arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.converge", description="Compares lyncarr with other tools on one simulated host."
    )
    parser.add_argument("--settings", type=int, nargs="+", choices=SITES, default=list(SITES), help="numbers of settings")
    parser.add_argument("--round-trips", type=int, nargs="+", default=[0, 20, 100], metavar="MS", help="round-trip times in ms")
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="number of runs; the median is shown")
    parser.add_argument("--peers", nargs="*", choices=NAMES, default=NAMES, help="the tools to compare with")
    parser.add_argument("--pwsh-wine", metavar="PATH", default=os.environ.get("LYNCARR_PWSH_WINE") or shutil.which("pwsh-wine"),
                        help="launcher of the Windows build of PowerShell on Wine; default: $LYNCARR_PWSH_WINE")  # fmt: skip
    parser.add_argument("--ansible", metavar="PATH", type=Path, default=ANSIBLE,
                        help="ansible-playbook of an environment with pypsrp; default: what make bench installed")  # fmt: skip
    parser.add_argument("--all", action="store_true", help="run slow cases as often as the others, and at all round-trip times")
    parser.add_argument("--replay", action="store_true", help="measure only lyncarr, with stored states and without a PowerShell")
    parser.add_argument("--write", action="store_true", help="write the table and the picture into docs/")
    return parser.parse_args(words)


def tools_of(options: argparse.Namespace) -> list[Tool]:
    peers: list[Tool] = [] if options.replay else [Pipelines(), RunPs(), Ansible(options.ansible)]
    return [Lyncarr(), *(tool for tool in peers if tool.name in options.peers)]


@contextlib.contextmanager
def ground_of(options: argparse.Namespace, folder: Path) -> Iterator[Ground]:
    if options.replay:
        yield ReplayGround()
        return
    if not options.pwsh_wine:
        sys.exit("This benchmark requires a PowerShell on Wine: name its launcher with --pwsh-wine, or use --replay.")
    with wine_ground(str(Path(options.pwsh_wine).resolve()), folder / "machine") as ground:
        yield ground


def starts(bench: BenchmarkHost, settings: int, repeat: int) -> dict[str, float]:
    """The start times of lyncarr and of a shell of the host: name -> seconds, the median of `repeat` runs."""
    commands = {"lyncarr --help": ["--help"], f"lyncarr check, {settings} settings": ["check"]}
    taken = {name: [bench.command_seconds([*LYNCARR, *words]) for _ in range(repeat)] for name, words in commands.items()}
    taken["a shell of this host starts"] = [bench.shell_seconds() for _ in range(repeat)]
    return {name: statistics.median(each) for name, each in taken.items()}


def main(words: list[str] | None = None) -> int:
    options = arguments(words)
    begun = time.monotonic()

    def progress(text: str) -> None:
        print(f"{time.monotonic() - begun:6.0f} s  {text}", file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory(prefix="lyncarr-bench-") as name, ground_of(options, Path(name)) as ground:
        folder = Path(name)
        with LabServer(ground.engine) as lab, Link(lab.address, lab.https_port) as link:
            bench = BenchmarkHost(ground, lab, link, folder)
            tools = tools_of(options)
            cells = []
            for settings in options.settings:
                cells += bench.measure(settings, tools, options.round_trips, options.repeat, all_of_them=options.all, progress=progress)
            text = page.table(cells, options.round_trips, starts(bench, settings, options.repeat), options.repeat)
    print(text)
    if options.write:
        page.write(text, cells, options.round_trips)
    return 0


if __name__ == "__main__":
    sys.exit(main())
