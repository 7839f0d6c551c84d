"""ps_snippets/_winrs.ps1 in a real PowerShell, a child process without the wire: many requests, one state, and how it ends."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lyncarr.powershell import lines
from lyncarr.powershell.bundle import WINRS, winrs_bootstrap
from tools.snippets.snippet_coverage import NEEDED, driver_command, finished, snippet_coverage, to_load

pytestmark = pytest.mark.powershell

SCRIPT = (Path(__file__).parent / "winrs_script.ps1").read_text(encoding="ascii")
DRIVER = Path(__file__).parent / "winrs_driver.ps1"
RECORDINGS: list[Path | None] = []


class Process:
    """A bootstrap that has told its version."""

    def __init__(self, command: list[str]) -> None:
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self._ran = 0
        assert self.read().startswith(lines.VERSION)

    def read(self) -> str:
        assert self._process.stdout
        line = self._process.stdout.readline()
        assert line.endswith(b"\n"), "it has ended"
        return line[:-1].decode("utf-8")

    def write(self, data: bytes) -> None:
        assert self._process.stdin
        self._process.stdin.write(data)
        self._process.stdin.flush()

    def request(self, what: dict[str, object], script: str | None = None, secrets: dict[str, str] | None = None) -> list[str]:
        """The lines of the answer, its last one included."""
        self.write(lines.encode(script, json.dumps(what), secrets or {}))
        answer = [self.read()]
        while not answer[-1].startswith(lines.MARK):
            answer.append(self.read())
        return answer

    def end(self) -> tuple[str, str]:
        """What else it wrote to both streams, once its input was at its end."""
        out, err = self._process.communicate(timeout=60)
        return out.decode("utf-8"), err.decode("utf-8")

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate(timeout=60)


Start = Callable[[], Process]


@pytest.fixture
def start(pwsh: str, tmp_path: Path) -> Iterator[Start]:
    """Starts processes that record which statements ran."""
    script = tmp_path / WINRS
    script.write_text(winrs_bootstrap(), encoding="ascii")
    started: list[Process] = []

    def one() -> Process:
        run = to_load(script, tmp_path / f"counted-{len(started)}.ps1")
        RECORDINGS.append(run.recording)
        started.append(Process(driver_command(pwsh, DRIVER, [run], [str(run.loaded)])))
        return started[-1]

    yield one
    for process in started:
        process.kill()


def test_as_it_is_started_on_a_host(pwsh: str) -> None:
    """By the command line that is sent, where nothing but this engine's own name is another."""
    _, *arguments = lines.command_line().split(" ")
    process = Process([pwsh, *arguments])
    assert process.request({"say": "one"}, SCRIPT) == ["call 1: one, 0 characters of secrets", lines.END]
    assert process.request({"say": "two"}) == ["call 2: two, 0 characters of secrets", lines.END]
    assert process.end() == ("", "")


def test_state_secrets_and_large_requests(start: Start) -> None:
    process = start()
    assert process.request({"say": "x"}, SCRIPT)[0] == "call 1: x, 0 characters of secrets"
    secrets = {"pfx": "A" * 400_000}
    expected = f"call 2: {'y' * 10}, {len(json.dumps(secrets))} characters of secrets"
    assert process.request({"say": "y" * 10, "padding": "z" * 400_000}, secrets=secrets)[0] == expected
    # Another script takes the place of what it defines, and the state stays.
    assert process.request({"say": "x"}, SCRIPT)[0] == "call 3: x, 0 characters of secrets"
    assert process.end() == ("", "")


def test_text_of_any_language_in_both_directions(start: Start) -> None:
    process = start()
    text = "é中😀"
    process.write(lines.encode(SCRIPT, json.dumps({"say": text}, ensure_ascii=False), {}))
    assert process.read() == f"call 1: {text}, 0 characters of secrets"


def test_each_object_comes_when_it_is_put_out(start: Start) -> None:
    process = start()
    process.write(lines.encode(SCRIPT, json.dumps({"say": "1", "wait": True}), {}))
    assert process.read().startswith("call 1")
    # It waits for a file, which is made only now.
    (Path(process.read()) / "go").touch()
    assert process.read() == "gone on"
    assert process.read() == lines.END


def test_an_error_that_the_script_does_not_catch_ends_the_process(start: Start) -> None:
    process = start()
    assert process.request({"say": "x"}, SCRIPT)[-1] == lines.END
    assert process.request({"fail": "not\r\ncaught"}) == [f"{lines.ERROR}not caught [not caught]"]
    assert process.end() == ("", "")


def test_a_question_about_a_request_that_ran_is_not_answered(start: Start) -> None:
    process = start()
    process.request({"say": "x"}, SCRIPT)
    process.write(lines.ask(1))
    assert process.request({"say": "x"})[0].startswith("call 2")
    assert process.end() == ("", "")


@pytest.mark.parametrize("arrived", [0, 1, 10, -1], ids=["nothing", "a byte", "a part", "all but the last line feed"])
def test_a_request_that_is_not_whole_is_never_begun(start: Start, arrived: int) -> None:
    process = start()
    process.request({"say": "x"}, SCRIPT)
    whole = lines.encode(None, json.dumps({"say": "never"}), {})
    process.write(whole[:arrived] + lines.ask(2))
    assert process.read() == lines.INCOMPLETE
    # What comes late finds nobody.
    process.write(whole[arrived:] + lines.encode(None, json.dumps({"say": "never"}), {}))
    assert process.end() == ("", "")


def test_the_end_of_its_input_in_the_middle_of_a_request_ends_it(start: Start) -> None:
    process = start()
    process.write(lines.encode(SCRIPT, json.dumps({"say": "x"}), {})[:-1])
    out, _ = process.end()
    # An end of input ends the last line too, and then the request is whole.
    assert out.splitlines() == ["call 1: x, 0 characters of secrets", lines.END]
    process = start()
    process.write(lines.encode(SCRIPT, json.dumps({"say": "x"}), {})[:-2])
    assert process.end() == ("", "")


def test_every_line_ran() -> None:
    """The last of this file."""
    if len(RECORDINGS) < 10:
        pytest.skip("only a part of this file was asked for: the coverage of the bootstrap was not judged")
    if None in RECORDINGS:
        pytest.skip(NEEDED)
    assert snippet_coverage(winrs_bootstrap(), {WINRS: winrs_bootstrap()}, finished(RECORDINGS))[WINRS].missed == ()
