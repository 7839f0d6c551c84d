"""`python -m tools.windows_python [--build] [WORDS FOR PYTEST]`: build the Windows Python, then run the tests of the client on it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tools.windows_python.build import CannotBuildError, build, stop
from tools.windows_python.installed import install_bundle
from tools.windows_python.place import CHECKOUT, Place, wine

REQUIRED = "LYNCARR_WINDOWS_PYTHON_REQUIRED"
"""Where this variable is set, a machine on which it cannot be built is a failure."""
KEEP_S = 3600
WORKERS = "3"
TESTS = ("tests/unit", "tests/cli", "tests/lab/test_doctor.py", "tests/lab/test_other_system.py")
"""The client half: what runs lyncarr, against hosts in the same process and against a lab on the other system."""
SKIPPED = re.compile(r"^SKIPPED \[(\d+)\] \S+?(?::\d+)?: (.*)$")


def main(words: Sequence[str]) -> int:
    """Returns the exit code of pytest."""
    started = time.monotonic()
    try:
        place = build(lambda part: print(f"{time.monotonic() - started:4.0f} s  {part}", flush=True))
    except CannotBuildError as reason:
        print(f"No tests ran on a Windows Python: {reason}.", file=sys.stderr)
        return 1 if os.environ.get(REQUIRED) else 0
    print(f"{time.monotonic() - started:4.0f} s  Windows Python in {place.folder}", flush=True)
    if list(words) == ["--build"]:
        return 0
    _install(place)
    # Wine shows the mode of a file as its access list, and lyncarr refuses a password that everyone can read.
    os.umask(0o077)
    with _kept_running(place), _lab() as folder:
        code = _tests(place, folder, list(words) or [*TESTS, "-n", WORKERS, "--dist", "loadfile"])
        if not words and code == 0:
            print(f"{time.monotonic() - started:4.0f} s  installed from the bundle: {install_bundle(place)}", flush=True)
    print(f"{time.monotonic() - started:4.0f} s  in all", flush=True)
    return code


def _install(place: Place) -> None:
    """Make the checkout importable, and its metadata readable, for every process of this Python."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder], cwd=CHECKOUT, check=True, capture_output=True
        )
        subprocess.run([sys.executable, "-m", "zipfile", "-e", *Path(folder).glob("*.whl"), folder], check=True)
        for old in place.packages.glob("lyncarr-*.dist-info/*"):
            old.unlink()
        for file in Path(folder).glob("lyncarr-*.dist-info/*"):
            if file.is_file():
                to = place.packages / file.parent.name / file.name
                to.parent.mkdir(exist_ok=True)
                to.write_bytes(file.read_bytes())
    (place.packages / "checkout.pth").write_text("Z:" + str(CHECKOUT).replace("/", "\\") + "\n")


@contextmanager
def _kept_running(place: Place) -> Iterator[None]:
    """A process that keeps the simulated Windows up: it starts in seconds, and a pipe ends only when its last process has ended."""
    command = [str(wine()), str(place.program), "-c", f"import time; time.sleep({KEEP_S})"]
    null = subprocess.DEVNULL
    keeper = subprocess.Popen(command, env=place.environment(), stdin=null, stdout=null, stderr=null)
    try:
        yield
    finally:
        stop(place)
        keeper.wait()


@contextmanager
def _lab() -> Iterator[Path]:
    """The folder of a replay lab that runs on this system."""
    with tempfile.TemporaryDirectory(prefix="lyncarr-lab-") as folder:
        command = [sys.executable, "-m", "lyncarr", "lab", "--folder", folder, "--output", "json"]
        lab = subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True)
        try:
            assert lab.stdout is not None
            ready = lab.stdout.readline()
            if not ready:
                raise CannotBuildError("the lab did not start")
            (Path(folder) / "lab.json").write_text(ready, "utf-8")
            yield Path(folder)
        finally:
            lab.terminate()
            lab.wait()


def _tests(place: Place, lab: Path, words: list[str]) -> int:
    """Run pytest and print its output, with the skipped tests counted by reason."""
    environment = place.environment() | {"LYNCARR_OTHER_LAB": str(lab)}
    environment.pop("LYNCARR_COVERAGE", None)
    command = [
        str(wine()),
        str(place.program),
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "-o",
        "addopts=",
        "-q",
        "-rfEs",
        "--color=no",
        *words,
    ]
    reasons: Counter[str] = Counter()
    # Pipes: on Wine, Python does not start with a file or with /dev/null of Linux as its standard output.
    with subprocess.Popen(
        command,
        cwd=CHECKOUT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as tests:
        assert tests.stdin is not None
        assert tests.stdout is not None
        tests.stdin.close()
        for line in tests.stdout:
            if skipped := SKIPPED.match(line.rstrip()):
                reasons[skipped[2]] += int(skipped[1])
            else:
                print(line.rstrip(), flush=True)
    for reason, count in sorted(reasons.items()):
        print(f"skipped {count:3}  {reason}")
    return tests.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
