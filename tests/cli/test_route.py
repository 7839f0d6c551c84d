"""lyncarr route: offline, with a copy of applicationHost.config."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.patience import HANG_S
from tests.platforms import plain_environment

RECORDED = Path(__file__).parents[1] / "compatibility" / "0.1.0" / "applicationHost.config"


def route(*words: str, config: Path | None = RECORDED, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lyncarr", "route", *words, *(["--config", str(config)] if config else [])],
        cwd=cwd,
        env=plain_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=HANG_S,
        check=False,
    )


def test_each_url_has_its_outcome_and_its_trace(tmp_path: Path) -> None:
    done = route("https://dialin.contoso.com/conf?x=1", "http://dialin.contoso.com/", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(
        "https://dialin.contoso.com/conf?x=1\n"
        "  goes to server farm dialin.contoso.com, server https://fepool.contoso.local:4443, as https://dialin.contoso.com/conf?x=1\n"
        "  rule: ARR_dialin.contoso.com_loadbalance_SSL\n"
    )
    assert "  is answered by the web site of the host, as http://dialin.contoso.com/\n" in done.stdout
    assert "    ARR_meet.contoso.com_loadbalance_SSL: does not apply: {HTTPS} is 'off', which does not match 'On'\n" in done.stdout


def test_json_has_one_line_for_each_url(tmp_path: Path) -> None:
    done = route("https://meet.contoso.com/", "https://other.example/", "--output", "json", cwd=tmp_path)
    first, second = map(json.loads, done.stdout.splitlines())
    trace = first.pop("trace")
    assert first == {
        "schema": 1,
        "event": "route",
        "request": "https://meet.contoso.com/",
        "outcome": "farm",
        "rule": "ARR_meet.contoso.com_loadbalance_SSL",
        "farm": "meet.contoso.com",
        "server": "https://fepool.contoso.local:4443",
        "url": "https://meet.contoso.com/",
        "status": None,
        "reason": "",
    }
    assert [entry["matched"] for entry in trace] == [False, True]
    assert (second["outcome"], second["rule"], second["farm"]) == ("site", None, None)


def test_an_unknown_outcome_is_exit_code_1_and_text_of_the_file_cannot_write_to_a_terminal(tmp_path: Path) -> None:
    config = tmp_path / "my copy.config"
    config.write_text(
        "<configuration><system.webServer><rewrite><globalRules>"
        '<rule name="&#x9b;31mevil" stopProcessing="true"><match url=".*"/><conditions>'
        '<add input="{REMOTE_ADDR}" pattern="^10"/></conditions><action type="Rewrite" url="/x"/></rule>'
        "</globalRules></rewrite></system.webServer></configuration>",
        encoding="utf-8",
    )
    done = route("https://dialin.contoso.com/", config=config, cwd=tmp_path)
    assert done.returncode == 1
    assert "\x9b" not in done.stdout
    assert "is unknown: whether rule " in done.stdout
    assert "depends on the value of {REMOTE_ADDR}" in done.stdout


@pytest.mark.parametrize(
    ("words", "content", "code", "text"),
    [
        (["ftp://dialin.contoso.com/"], None, 64, "is not a URL that can be evaluated"),
        (["https://"], None, 64, "has no host name"),
        (["https://dialin.contoso.com:x/"], None, 64, "is not a URL that can be evaluated"),
        (["https://dialin.contoso.com/"], b"<configuration>", 65, "it is not valid XML"),
        (["https://dialin.contoso.com/"], b"", 65, "is empty"),
        (["https://dialin.contoso.com/"], b"\xff\xff", 65, "neither UTF-8 nor UTF-16"),
    ],
)
def test_bad_input_is_one_sentence(words: list[str], content: bytes | None, code: int, text: str, tmp_path: Path) -> None:
    config = RECORDED
    if content is not None:
        config = tmp_path / "applicationHost.config"
        config.write_bytes(content)
    done = route(*words, config=config, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (code, "")
    assert text in done.stderr
    assert "Traceback" not in done.stderr


def test_a_configuration_is_required(tmp_path: Path) -> None:
    assert route("https://dialin.contoso.com/", config=None, cwd=tmp_path).returncode == 64
