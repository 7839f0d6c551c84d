"""Canaries: a password, wherever it came from, is in nothing that anybody can read, in no form.

The wire is looked at inside its encryption, as the remote PowerShell sees it.
"""

from __future__ import annotations

import base64
import html
import json
import logging
import os
import urllib.parse
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lyncarr.cli.libraries import LOGGERS
from lyncarr.hosts import shell
from lyncarr.lab.replay.psrp import ReplayShell
from lyncarr.lab.replay.winrs import ReplayProcess
from lyncarr.lab.wire.engine import ProcessStart
from lyncarr.lab.wire.faults import At, every
from lyncarr.lab.wire.fragments import FRAGMENT_HEAD
from tests.certs import make_ca, make_leaf, make_pfx
from tests.lab.console import FARMS, Bench, Done

pytestmark = pytest.mark.usefixtures("transport")

PASSWORDS = {
    "quotes": "canary ’‘‚‛'\" <&> $(x) `n %41 ",
    "long": ("canary-0123456789 äß€ " * 20)[:256],
}
PFX_PASSWORD = 'owl-canary’" <&> $env:x '
LITERAL = 'literal-canary’" <&>'
CERTIFICATES = '[certificates]\npublic = "public.pfx"\npassword = "file:pfx-password"\n'


def forms(secret: str) -> dict[str, bytes]:
    """How a secret could stand somewhere."""
    found = {
        "raw": secret.encode(),
        "latin-1": secret.encode("latin-1", errors="replace"),
        "UTF-16": secret.encode("utf-16-le"),
        "UTF-16 of the other end": secret.encode("utf-16-be"),
        "XML": html.escape(secret, quote=False).encode(),
        "XML with quotes": html.escape(secret).encode(),
        "JSON": json.dumps(secret)[1:-1].encode(),
        "URL": urllib.parse.quote(secret).encode(),
        "URL of a form": urllib.parse.quote_plus(secret).encode(),
        "hex": secret.encode().hex().encode(),
        "escaped": secret.encode("unicode_escape"),
    }
    for name, data in list(found.items())[:3]:
        for shift in range(3):
            # Without the characters that share their bits with what stands before and behind.
            encoded = base64.b64encode(b"\0" * shift + data)
            found[f"base64 of {name}, shifted by {shift}"] = encoded[4 if shift else 0 : -4]
    return found


def leaks(secret: str, places: dict[str, bytes]) -> list[str]:
    """Also its beginning alone: what was cut is a leak too."""
    found = {**forms(secret), **{f"beginning, {name}": form for name, form in forms(secret[:12]).items()}}
    return [f"{name} in {place}" for name, form in found.items() for place, data in places.items() if form in data]


class Wire:
    """What remote shells were given: to create them and their pipelines or processes, and as secrets, which are the pipelines' input."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.commands = b""
        self.input = b""
        begin, send, create = ReplayShell.command, ReplayShell.send, ReplayShell.__init__

        def on_create(shell: ReplayShell, machine: Any, script: str, shell_id: str, creation: bytes, output: Any) -> None:
            self.commands += _joined(creation)
            create(shell, machine, script, shell_id, creation, output)

        def on_command(shell: ReplayShell, command_id: str, data: bytes) -> None:
            self.commands += _joined(data)
            begin(shell, command_id, data)

        def on_send(shell: ReplayShell, command_id: str | None, stream: str, data: bytes) -> None:
            # A long message comes in several Sends, fragments that are whole each.
            if stream == "pr":
                self.commands += _joined(data)
            else:
                self.input += _joined(data)
            send(shell, command_id, stream, data)

        monkeypatch.setattr(ReplayShell, "__init__", on_create)
        monkeypatch.setattr(ReplayShell, "command", on_command)
        monkeypatch.setattr(ReplayShell, "send", on_send)
        start, write = ReplayProcess.__init__, ReplayProcess.send
        held = b""

        def on_start(process: ReplayProcess, machine: Any, script: Any, asked: ProcessStart, output: Any) -> None:
            self.commands += asked.line.encode() + repr(asked.environment).encode()
            start(process, machine, script, asked, output)

        def on_write(process: ReplayProcess, data: bytes) -> None:
            nonlocal held
            *whole, held = (held + data).split(b"\n#run\n")
            for request in whole:
                rest, _, secrets = request.rpartition(b"\n")
                self.commands += rest
                self.input += secrets
            write(process, data)

        monkeypatch.setattr(ReplayProcess, "__init__", on_start)
        monkeypatch.setattr(ReplayProcess, "send", on_write)


def _joined(data: bytes) -> bytes:
    """PSRP fragments without their headers."""
    blobs = b""
    while data:
        *_, length = FRAGMENT_HEAD.unpack_from(data)
        blobs += data[FRAGMENT_HEAD.size : FRAGMENT_HEAD.size + length]
        data = data[FRAGMENT_HEAD.size + length :]
    return blobs


class Watch:
    """A bench whose every trace is kept."""

    def __init__(self, bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
        self.bench = bench
        self.wire = Wire(monkeypatch)
        self._log = caplog
        self._said = b""
        self._before = _files(bench.folder)
        caplog.set_level(logging.DEBUG)
        for name in LOGGERS:
            caplog.set_level(logging.DEBUG, name)

    def keep(self, done: Done) -> Done:
        self._said += f"{done.out}\n{done.err}\n".encode()
        return done

    @property
    def places(self) -> dict[str, bytes]:
        new = {name: data for name, data in _files(self.bench.folder).items() if self._before.get(name) != data}
        # psrpcore speaks for the simulated host, which is in this process by chance only.
        ours = [record for record in self._log.records if not record.name.startswith("psrpcore")]
        log = "\n".join(f"{record.name} {record.getMessage()} {record.args} {record.exc_text}" for record in ours)
        states = json.dumps(self.bench.machine.states).encode()
        requests = json.dumps([exchange.request for exchange in self.bench.machine.exchanges], ensure_ascii=False).encode()
        return {
            "output": self._said,
            "the log": log.encode(),
            "scripts and requests on the wire": self.wire.commands,
            "requests": requests,
            "states": states,
            **new,
        }


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(params=PASSWORDS)
def watch(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> Iterator[Watch]:
    now = datetime.now(UTC)
    leaf = make_leaf(["dialin.contoso.com", "meet.contoso.com"], make_ca(), start=now - timedelta(days=1), end=now + timedelta(days=200))
    (tmp_path / "public.pfx").write_bytes(make_pfx(leaf, [make_ca()], PFX_PASSWORD))
    (tmp_path / "pfx-password").touch(mode=0o600)
    (tmp_path / "pfx-password").write_text(PFX_PASSWORD, encoding="utf-8")
    for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME"):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(name, str(tmp_path / name))
    with Bench(tmp_path, more=CERTIFICATES, password=PASSWORDS[request.param], auth="ntlm", farms=FARMS) as bench:
        bench.environment |= {name: os.environ[name] for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME")}
        yield Watch(bench, monkeypatch, caplog)


def test_the_canaries_would_be_found(watch: Watch) -> None:
    """The search itself: what is there in each form is found."""
    for secret in (*PASSWORDS.values(), PFX_PASSWORD, LITERAL):
        for name, form in forms(secret).items():
            assert leaks(secret, {"here": b"before " + form + b" behind"}), name
        assert leaks(secret, {"here": b"x" + base64.b64encode(f"user:{secret} and more".encode())})
    assert leaks(PFX_PASSWORD, {"cut": f"({PFX_PASSWORD[:14]}...)".encode()})


def test_a_whole_run(watch: Watch) -> None:
    bench = watch.bench
    for words in (["plan"], ["provision", "--yes"], ["provision", "--yes", "--verbose"]):
        assert watch.keep(bench.here(*words)).code in (0, 2)
        assert watch.keep(bench.run(*words, "--verbose")).code in (0, 2)
    sent = [exchange for exchange in bench.machine.exchanges if exchange.secrets]
    assert [exchange.secrets for exchange in sent] == [("pfx", "pfx_password")]
    assert [step["name"] for step in sent[0].request["steps"]] == ["certificate"]
    assert b"pfx_password" in watch.wire.input
    for secret in (bench.password, PFX_PASSWORD):
        assert leaks(secret, watch.places) == []
        assert leaks(secret, {"the input of pipelines": watch.wire.input}) == [], "the host gets a password of its own for one run"
    one_time = _one_time_password(watch.wire.input)
    assert leaks(one_time, watch.places) == []


def _one_time_password(data: bytes) -> str:
    text = html.unescape(data.decode("utf-8", errors="replace"))
    secrets: dict[str, str] = json.JSONDecoder().raw_decode(text[text.index('{"pfx') :])[0]
    return secrets["pfx_password"]


FAILURES: dict[str, tuple[Callable[[Bench], None], int]] = {
    "refused": (lambda bench: setattr(bench.faults, "refuse_authentication", True), 77),
    "refused later": (lambda bench: setattr(bench.faults, "refuse_after", 5), 77),
    "a step fails": (lambda bench: setattr(bench.machine.faults, "fail", {"certificate": ("certificate", "no")}), 1),
    "untrusted": (lambda bench: setattr(bench.faults, "doctype", every(first=4)), 76),
    "garbage": (lambda bench: setattr(bench.faults, "garbage", every()), 76),
    "lost": (lambda bench: setattr(bench.faults, "cut_request", At({"psrp": 3, "winrs": 4}[bench.transport])), 69),
    "an unreadable answer": (lambda bench: setattr(bench.machine.faults, "rewrite", lambda lines: [42]), 76),
}


@pytest.mark.parametrize("name", FAILURES)
def test_failures(watch: Watch, name: str) -> None:
    prepare, code = FAILURES[name]
    prepare(watch.bench)
    assert watch.keep(watch.bench.here("provision", "--yes", "--verbose")).code == code
    for secret in (watch.bench.password, PFX_PASSWORD):
        assert leaks(secret, watch.places) == []


def test_a_wrong_password_is_not_repeated_in_the_refusal(watch: Watch) -> None:
    watch.bench.password = LITERAL
    done = watch.keep(watch.bench.here("plan", "--verbose"))
    assert done.code == 77
    assert leaks(LITERAL, watch.places) == []


@pytest.mark.parametrize("where", ["hosts", "certificates", "command line"])
def test_a_literal_in_the_place_of_a_reference_is_not_repeated(watch: Watch, where: str) -> None:
    bench = watch.bench
    path = bench.folder / "lyncarr.toml"
    words = ["plan", "--verbose"]
    text = path.read_text(encoding="utf-8")
    if where == "hosts":
        text = text.replace('"env:LYNCARR_TEST_PASSWORD"', json.dumps(LITERAL, ensure_ascii=False))
    elif where == "certificates":
        text = text.replace('"file:pfx-password"', json.dumps(LITERAL, ensure_ascii=False))
    else:
        words += ["--password-from", LITERAL]
    path.write_text(text, encoding="utf-8")
    watch._before = _files(bench.folder)
    done = watch.keep(bench.run(*words))
    assert done.code == (78 if where == "command line" else 65), done.err
    assert leaks(LITERAL, watch.places) == []
    assert bench.lab.connections == 0


def test_a_wrong_password_of_the_pfx_is_not_repeated(watch: Watch) -> None:
    (watch.bench.folder / "pfx-password").write_text(LITERAL, encoding="utf-8")
    watch._before = _files(watch.bench.folder)
    done = watch.keep(watch.bench.here("plan", "--verbose"))
    assert done.code == 65
    assert leaks(LITERAL, watch.places) == []


def test_an_unforeseen_error_shows_no_secret(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of lyncarr prints where it was, and no values."""

    def broken(*arguments: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(shell, "encode_request", broken)
    done = watch.keep(watch.bench.loudly("provision", "--yes", "--verbose"))
    assert (done.code, done.host["result"]) == (70, "fault")
    assert done.err.count("Traceback") == 1
    assert "ZeroDivisionError" in done.err
    for secret in (watch.bench.password, PFX_PASSWORD):
        assert leaks(secret, watch.places) == []
