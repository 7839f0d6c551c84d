"""The real console script against a replayed host: every outcome, its exit code, its JSON and its sentences."""

from __future__ import annotations

import copy
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lyncarr.lab.replay.machine import Holder, Machine
from lyncarr.lab.wire.faults import Faults, every
from lyncarr.powershell.bundle import shipped
from lyncarr.steps import STEPS
from tests.lab.console import FARMS, Bench, wait_for
from tests.patience import HANG_S

pytestmark = pytest.mark.usefixtures("transport")

RULES = ["ssl-offload", "http-rules", "host-conditions"]


@pytest.fixture
def bench(tmp_path: Path) -> Any:
    with Bench(tmp_path) as made:
        yield made


# The whole way, and back to nothing to do.


def test_plan_provision_again_and_a_repair(bench: Bench) -> None:
    before = copy.deepcopy(bench.machine.states)
    planned = bench.json("plan")
    assert (planned.code, planned.host["result"]) == (2, "pending")
    assert bench.machine.states == before
    assert bench.machine.exchanges[0].request["lock"] is False
    assert bench.machine.holder is None

    applied = bench.json("provision", "--yes")
    assert (applied.code, applied.host["result"]) == (0, "applied")
    assert applied.host["steps"] == [
        {**step, "result": {"pending": "applied"}.get(step["result"], "in-place")} for step in planned.host["steps"]
    ]
    assert applied.host["backup"]["name"].startswith("lyncarr-")
    assert applied.host["backup"]["name"] in applied.host["backup"]["restore"]
    assert bench.writes[-1] == ["farms", "disk-cache", "proxy-timeout", *RULES]

    count = len(bench.writes)
    again = bench.json("provision", "--yes")
    assert (again.code, again.host["result"]) == (0, "in-place")
    assert set(again.words.values()) == {"in-place"}
    assert again.host["backup"] is None
    assert bench.json("plan").code == 0
    assert len(bench.writes) == count

    bench.machine.states["proxy-timeout"]["meet.contoso.com"]["timeout_s"] = 30
    drifted = bench.json("plan")
    change = {"item": "meet.contoso.com", "attribute": "timeout_s", "before": 30, "after": 900}
    assert [step["step"] for step in drifted.host["steps"] if step["changes"]] == ["proxy-timeout"]
    assert [step["changes"] for step in drifted.host["steps"] if step["changes"]] == [[change]]
    assert bench.json("provision", "--yes").words["proxy-timeout"] == "applied"
    assert bench.writes[count:] == [["proxy-timeout"]]
    assert bench.json("plan").code == 0


DRIFTS: list[tuple[str, str, str, Any, list[str]]] = [
    ("farms", "dialin.contoso.com", "enabled", False, ["farms"]),
    ("farms", "dialin.contoso.com", "servers", ["fepool.contoso.local", "stray"], ["farms"]),
    ("farms", "meet.contoso.com/fepool.contoso.local", "https_port", 443, ["farms"]),
    ("disk-cache", "meet.contoso.com", "enabled", True, ["disk-cache"]),
    ("ssl-offload", "rules", "order", [], RULES),
    ("ssl-offload", "ARR_meet.contoso.com_loadbalance_SSL", "enabled", False, RULES),
    ("http-rules", "meet.contoso.com", "extra_rules", ["ARR_meet.contoso.com_loadbalance"], RULES),
    ("host-conditions", "ARR_meet.contoso.com_loadbalance_SSL", "conditions", ["{HTTPS}=On"], RULES),
    ("iis", "W3SVC", "running", False, ["iis"]),
]


def test_each_broken_thing_is_found_and_mended_alone(bench: Bench) -> None:
    bench.finish()
    for step, item, attribute, value, unit in DRIFTS:
        bench.machine.states[step][item][attribute] = value
        found = bench.here("plan")
        assert {one["step"]: [(c["item"], c["attribute"]) for c in one["changes"]] for one in found.host["steps"] if one["changes"]} == {
            step: [(item, attribute)]
        }
        count = len(bench.writes)
        assert bench.here("provision", "--yes").code == 0
        assert bench.writes[count:] == [unit]
        assert bench.here("plan").code == 0


def test_a_plan_of_a_bare_server_is_complete_and_in_order(bench: Bench) -> None:
    done = bench.json("plan")
    assert [step["step"] for step in done.host["steps"]] == [step.name for step in STEPS]
    site = bench.site
    for step, told in zip(STEPS, done.host["steps"], strict=True):
        desired = json.loads(json.dumps(step.desired(site), default=dict))
        assert told["changes"] == [{"item": item, "attribute": None, "before": None, "after": want} for item, want in desired.items()]
    plan = next(event for event in done.events if event["event"] == "plan")
    assert plan["script_sha256"] == shipped().sha256


@pytest.mark.parametrize(
    ("words", "asked"), [(["proxy-timeout"], ["proxy-timeout"]), (["host-conditions"], RULES), (["iis", "farms"], ["iis", "farms"])]
)
def test_a_selected_step_pulls_in_nothing_but_its_unit(bench: Bench, words: list[str], asked: list[str]) -> None:
    done = bench.json("provision", "--yes", *(part for word in words for part in ("--step", word)))
    assert done.code == 0
    assert list(done.words) == asked
    assert {step["name"] for exchange in bench.machine.exchanges for step in exchange.request["steps"]} == set(asked)


def test_a_dry_run_is_a_plan(bench: Bench) -> None:
    dry, plan = bench.json("provision", "--dry-run"), bench.json("plan")
    assert (dry.code, dry.host) == (2, plan.host)
    assert bench.writes == []


@pytest.mark.parametrize("name", ["RP01", "Rp01"])
def test_a_host_is_found_in_any_letter_case(bench: Bench, name: str) -> None:
    done = subprocess.run(
        bench.command("plan", "--output", "json", host=name), cwd=bench.folder, env=bench.environment, capture_output=True
    )
    assert done.returncode == 2, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["hosts"] == {"rp01": "pending"}


def test_the_command_line_says_it_over_the_file(bench: Bench) -> None:
    (bench.folder / "elsewhere").mkdir()
    words = ["--address", bench.lab.address, "--user", bench.lab.user, "--port", str(bench.lab.https_port), "--auth", "ntlm"]
    trust = ["--tls", f"pin:sha256:{bench.lab.pin.lower()}", "--password-from", "file:secret", "--site", "../lyncarr.toml"]
    (bench.folder / "elsewhere" / "secret").write_text(bench.password)
    (bench.folder / "elsewhere" / "secret").chmod(0o600)
    done = subprocess.run(
        bench.command("plan", *words, *trust, host="other"),
        cwd=bench.folder / "elsewhere",
        env=bench.environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2, done.stderr


# A terminal.


def test_yes_applies_what_was_shown(bench: Bench) -> None:
    with bench.terminal("provision") as terminal:
        terminal.wait_for("Apply these changes to rp01? [y/N]")
        assert bench.machine.holder is None
        assert bench.lab.messages[-1].action == "Delete", "no shell is open while a question is on the screen"
        terminal.type("y\n")
        assert terminal.end() == 0
    assert terminal.text.count("proxy-timeout    2 changes") == 1
    assert "Apply complete on rp01 (" in terminal.text
    assert "https://dialin.contoso.com/" in terminal.text
    assert "public DNS" in terminal.text


@pytest.mark.parametrize("answer", ["n\n", "\n", "yes please\n", "\x04"])
def test_anything_but_yes_writes_nothing(bench: Bench, answer: str) -> None:
    with bench.terminal("provision") as terminal:
        terminal.wait_for("[y/N]")
        terminal.type(answer)
        assert terminal.end() == 2
    assert bench.writes == []
    assert "Nothing was written." in " ".join(terminal.text.split())


def test_ctrl_c_at_the_question_writes_nothing(bench: Bench) -> None:
    with bench.terminal("provision") as terminal:
        terminal.wait_for("[y/N]")
        terminal.type("\x03")
        assert terminal.end() == 130
    assert bench.writes == []
    assert "Interrupted" in terminal.text
    assert "again to stop" not in terminal.text
    assert "Traceback" not in terminal.text


def test_a_host_that_changed_at_the_question_is_left_alone_and_the_new_plan_shown(bench: Bench) -> None:
    bench.finish().machine.states["proxy-timeout"]["meet.contoso.com"]["timeout_s"] = 30
    with bench.terminal("provision") as terminal:
        terminal.wait_for("[y/N]")
        bench.machine.states["proxy-timeout"]["meet.contoso.com"]["timeout_s"] = 31
        terminal.type("y\n")
        assert terminal.end() == 2
    assert bench.writes == []
    assert "timeout 31 s -> 900 s" in terminal.text
    assert "changed after the plan was shown" in terminal.text


def test_a_password_is_asked_for_and_not_shown(bench: Bench) -> None:
    with bench.terminal("plan", "--password-from", "prompt") as terminal:
        terminal.wait_for("The password of Administrator on rp01: ")
        terminal.type(f"{bench.password}\n")
        assert terminal.end() == 2
    assert bench.password not in terminal.seen


@pytest.mark.parametrize(("typed", "code"), [("\x03", 130), ("\x04", 78), ("\n", 78)])
def test_no_password_no_contact(bench: Bench, typed: str, code: int) -> None:
    with bench.terminal("provision", "--yes", "--password-from", "prompt") as terminal:
        terminal.wait_for("The password")
        terminal.type(typed)
        assert terminal.end() == code
    assert bench.lab.connections == 0
    assert "Traceback" not in terminal.text


def test_a_terminated_question_is_an_interrupted_one(bench: Bench) -> None:
    with bench.terminal("plan", "--password-from", "prompt") as terminal:
        terminal.wait_for("The password")
        terminal.process.terminate()
        assert terminal.end() == 130
    assert bench.lab.connections == 0


def test_what_takes_long_is_told_with_its_seconds(bench: Bench) -> None:
    bench.finish().machine.states["iis"] = {}
    bench.machine.faults.pause_s = 2.6
    with bench.terminal("provision", "--yes") as terminal:
        assert terminal.end() == 0
    assert "rp01: applying iis (2 s)" in terminal.text


def test_on_a_terminal_the_plan_goes_where_standard_output_goes(bench: Bench) -> None:
    """And not to standard error with what happens now."""
    out = bench.folder / "plan.txt"
    command = bench.command("plan")
    script = f'exec "$0" "$@" > {out}'
    with bench.terminal("plan") as terminal:
        assert terminal.end() == 2
    from tests.lab.terminal import Terminal

    with Terminal(["/bin/sh", "-c", script, *command], bench.folder, bench.environment | {"TERM": "xterm"}, 80) as terminal:
        assert terminal.end() == 2
    assert "proxy-timeout    2 changes" in out.read_text()
    assert "rp01 is RP01" in out.read_text()
    assert "changes" not in terminal.text
    assert "\x1b" not in out.read_text()


# Every outcome that is neither in place nor pending.


Prepare = Callable[[Bench], None]


def _faults(**values: Any) -> Prepare:
    return lambda bench: bench.faults.__dict__.update(values)


def _machine(**values: Any) -> Prepare:
    return lambda bench: bench.machine.__dict__.update(values)


def _machine_faults(**values: Any) -> Prepare:
    return lambda bench: bench.machine.faults.__dict__.update(values)


HOLDER = Holder("anna@admin01", "2026-11-20T06:00:00Z")
OUTCOMES: dict[str, tuple[Prepare, list[str], int, str, str]] = {
    "busy": (_machine(holder=HOLDER), ["provision", "--yes"], 75, "busy", "held by anna@admin01 since 2026-11-20T06:00:00Z"),
    "wrong password": (_faults(refuse_authentication=True), ["plan"], 77, "refused", "basic"),
    "32 bits": (_machine(bits=32), ["plan"], 77, "refused", "32-bit"),
    "too old": (_machine(build=9200), ["plan"], 77, "refused", "2012 R2"),
    "old PowerShell": (_machine(powershell="3.0"), ["plan"], 77, "refused", "PowerShell 3.0"),
    "not elevated": (_machine(elevated=False), ["plan"], 77, "refused", "not elevated"),
    "shared configuration": (_machine(shared_configuration=True), ["plan"], 77, "refused", "shared configuration"),
    "pending restart": (_machine(pending_reboot=True), ["provision", "--yes"], 77, "refused", "has a pending restart"),
    "restart needed": (_machine_faults(reboot_after=frozenset({"iis"})), ["provision", "--yes"], 3, "reboot-needed", "iis"),
    "a step fails": (_machine_faults(fail={"arr": ("installer", "it broke")}), ["provision", "--yes"], 1, "failed", "Step arr: it broke."),
    "a prerequisite is absent": (
        _machine_faults(fail={"proxy-timeout": ("needs", "needs step farms: the farm 'dialin.contoso.com' does not exist on this host")}),
        ["provision", "--yes", "--step", "proxy-timeout"], 1, "failed", "needs step farms",
    ),
    "a Set that lies": (_machine_faults(lying=frozenset({"farms"})), ["provision", "--yes"], 1, "failed", "lyncarr plan with --step farms"),
    "locked configuration": (_machine_faults(locked=True), ["provision", "--yes"], 1, "failed", "another process holds it"),
    "captive portal": (_faults(html=every()), ["plan"], 76, "untrusted", "not a WinRM endpoint"),
    "redirect": (_faults(redirect=every("requests")), ["plan"], 76, "untrusted", "redirect"),
    "compression": (_faults(gzip=every()), ["plan"], 76, "untrusted", "gzip"),
    "replayed answer": (_faults(wrong_relates_to=every()), ["plan"], 76, "untrusted", "another message"),
}  # fmt: skip
PROMPT: tuple[Prepare, list[str], int, str, str] = (_faults(host_call=every()), ["plan"], 76, "untrusted", "prompt")


@pytest.mark.parametrize("transport", ["psrp"], indirect=True)
def test_a_prompt_from_the_host(tmp_path: Path) -> None:
    """WinRS has no such thing."""
    _outcome(tmp_path, PROMPT)


@pytest.mark.parametrize("name", OUTCOMES)
def test_outcomes(tmp_path: Path, name: str) -> None:
    _outcome(tmp_path, OUTCOMES[name])


def _outcome(tmp_path: Path, case: tuple[Prepare, list[str], int, str, str]) -> None:
    prepare, words, code, result, said = case
    for form in ("json", "text"):
        (tmp_path / form).mkdir()
        with Bench(tmp_path / form) as bench:
            prepare(bench)
            done = bench.here(*words) if form == "json" else bench.run(*words)
            assert done.code == code, done.err
            assert said in (done.out + done.err if form == "text" else json.dumps(done.host))
            if form == "json":
                assert done.host["result"] == result
                assert (done.host["error"] is None) == (code == 3)
            if code != 3:
                assert len([line for line in done.err.splitlines() if line.startswith("error: ")]) == 1
            if result in ("busy", "refused", "untrusted"):
                assert bench.machine.states == {}
                assert bench.writes == []


def test_an_untrusted_certificate_stops_before_any_request_and_prints_the_pin(bench: Bench) -> None:
    done = bench.json("plan", "--tls", "verify")
    assert (done.code, done.host["result"], done.host["error"]["code"]) == (77, "refused", "untrusted")
    assert f'tls = "pin:sha256:{bench.lab.pin}"' in done.err
    assert done.err.endswith(f'tls = "pin:sha256:{bench.lab.pin}"\n')
    assert bench.lab.requests == []


def test_a_refused_log_on_sends_to_doctor_and_a_later_refusal_does_not(bench: Bench) -> None:
    bench.faults.refuse_after = 5
    done = bench.json("provision", "--yes")
    assert (done.code, "doctor" in done.err) == (77, False)
    bench.faults.refuse_authentication = True
    done = bench.json("plan")
    assert done.code == 77
    assert done.err.endswith("hint: To check the connection, run:\n  lyncarr doctor --host rp01\n")


def test_nobody_there(bench: Bench) -> None:
    done = bench.json("plan", "--port", "1", "--timeout", "1")
    assert (done.code, done.host["result"]) == (69, "unreachable")
    assert done.err.endswith("hint: To check the connection, run:\n  lyncarr doctor --host rp01 --port 1\n")
    assert not done.host["error"]["message"].endswith("in the way.")
    text = bench.run("plan", "--port", "1", "--timeout", "1")
    assert text.code == 69
    assert "farms" not in text.out, "steps that nobody looked at are not worth a line"


def test_a_plan_ends_in_its_time(bench: Bench) -> None:
    bench.faults.latency_s = 0.9
    done = bench.json("plan", "--timeout", "1")
    assert (done.code, done.host["result"]) == (69, "unreachable")


def test_a_failure_in_the_middle_and_the_next_run_goes_on(bench: Bench) -> None:
    bench.more = ""
    bench.machine.faults.fail = {"arr": ("installer", "msiexec ended with 1603")}
    done = bench.json("provision", "--yes")
    assert done.words["iis"] == "applied"
    assert done.words["arr"] == "failed"
    assert {done.words[name] for name in ("farms", "proxy-timeout", *RULES)} == {"skipped"}
    text = bench.run("provision", "--yes")
    assert re.search(r"\[\d/\d\] arr              failed", text.out)
    assert re.search(r"\] farms            skipped", text.out)
    bench.machine.faults.fail = {}
    count = len(bench.writes)
    assert bench.json("provision", "--yes").code == 0
    assert ["iis"] not in bench.writes[count:]


def test_a_restart_and_the_next_run_goes_on(bench: Bench) -> None:
    bench.machine.faults.reboot_after = frozenset({"iis"})
    done = bench.json("provision", "--yes")
    assert (done.code, done.words["iis"], done.words["arr"]) == (3, "reboot-needed", "skipped")
    assert done.host["error"] is None
    bench.machine.restart()
    bench.machine.faults.reboot_after = frozenset()
    assert bench.json("provision", "--yes").code == 0
    assert bench.writes.count(["iis"]) == 1


def test_a_plan_notes_who_holds_the_host(bench: Bench) -> None:
    bench.machine.holder = HOLDER
    done = bench.run("plan")
    assert done.code == 2
    assert "note: the host is held by anna@admin01 since 2026-11-20T06:00:00Z" in done.out


def test_a_foreign_rule_is_told_and_one_that_takes_our_requests_stops_the_run(bench: Bench) -> None:
    note = {
        "step": "ssl-offload",
        "kind": "foreign-rule",
        "item": "Old",
        "text": "the global rule 'Old' comes before the rules of lyncarr and takes all requests for meet.contoso.com",
    }
    bench.finish().machine.notes = [note]
    assert note in bench.json("provision", "--yes").host["notes"]
    bench.machine.states["ssl-offload"]["rules"]["taken_by"] = ["Old"]
    for words in (["plan"], ["provision", "--yes"]):
        done = bench.json(*words)
        assert (done.code, done.words["ssl-offload"]) == (1, "failed")
        assert "'Old' comes before the rules of lyncarr" in done.err
    assert bench.writes == []


def test_what_happens_while_applying_is_told_too(bench: Bench) -> None:
    bench.machine.faults.changed_on_disk = 2
    done = bench.run("provision", "--yes", "--step", "proxy-timeout")
    assert done.out.count("note: another program changed or locked applicationHost.config") == 1


def test_warnings_of_the_site_stand_in_every_report(tmp_path: Path) -> None:
    loop = '[[farms]]\nname = "meet.contoso.com"\nservers = ["meet.contoso.com"]\n'
    with Bench(tmp_path, farms=loop) as bench:
        text, told = bench.run("plan"), bench.json("plan")
    assert "warning: " in text.err
    assert "warning: " in told.err
    warnings = [note["text"] for note in told.host["notes"] if note["kind"] == "warning"]
    assert len(warnings) == 1
    assert warnings[0] in text.err


def test_verbose_tells_the_cause_the_script_and_the_cost(bench: Bench) -> None:
    done = bench.run("plan", "--verbose")
    record = bench.lab.requests
    assert all(f"SHA-256 {digest}" in done.err for digest in shipped().sha256.values())
    assert f"on the wire: {len(record)} requests over 1 connections, {sum(one.bytes_up for one in record):,} bytes up" in done.err
    assert "cause: " in bench.run("plan", "--verbose", "--port", "1", "--timeout", "1").err
    assert "cause: " not in bench.run("plan", "--port", "1", "--timeout", "1").err


# Errors of this side: nothing on standard output, nobody contacted.


LOCAL: list[tuple[list[str], int, str]] = [
    (["plan", "--step", "proxy-timout"], 64, "Did you mean 'proxy-timeout'?"),
    (["provision"], 64, "--yes"),
    (["plan", "--auth", "basic", "--tls", "off"], 64, "requires TLS"),
    (["plan", "--site", "nowhere.toml"], 65, "nowhere.toml"),
    (["plan", "--tls", "ca:nowhere.pem"], 65, "nowhere.pem"),
    (["plan", "--password-from", "env:NO_SUCH_VARIABLE"], 78, "NO_SUCH_VARIABLE"),
    (["plan", "--password-from", "prompt"], 78, "no terminal"),
]


@pytest.mark.parametrize(("words", "code", "said"), LOCAL, ids=[" ".join(words) for words, _, _ in LOCAL])
def test_errors_of_this_side(bench: Bench, words: list[str], code: int, said: str) -> None:
    done = bench.json(*words)
    assert (done.code, done.out) == (code, "")
    assert said in done.err
    assert [line.split(":")[0] for line in done.err.splitlines()] in (["error"], ["error", "hint"])
    assert bench.lab.connections == 0


def test_an_unknown_host_names_those_of_the_file(bench: Bench) -> None:
    done = subprocess.run(bench.command("plan", host="rp1"), cwd=bench.folder, env=bench.environment, capture_output=True, text=True)
    assert done.returncode == 64
    assert "rp01" in done.stderr
    assert done.stdout == ""


# Where output goes wrong.


def test_a_reader_that_goes_away_does_not_stop_a_run(bench: Bench) -> None:
    process = bench.start("provision", "--yes")
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr is not None
    said = process.stderr.read()
    assert process.wait(timeout=HANG_S) == 0
    assert bench.json("plan").code == 0
    assert "Traceback" not in said
    assert "BrokenPipe" not in said


def test_a_closed_or_full_standard_output_does_not_stop_a_run(bench: Bench) -> None:
    command = bench.command("provision", "--yes", "--output", "json")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, cwd=bench.folder, env=bench.environment, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0
    assert done.stderr.count("\n") == 1
    assert "Standard output is incomplete" in done.stderr
    closed = subprocess.run(
        ["/bin/sh", "-c", '"$0" "$@" >&-', *command], cwd=bench.folder, env=bench.environment, stderr=subprocess.PIPE, text=True
    )
    assert (closed.returncode, closed.stderr) == (0, "")


def test_a_console_of_ascii_shows_everything(bench: Bench) -> None:
    bench.machine.os = "Windows Server 2012 R2 – Édition \U0001f600"
    for words in (["plan"], ["provision", "--yes"]):
        done = bench.run(*words, PYTHONIOENCODING="ascii", PYTHONUTF8="0", LANG="C", LC_ALL="C")
        assert done.code in (0, 2), done.err
        assert "\\xc9dition" in done.out
        assert done.out.isascii()


@pytest.mark.parametrize(
    "words", [["--help"], ["plan", "--help"], ["provision", "--help"], ["lab", "--help"], ["steps"], ["explain", "farms"]]
)
def test_help_on_a_console_of_ascii(words: list[str], tmp_path: Path) -> None:
    env = {"PATH": "/usr/bin:/bin", "PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONUTF8": "0"}
    done = subprocess.run([sys.executable, "-m", "lyncarr", *words], cwd=tmp_path, env=env, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii()
    assert b"\\u25" not in done.stdout, "no escaped boxes"


def test_help_to_a_reader_that_goes_away(tmp_path: Path) -> None:
    line = f"{sys.executable} -m lyncarr --help | head -n 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["/bin/bash", "-c", line], cwd=tmp_path, capture_output=True, text=True, env={"PATH": os.environ["PATH"]})
    assert (done.returncode, done.stderr) == (0, "")


# What a hostile host says is shown, and does nothing.


HOSTILE_TEXT = "\x1b]0;pwn\x07\x1b[2J[bold red]\u202egnp.exe\r\nerror: all is well [link=file:///etc/passwd]x[/link]"


@pytest.mark.parametrize("where", ["failed", "busy", "note", "state", "computer", "item"])
def test_text_of_a_hostile_host_is_harmless(bench: Bench, where: str) -> None:
    machine = bench.finish().machine
    machine.states["iis"] = {}
    words = ["provision", "--yes"]
    if where == "failed":
        machine.faults.fail = {"iis": ("error", HOSTILE_TEXT)}
    elif where == "busy":
        machine.holder = Holder(HOSTILE_TEXT, "x" * 10_000)
    elif where == "note":
        machine.notes = [{"step": None, "kind": "version", "text": HOSTILE_TEXT}] * 3 + [
            {"step": None, "kind": "version", "text": "y" * 500_000}
        ]
    elif where == "state":
        machine.states["proxy-timeout"]["meet.contoso.com"]["timeout_s"] = HOSTILE_TEXT
        machine.states["farms"]["meet.contoso.com"]["servers"] = [HOSTILE_TEXT] * 5_000
    elif where == "computer":
        machine.computer = HOSTILE_TEXT
    else:
        machine.states["farms"][HOSTILE_TEXT] = {HOSTILE_TEXT: HOSTILE_TEXT}
    done = bench.run(*words)
    assert done.code in (0, 1, 75)
    assert "\nerror: all is well" not in done.out + done.err
    assert len(done.out + done.err) < 20_000
    if where in ("note", "failed", "state", "computer", "busy"):
        assert "[bold red]" in done.out + done.err, "shown as it is"


NOTE = '{"event":"note","step":null,"kind":"version","item":null,"text":"TEXT"}'
REWRITES: dict[str, Callable[[list[str]], list[Any]]] = {
    "200,000 events": lambda lines: [lines[0], *["\n".join([NOTE.replace("TEXT", "")] * 10_000)] * 20],
    "10 MB string": lambda lines: [NOTE.replace("TEXT", "x" * 10_000_000)],
    "many notes": lambda lines: [lines[0], *(NOTE.replace("TEXT", str(n)) for n in range(2_000))],
    "no done": lambda lines: ["\n".join(lines[:-1])],
    "two done": lambda lines: ["\n".join([*lines, lines[-1]])],
    "wrong type": lambda lines: [line.replace('"bits":64', '"bits":"64"') for line in lines],
    "unknown step": lambda lines: [lines[0], '{"event":"applying","step":"format-disk"}', *lines[1:]],
    "not text": lambda lines: [{"event": "hello"}],
    "control characters": lambda lines: [HOSTILE_TEXT],
    "another protocol": lambda lines: [line.replace('"protocol":1', '"protocol":2') for line in lines],
}


@pytest.mark.parametrize("name", REWRITES)
def test_a_host_that_breaks_the_contract(bench: Bench, name: str) -> None:
    bench.machine.faults.rewrite = REWRITES[name]
    done = bench.here("provision", "--yes")
    assert (done.code, done.host["result"]) == (76, "untrusted"), done.err
    assert [line.split(":")[0] for line in done.err.splitlines()] in (["error"], ["error", "hint"])
    assert bench.writes == []


def test_another_computer_in_the_middle_of_a_run(bench: Bench) -> None:
    machine = bench.machine
    machine.faults.rewrite = lambda lines: (setattr(machine, "computer", "EVIL"), ["\n".join(lines)])[1]
    done = bench.json("provision", "--yes")
    assert (done.code, done.host["result"]) == (76, "untrusted")
    assert bench.writes == [["iis"], ["arr"]]


def test_events_stand_in_the_json_as_they_happen(bench: Bench) -> None:
    bench.finish().machine.states["iis"] = {}
    bench.machine.faults.pause_s = 3.0
    process = bench.start("provision", "--yes", "--output", "json")
    seen = wait_for(process.stdout, '"applying"')
    assert process.poll() is None
    rest = process.communicate(timeout=HANG_S)[0]
    names = [json.loads(line)["event"] for line in (seen + rest).splitlines()]
    assert names == ["connecting", "hello", "plan", "applying", "connecting", "hello", "host", "summary"]


def test_the_site_of_five_names_and_its_urls(tmp_path: Path) -> None:
    more = '[website]\nhttps = "*:8443:"\n'
    with Bench(tmp_path, more=more, machine=Machine(), faults=Faults(), farms=FARMS) as bench:
        done = bench.run("provision", "--yes")
    assert "https://meet.contoso.com:8443/" in done.out


def test_the_http_policy_of_a_farm(tmp_path: Path) -> None:
    """Forwarded without TLS alone, and then no more: what the site file says is found, written, and seen in place."""
    name = "lyncdiscover.contoso.com"
    farm = f'[[farms]]\nname = "{name}"\nservers = ["fepool.contoso.local"]\n'
    with Bench(tmp_path, machine=Machine(), faults=Faults(), farms=f'{farm}http = "forward"\nhttps = false\n') as bench:
        done = bench.run("provision", "--yes")
        assert done.code == 0
        assert f"http://{name}/" in done.out
        assert bench.json("plan").code == 0
        assert f"ARR_{name}_loadbalance" in bench.machine.states["http-rules"]
        assert bench.machine.states["ssl-offload"] == {}
