"""`make faults`: what becomes of a run when its connection breaks, or its controller ends, at each of its messages.

Prints a line for each case as it is done, and what must not be; ends with 1 where there was any of that.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import product
from pathlib import Path

from lyncarr.lab.real.wine import default_cache
from tests.conftest import engine
from tests.lab.console import Bench
from tests.lab.sweep import FAULTS, WORDS, Fault, Ground, Operation, Outcome, ReplayGround, broken, hurried, make_materials, strike
from tests.windows.ground import WineGround, patient

TRANSPORTS = ("psrp", "winrs")
HEADINGS = ("engine", "over", "operation", "fault", "message", "exit", "result", "steps", "next run")
WIDTHS = (6, 5, 9, 12, 36, 4, 11, 46)
SHORT = {"farms+disk-cache+proxy-timeout+ssl-offload+http-rules+host-conditions": "stage farms"}
STALL_S = 10.0
"""How long a stalled answer is waited for on Wine, of which there are many here."""
LATE = ("Ctrl-C", "killed", "reset after")
"""Faults of an install on Wine: a case takes a quarter of a minute."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__, allow_abbrev=False)
    parser.add_argument("--engine", choices=("replay", "wine"), help="default: both, Wine where it is")
    parser.add_argument("--transport", choices=TRANSPORTS, help="default: both")
    parser.add_argument("--operation", choices=tuple(WORDS), help="default: all")
    parser.add_argument("--fault", choices=[fault.name for fault in FAULTS], help="default: all")
    chosen = parser.parse_args()
    pwsh = engine("LYNCARR_PWSH_WINE", "pwsh-wine")
    engines = [chosen.engine] if chosen.engine else ["replay", *(["wine"] if pwsh else [])]
    operations = [chosen.operation] if chosen.operation else list(WORDS)
    faults = [fault for fault in FAULTS if chosen.fault in (None, fault.name)]
    if pwsh is None:
        print("No PowerShell on Wine here ($LYNCARR_PWSH_WINE): on a real engine nothing is proved.")
        if chosen.engine == "wine":
            return 1
    print(row(HEADINGS))
    count: Counter[str] = Counter()
    for name, transport, operation in product(engines, [chosen.transport] if chosen.transport else TRANSPORTS, operations):
        Bench.transport = transport
        for outcome in sweep(name, operation, faults, pwsh or ""):
            wrong = broken(outcome)
            count["wrong" if wrong else "right"] += 1
            print(row(cells(outcome)), flush=True)
            for sentence in wrong:
                print(f"       WRONG: {sentence}", flush=True)
    print(f"{count.total()} cases, {count['wrong']} of them wrong")
    return 1 if count["wrong"] else 0


def sweep(name: str, operation: Operation, faults: list[Fault], pwsh: str) -> Iterator[Outcome]:
    """A run without a fault, then one for each fault at each message of the first."""
    with tempfile.TemporaryDirectory(prefix="lyncarr-faults-") as folder, ExitStack() as stack:
        stack.enter_context(hurried() if name == "replay" else patient(STALL_S))
        ground = stack.enter_context(ground_on(name, operation, Path(folder), pwsh))
        whole = strike(ground)
        yield whole
        for fault in faults:
            if name == "wine" and operation == "install" and fault.name not in LATE:
                continue
            for arrival in whole.arrivals:
                yield strike(ground, fault, arrival.index)


def ground_on(name: str, operation: Operation, folder: Path, pwsh: str) -> Ground:
    bench = folder / "bench"
    bench.mkdir()
    if name == "wine":
        return WineGround(bench, operation=operation, pwsh=pwsh, cache=default_cache())
    return ReplayGround(bench, operation=operation, materials=make_materials(folder / "site") if operation == "install" else None)


def cells(outcome: Outcome) -> tuple[str, ...]:
    message = "-" if outcome.hit is None else f"{outcome.hit.index:2} {outcome.hit}"
    for long, short in SHORT.items():
        message = message.replace(long, short)
    return (
        outcome.engine,
        outcome.transport,
        outcome.operation,
        outcome.fault.name if outcome.fault else "none",
        message,
        str(outcome.code),
        outcome.word,
        ", ".join(f"{number} {word}" for word, number in Counter(outcome.steps.values()).items()),
        f"{outcome.again} {outcome.again_word}",
    )


def row(texts: tuple[str, ...]) -> str:
    return "  ".join([*(text.ljust(width) for text, width in zip(texts, WIDTHS, strict=False)), texts[-1]])


if __name__ == "__main__":
    sys.exit(main())
