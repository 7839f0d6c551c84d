"""lyncarr as a process of its own against a lab that is another process: the whole way, with each transport and each kind of trust.

The lab runs on the same system; or it runs on another one, and $LYNCARR_OTHER_LAB names its folder. The runner of tools/windows_python
sets that: lyncarr runs on a Windows Python then, and the lab on Linux.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.patience import HANG_S
from tests.platforms import plain_environment

OTHER = "LYNCARR_OTHER_LAB"
READY = "lab.json"
"""What the lab printed with --output json, in its folder."""


@dataclass
class OtherLab:
    folder: Path

    @property
    def ready(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / READY).read_text("utf-8"))
        return found

    def drift(self) -> None:
        """Somebody else changes the proxy's time-out on the host, which the lab reads anew with each request."""
        path = self.folder / "state.json"
        state = json.loads(path.read_text("utf-8"))
        item = next(iter(state["proxy-timeout"].values()))
        assert "timeout_s" in item, item
        item["timeout_s"] = 30
        path.write_text(json.dumps(state), "utf-8")


@pytest.fixture(scope="module")
def other_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OtherLab]:
    named = os.environ.get(OTHER)
    if named:
        yield OtherLab(Path(named))
        return
    folder = tmp_path_factory.mktemp("other-lab")
    command = [sys.executable, "-m", "lyncarr", "lab", "--folder", str(folder), "--output", "json"]
    with subprocess.Popen(command, env=plain_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as lab:
        try:
            assert lab.stdout is not None
            (folder / READY).write_text(lab.stdout.readline(), "utf-8")
            yield OtherLab(folder)
        finally:
            lab.terminate()


def lyncarr(lab: OtherLab, command: str, *words: str, expect: int) -> list[dict[str, Any]]:
    """The JSON lines of one command. It runs in another folder than the site file's, and that has a name with spaces."""
    done = subprocess.run(
        [sys.executable, "-m", "lyncarr", command, "--site", str(lab.folder / "lyncarr.toml"), *words, "--output", "json"],
        env=plain_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=HANG_S,
        check=False,
    )
    assert done.returncode == expect, f"{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def result(events: list[dict[str, Any]]) -> str:
    found: str = next(event["result"] for event in events if event["event"] == "host")
    return found


WAYS = [
    ("ca-negotiate", "psrp"),
    ("pin-ntlm", "psrp"),
    ("pin-basic", "psrp"),
    ("off-negotiate", "psrp"),
    ("pin-negotiate", "winrs"),
    ("off-ntlm", "winrs"),
]
"""Each kind of trust, logon and transport. Not each with each: on Wine a command takes three seconds."""


def options(lab: OtherLab, way: str, transport: str) -> list[str]:
    trust, auth = way.split("-")
    ready = lab.ready
    tls = {"ca": f"ca:{lab.folder / 'ca.pem'}", "pin": f"pin:sha256:{ready['pin']}", "off": "off"}[trust]
    port = ready["http_port" if trust == "off" else "https_port"]
    return ["--tls", tls, "--port", str(port), "--auth", auth, "--transport", transport]


@pytest.mark.parametrize(("way", "transport"), WAYS)
def test_the_whole_way(other_lab: OtherLab, way: str, transport: str) -> None:
    words = options(other_lab, way, transport)
    first = lyncarr(other_lab, "doctor", *words, expect=0)
    assert {event["result"] for event in first if event["event"] == "finding"} <= {"ok", "skipped"}
    if result(lyncarr(other_lab, "provision", "--yes", *words, expect=0)) != "applied":
        # An earlier way has made the host.
        other_lab.drift()
        assert result(lyncarr(other_lab, "plan", *words, expect=2)) == "pending"
        assert result(lyncarr(other_lab, "provision", "--yes", *words, expect=0)) == "applied"
    assert result(lyncarr(other_lab, "plan", *words, expect=0)) == "in-place"


def test_another_certificate_is_refused_and_nothing_is_sent(other_lab: OtherLab) -> None:
    words = [*options(other_lab, "pin-ntlm", "psrp"), "--tls", f"pin:sha256:{'0' * 64}"]
    lyncarr(other_lab, "plan", *words, expect=77)


def test_a_wrong_password_is_refused(other_lab: OtherLab, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong password.txt"
    wrong.write_bytes(b"wrong\r\n")
    wrong.chmod(0o600)
    lyncarr(other_lab, "plan", *options(other_lab, "off-ntlm", "psrp"), "--password-from", f"file:{wrong}", expect=77)
