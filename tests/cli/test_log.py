"""--log-file: everything that happened, with its time, and no secret."""

from __future__ import annotations

import io
import json
import os
import re
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lyncarr.core.errors import UnreachableError, UsageError
from lyncarr.core.files import is_reserved
from lyncarr.core.outcome import HostResult
from lyncarr.report.log import LogReport, open_log
from tests.lab.console import Bench
from tests.platforms import WINDOWS, not_on_wine, posix

LINE = re.compile(r"(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) (?P<host>\S+) (?P<event>\S+) (?P<members>\{.*\})")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with Bench(tmp_path) as bench:
        yield bench


def entries(path: Path) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for line in path.read_text(encoding="ascii").splitlines():
        match = LINE.fullmatch(line)
        assert match, line
        found.append((match["event"], json.loads(match["members"])))
    return found


def test_a_run_is_logged_from_its_command_line_to_its_result(bench: Bench) -> None:
    log = bench.folder / "run.log"
    assert bench.run("provision", "--yes", "--log-file", "run.log").code == 0
    assert WINDOWS or stat.S_IMODE(log.stat().st_mode) == 0o600
    found = entries(log)
    events = [event for event, _ in found]
    assert events[0] == "command"
    assert events[-1] == "result"
    assert {"connecting", "request", "response", "hello", "plan", "applying", "applied", "step"} <= set(events)
    requests = [members for event, members in found if event == "request"]
    assert [members["operation"] for members in requests].count("apply") == len(bench.writes)
    assert all(members["bytes_up"] > 0 for event, members in found if event == "response")
    assert found[-1][1]["exit_code"] == 0
    plan = {members["step"]: members["changes"] for event, members in found if event == "plan"}
    assert {"item": "meet.contoso.com", "attribute": None, "before": None, "after": {"timeout_s": 900}} in plan["proxy-timeout"]


def test_no_secret_is_in_a_log(bench: Bench) -> None:
    for words in (["plan"], ["provision", "--yes"], ["doctor"]):
        bench.run(*words, "--verbose", "--log-file", "run.log")
    assert bench.password not in (bench.folder / "run.log").read_text()


def test_a_later_run_is_added_and_the_mode_stays(bench: Bench) -> None:
    log = bench.folder / "run.log"
    bench.run("plan", "--log-file", "run.log")
    first = log.read_text()
    log.chmod(0o644)
    bench.run("doctor", "--log-file", "run.log")
    assert log.read_text().startswith(first)
    assert next(members["check"] for event, members in entries(log) if event == "finding") == "name"
    assert WINDOWS or stat.S_IMODE(log.stat().st_mode) == 0o600


def test_errors_are_logged_with_their_cause(bench: Bench) -> None:
    bench.run("plan", "--tls", "verify", "--log-file", "run.log")
    (error,) = [members for event, members in entries(bench.folder / "run.log") if event == "error"]
    assert error["code"] == "untrusted"
    assert error["detail"].startswith("verify code ")
    bench.run("plan", "--password-from", "env:NO_SUCH_VARIABLE", "--log-file", "local.log")
    (local,) = entries(bench.folder / "local.log")
    assert (local[0], local[1]["code"]) == ("error", "configuration")


@pytest.mark.parametrize(
    "kind",
    [
        "folder",
        pytest.param("pipe", marks=posix("named pipes in a folder")),
        pytest.param("link", marks=not_on_wine("a symbolic link is shown as the file behind it")),
        "absent folder",
    ],
)
def test_what_is_not_a_regular_file_is_refused_before_any_contact(kind: str, bench: Bench) -> None:
    path = bench.folder / "log"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "link":
        path.symlink_to(bench.folder / "elsewhere")
    else:
        path = bench.folder / "absent" / "log"
    done = bench.run("plan", "--log-file", str(path))
    assert (done.code, done.out) == (64, "")
    assert done.err.startswith("error: --log-file ")
    assert bench.lab.connections == 0


def test_a_device_is_refused() -> None:
    with pytest.raises(UsageError, match="not a regular file"):
        open_log(Path("/dev/null"))


def test_a_name_of_a_windows_device_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lyncarr.report.log.is_reserved", lambda path: is_reserved(path, windows=True))
    with pytest.raises(UsageError, match=r"cannot be written: it is the name of a Windows device\.$"):
        open_log(tmp_path / "nul.log")


def test_a_full_disk_does_not_end_a_run() -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

    log = LogReport(Full())
    log.event("rp01", "connecting", {})
    log.finish(HostResult("rp01", "unreachable", 69, error=UnreachableError("No answer.", detail="x")))
    assert log.lost is not None


def test_a_line_has_its_time_in_utc() -> None:
    out = io.StringIO()
    LogReport(out, now=lambda: datetime(2026, 12, 1, 5, 10, 17, 123456, tzinfo=UTC)).event("rp 01\n", "hello", {"os": "\x1b[2J"})
    assert out.getvalue() == '2026-12-01T05:10:17.123Z rp_01\\n hello {"os": "\\u001b[2J"}\n'
