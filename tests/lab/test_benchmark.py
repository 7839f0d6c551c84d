"""The benchmark at its smallest, so that it still runs when somebody wants its numbers; and the parts that its numbers rest on."""

from __future__ import annotations

import base64
import re
import socket
import threading
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from benchmarks import converge, page
from benchmarks.costs import Cell, Sample
from benchmarks.link import Link
from benchmarks.sites import SITES, Endpoint, read_site, settings_of, write_site
from benchmarks.tools import Ansible, Lyncarr, write_task

# What cmd.exe takes as one line, which is what run_ps makes of a script.
LONGEST_LINE = 8191


def test_the_smallest_run_on_the_replay_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "benchmarks.md").write_text(f"before\n{page.BEGIN}\nold\n{page.END}\nafter\n", encoding="utf-8")
    monkeypatch.setattr(page, "DOCS", tmp_path)
    assert converge.main(["--replay", "--settings", "11", "--round-trips", "0", "--repeat", "1", "--write"]) == 0
    printed = capsys.readouterr().out
    rows = re.findall(r"^  lyncarr +(\d+) +(\d+) +(\d+) +[\d.]+ +[\d.]+ +[\d.]+ +\d+$", printed, re.MULTILINE)
    # NTLM over HTTPS: the no-op and the plan in one shell and one pipeline, the apply with one more.
    assert [
        (int(requests) <= budget, connections, shells) for budget, (requests, connections, shells) in zip((8, 8, 10), rows, strict=True)
    ] == [(True, "1", "1")] * 3, printed
    for line in ("lyncarr --help", "lyncarr check, 11 settings", "lyncarr plan, 11 settings"):
        assert re.search(rf"^  {line} +\d+\.\d\d s$", printed, re.MULTILINE), printed
    written = (tmp_path / "benchmarks.md").read_text(encoding="utf-8")
    assert written == f"before\n{page.BEGIN}\n\n```text\n{printed}```\n\n{page.END}\nafter\n"
    picture = ElementTree.parse(tmp_path / "benchmarks.svg").getroot()
    assert "lyncarr" in (picture.findtext("{*}desc") or "")


@pytest.mark.parametrize("settings", SITES)
def test_a_site_has_as_many_settings_as_its_name_says(settings: int, tmp_path: Path) -> None:
    site = write_site(tmp_path, settings, Endpoint("127.0.0.1", 5986, "Administrator", tmp_path / "ca.pem"))
    assert len(settings_of(read_site(site))) == settings


def test_every_script_of_a_peer_fits_into_a_line(tmp_path: Path) -> None:
    host = Endpoint("127.0.0.1", 5986, "Administrator", tmp_path / "ca.pem")
    task = write_task(tmp_path, write_site(tmp_path, 40, host), host)
    for setting in task.settings:
        text = Path(converge.__file__).with_name("peers").joinpath(f"{setting.script}.ps1").read_text(encoding="ascii")
        values = " ".join(f"-{name}:'{value}'" for name, value in setting.values.items())
        line = "powershell -encodedcommand " + base64.b64encode(f"& {{\n{text}}} {values} -Check:$False".encode("utf-16-le")).decode()
        assert len(line) <= LONGEST_LINE, setting.script


def test_a_round_trip_takes_its_time_and_the_first_one_twice() -> None:
    """TCP's own handshake is the second one. A long message is under way as a whole."""
    with socket.create_server(("127.0.0.1", 0)) as server, Link("127.0.0.1", server.getsockname()[1]) as link:

        def echo() -> None:
            with server.accept()[0] as served:
                while data := served.recv(65_536):
                    served.sendall(data)

        threading.Thread(target=echo, daemon=True).start()
        link.round_trip_s = 0.2
        taken = []
        begun = time.monotonic()
        with socket.create_connection(("127.0.0.1", link.port)) as client:
            for size in (1, 1, 3_000_000):
                client.sendall(b"x" * size)
                while size:
                    size -= len(client.recv(65_536))
                taken.append(time.monotonic() - begun)
                begun = time.monotonic()
    assert taken[0] >= 0.4
    assert taken[1] >= 0.2
    # One after the other its pieces would take nine seconds.
    assert 0.2 <= taken[2] < 5


def test_what_was_not_run_is_computed_and_says_so() -> None:
    cell = Cell(40, "plan", Lyncarr(), {0: [Sample(seconds, 1, 10, 2, 1, 1, 1) for seconds in (3.0, 1.0, 2.0)]})
    assert (cell.time(0).seconds, cell.time(0).measured) == (2.0, True)
    # Ten requests, and two handshakes of two round trips each.
    assert cell.time(100).seconds == pytest.approx(3.4)
    assert not cell.time(100).measured
    assert "~3.40" in page.table([cell], [0, 100], {}, 3)


def test_a_tool_that_is_not_here_has_its_row(tmp_path: Path) -> None:
    lyncarr = Cell(11, "plan", Lyncarr(), {0: [Sample(1.0, 1, 1, 1, 1, 1, 1)]})
    text = page.table([lyncarr, Cell(11, "plan", Ansible(tmp_path / "none"))], [0], {}, 3)
    assert re.search(r"^  Ansible +not installed$", text, re.MULTILINE)
