"""A plan as people read it: names and units, removals, similar items folded, and forty names within two screens."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from lyncarr.core.model import Attribute, Change, State, Step
from lyncarr.core.outcome import HostResult, Note, StepResult
from lyncarr.core.plan import Plan, make_plan
from lyncarr.materials.prepare import Prepared, prepare
from lyncarr.report.console import ConsoleReport
from lyncarr.report.names import affected, owners, published_names, rows_by_name
from lyncarr.report.plan import rows_by_step, summary
from lyncarr.report.text import change_rows, value, wrapped
from lyncarr.steps import STEPS
from tests.lab.console import Bench
from tests.sites import site_of

LABELS = ("dialin", "meet", "lyncdiscover", "lyncwebext")
SCREEN = 40
COLUMNS = 80
HELLO = {"computer": "RP01", "os": "Windows Server 2012 R2 Standard", "powershell": "4.0"}


def forty_names(folder: Path) -> Prepared:
    """Ten SIP domains with four names each, one of them with settings of its own."""
    farms: list[dict[str, Any]] = [
        {"name": f"{label}.{domain}", "servers": ["fepool.contoso.local"]}
        for domain in ("contoso.com", *(f"subsidiary-{number}.fabrikam.com" for number in range(9)))
        for label in LABELS
    ]
    farms[7] |= {"timeout_s": 600, "http": "redirect"}
    site = prepare(site_of(farms, folder), None)
    issuers = tuple(SimpleNamespace(label=f"{name} (1234ABCD)", store="CA", thumbprint="AB" * 20) for name in ("Root 1", "Root 2"))
    public = SimpleNamespace(thumbprint="CD" * 20, intermediates=issuers)
    return replace(site, roots=issuers, public=public)  # type: ignore[arg-type]


@pytest.fixture
def site(tmp_path: Path) -> Prepared:
    return forty_names(tmp_path)


def plan_of(site: Prepared, observed: Mapping[str, State] | None = None) -> Plan:
    desired = {step.name: step.desired(site) for step in STEPS}
    return make_plan(STEPS, desired, observed if observed is not None else {name: {} for name in desired})


def shown(site: Prepared, plan: Plan, *, columns: int = COLUMNS, **options: Any) -> list[str]:
    """The lines of a plan on a terminal."""
    out = io.StringIO()
    console = Console(file=out, width=columns, force_terminal=True, color_system=None, highlight=False)
    report = ConsoleReport(
        console, Console(file=io.StringIO()), names=published_names(site), next_command="lyncarr provision --host rp01", **options
    )
    report.event("rp01", "hello", HELLO)
    report.event("rp01", "plan", {"plan": plan, "notes": [Note("restart", "IIS restarts once")]})
    result = "pending" if plan.pending else "in-place"
    steps = [StepResult(step.step, "pending" if step.changes else "in-place", step.changes) for step in plan.steps]
    report.finish(HostResult("rp01", result, 2, steps, computer="RP01", plan=plan))  # type: ignore[arg-type]
    return out.getvalue().splitlines()


@pytest.mark.parametrize("columns", [60, 80, 132])
@pytest.mark.parametrize("options", [{}, {"full": True}, {"by_name": True}, {"by_name": True, "full": True}])
def test_no_line_is_longer_than_the_terminal(site: Prepared, columns: int, options: dict[str, Any]) -> None:
    assert max(map(len, shown(site, plan_of(site), columns=columns, **options))) <= columns


def test_a_bare_server_with_forty_names_fits_into_two_screens(site: Prepared) -> None:
    plan = plan_of(site)
    assert all(step.changes for step in plan.steps), "all 11 steps"
    lines = shown(site, plan)
    assert len(lines) <= 2 * SCREEN
    assert all(any(line.startswith(f"  {step.name} ") for line in lines) for step in STEPS)
    assert lines[-1] == summary(plan_of(site))
    assert lines[-1].startswith("Plan: ")
    assert lines[-1].endswith(" steps. IIS restarts once.")


def test_what_differs_in_more_than_its_name_is_never_folded(site: Prepared) -> None:
    lines = shown(site, plan_of(site))
    special = "lyncwebext.subsidiary-0.fabrikam.com"
    assert any(special in line and "600" in line for line in lines), "another timeout"
    assert any(f"lyncarr_{special}_redirect" in line for line in lines), "a rule that no other name has"


def test_verbose_shows_every_item(site: Prepared) -> None:
    plan = plan_of(site)
    text = "\n".join(shown(site, plan, full=True))
    assert "more like this" not in text
    for step in plan.steps:
        for change in step.changes:
            assert f"+ {change.item}" in text


def test_changes_and_removals_are_never_folded(site: Prepared) -> None:
    observed: dict[str, Any] = {step.name: dict(step.desired(site)) for step in STEPS}
    observed["proxy-timeout"] = {name: {"timeout_s": 30} for name in observed["proxy-timeout"]}
    observed["http-rules"] |= {farm.name: {"extra_rules": ("Old",)} for farm in site.farms}
    rows = list(rows_by_step(plan_of(site, observed), owners(published_names(site)), full=False))
    assert sum(row.kind == "~" for row in rows) == len(site.farms)
    assert sum(row.kind == "-" for row in rows) == len(site.farms)


def test_by_name_a_new_name_is_one_line_and_the_host_stands_by_itself(site: Prepared) -> None:
    rows = list(rows_by_name(plan_of(site), published_names(site), full=False))
    texts = [wrapped(row.line, 200, row.indent) for row in rows]
    assert "  + meet.contoso.com -> fepool.contoso.local:4443, 900 s, rule meet.contoso.com" in texts
    assert texts[0] == "Host-wide:"
    below = texts[texts.index("Published names:") + 1 :]
    assert len(below) == len(site.farms)
    assert "600 s" in below[7]
    assert "HTTP redirected to HTTPS" in below[7]


def test_by_name_a_changed_name_has_its_changes_below_it(tmp_path: Path) -> None:
    farms = [{"name": name, "servers": ["fepool.contoso.local"]} for name in ("meet.contoso.com", "dialin.contoso.com")]
    site = prepare(site_of(farms, tmp_path), None)
    observed: dict[str, Any] = {step.name: dict(step.desired(site)) for step in STEPS}
    observed["proxy-timeout"]["meet.contoso.com"] = {"timeout_s": 30}
    observed["http-rules"]["meet.contoso.com"] = {"extra_rules": ("Old",)}
    lines = shown(site, plan_of(site, observed), by_name=True)
    at = lines.index("  ~ meet.contoso.com")
    assert lines[at + 1 : at + 3] == ["      ~ timeout 30 s -> 900 s", "      - rule Old"]
    assert "  unchanged: dialin.contoso.com" in lines
    assert "Host-wide:" not in lines


def test_no_changes_is_one_sentence(site: Prepared) -> None:
    lines = shown(site, plan_of(site, {step.name: step.desired(site) for step in STEPS}))
    assert lines[-1] == "No changes. rp01 (RP01) matches the configuration file."
    assert not any("unchanged" in line for line in lines)


def test_which_names_a_change_touches(site: Prepared) -> None:
    names = published_names(site)
    meet = "meet.contoso.com"
    for item in (meet, f"{meet}/fepool.contoso.local", f"ARR_{meet}_loadbalance_SSL"):
        assert [published.name for published in affected(names, [item])] == [meet]
    assert len(affected(names, ["W3SVC"])) == len(names), "the service answers for every name"
    assert affected(names, []) == ()


# Single changes.

TIMEOUT = {"timeout_s": Attribute("timeout", unit="s")}
SERVERS = {"servers": Attribute("servers", entry="server")}
EXTRA = {"extra_rules": Attribute("extra rules", quiet=(), entry="rule")}


def lines_of(change: Change, attributes: Mapping[str, Attribute] = {}, **options: Any) -> list[str]:
    return [row.line.replace("\N{NO-BREAK SPACE}", " ") for row in change_rows(change, attributes, **options)]


@pytest.mark.parametrize(
    ("change", "attributes", "lines"),
    [
        (Change("x", "timeout_s", 30, 900), TIMEOUT, ["~ x  timeout 30 s -> 900 s"]),
        (Change("x", "timeout_s", None, 900), TIMEOUT, ["~ x  timeout (absent) -> 900 s"]),
        (Change("x", "timeout_s", "odd", 900), TIMEOUT, ["~ x  timeout odd -> 900 s"]),
        (Change("x", "on", True, False), {"on": Attribute("disk cache", true="on", false="off")}, ["~ x  disk cache on -> off"]),
        (Change("x", "on", True, False), {}, ["~ x  on yes -> no"]),
        (Change("x", None, None, {"timeout_s": 900}), TIMEOUT, ["+ x  timeout: 900 s"]),
        (Change("x", "servers", ("a", "b"), ("a",)), SERVERS, ["- server b  (x)"]),
        (Change("x", "servers", ("a",), ("a", "b")), SERVERS, ["~ x  servers [a] -> [a, b]"]),
        (Change("x", "servers", ("a",), ("b",)), SERVERS, ["~ x  servers [a] -> [b]", "- server a  (x)"]),
        (Change("x", "servers", ("b", "a"), ("a", "b")), SERVERS, ["~ x  servers [b, a] -> [a, b]"]),
        (Change("x", "extra_rules", ("a", "b"), ()), EXTRA, ["- rule a  (x)", "- rule b  (x)"]),
        (Change("x", "missing", ("a", "b"), ()), {"missing": Attribute("missing", quiet=())}, ["~ x  missing [a, b] -> none"]),
        (Change("x", None, None, {"timeout_s": 900, "extra_rules": ()}), TIMEOUT | EXTRA, ["+ x  timeout: 900 s"]),
        (Change("x", None, None, {"extra_rules": ()}), EXTRA, ["+ x  no extra rules"]),
        (Change("x", None, None, {}), {}, ["+ x"]),
    ],
)
def test_a_change_in_words(change: Change, attributes: Mapping[str, Attribute], lines: list[str]) -> None:
    assert lines_of(change, attributes) == lines


def test_a_list_of_a_new_item_is_shortened_and_counted() -> None:
    change = Change("rules", None, None, {"order": tuple("abcdef")})
    assert lines_of(change, full=False) == ["+ rules  order: [a, b, c, ... (6 in total)]"]
    assert lines_of(change) == ["+ rules  order: [a, b, c, d, e, f]"]


def test_values_in_words() -> None:
    assert [value(found) for found in (None, True, False, 0, "", (), ("a", "b"))] == ["(absent)", "yes", "no", "0", "", "none", "[a, b]"]


RULES = tuple(f"ARR_{name}.contoso.com_loadbalance_SSL" for name in ("dialin", "meet", "lyncdiscover", "lyncwebext", "wac"))


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        (RULES, RULES[:2] + RULES[3:], f"removed {RULES[2]}"),
        (RULES[1:], RULES, f"added {RULES[0]}"),
        (RULES[:4], (*RULES[1:3], RULES[0], RULES[4]), f"removed {RULES[3]}; added {RULES[4]}; moved {RULES[0]}"),
        ((*RULES, RULES[0]), RULES, f"removed {RULES[0]}"),
        (RULES[::-1], RULES, f"[{', '.join(RULES[::-1])}] -> [{', '.join(RULES)}]"),
        (RULES, (), f"[{', '.join(RULES)}] -> none"),
        (("fe1", "fe2"), ("fe2", "fe3"), "[fe1, fe2] -> [fe2, fe3]"),
    ],
)
def test_of_long_lists_the_difference_is_shown(before: tuple[str, ...], after: tuple[str, ...], text: str) -> None:
    assert lines_of(Change("rules", "order", before, after)) == [f"~ rules  order {text}"]


def test_a_hostile_list_does_not_hold_the_plan_up() -> None:
    (line,) = lines_of(Change("rules", "order", RULES * 100_000, (*RULES[::-1], "new")))
    assert line.endswith(f"; added new; moved {', '.join(RULES[:0:-1])}")
    assert len(line) < 5_000
    removed = lines_of(Change("x", "servers", ("s",) * 100_000, ()), SERVERS)
    assert len(removed) <= 101
    assert "99900 more" in removed[-1]


def test_a_name_stays_with_its_value_where_a_line_is_wrapped() -> None:
    change = Change("rule", None, None, {"enabled": True, "URL": "https://dialin.contoso.com/{R:0}", "wait_s": 9, "match": "*"})
    (row,) = change_rows(change, {"wait_s": Attribute("longest wait", unit="s")})
    assert wrapped(row.line, 64, 2) == "  + rule  enabled: yes, URL: https://dialin.contoso.com/{R:0},\n      longest wait: 9 s, match: *"
    assert wrapped(row.line, 50, 2).splitlines()[:2] == ["  + rule  enabled: yes,", "      URL: https://dialin.contoso.com/{R:0},"]


def test_a_word_that_is_longer_than_the_terminal_is_broken() -> None:
    assert all(len(line) <= 40 for line in wrapped(f"+ {'x' * 250}  label: {'y' * 90}", 40, 6).splitlines())


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_every_attribute_has_a_name_for_people(step: Step, site: Prepared) -> None:
    for values in step.desired(site).values():
        for name in values:
            assert name in step.attributes, name
            assert "_" not in step.attributes[name].label


def test_forty_names_on_a_real_terminal(tmp_path: Path) -> None:
    """The whole command: no line beyond the terminal's width, and two screens."""
    names = [f"{label}.subsidiary-{number}.fabrikam.com" for number in range(10) for label in LABELS]
    farms = "".join(f'\n[[farms]]\nname = "{name}"\nservers = ["fepool.contoso.local"]\n' for name in names)
    with Bench(tmp_path, farms=farms) as bench:
        for words in (["plan"], ["plan", "--view", "names"], ["provision", "--yes"]):
            with bench.terminal(*words) as terminal:
                assert terminal.end() in (0, 2)
            lines = [line.rpartition("\r")[2] for line in terminal.text.splitlines()]
            paste = [line for line in lines if "xcopy" in line]
            assert [line for line in lines if len(line) > COLUMNS and line not in paste] == [], words
            if words == ["plan"]:
                assert len(lines) <= 2 * SCREEN
            elif words[0] == "provision":
                assert [name for name in names if f"  https://{name}/" not in lines] == []
