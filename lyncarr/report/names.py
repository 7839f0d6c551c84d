"""The published names of a configuration file, and a plan grouped by them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING

from lyncarr.core.model import Change
from lyncarr.core.plan import Plan, StepPlan
from lyncarr.core.text import safe
from lyncarr.report.plan import STEP_CHARS, change_rows_of
from lyncarr.report.text import ADD, CHANGE, CHANGE_INDENT, GLUE, HEADING, HEADING_INDENT, UNCHANGED, Row, change_rows, counted
from lyncarr.steps.rules import all_rules

if TYPE_CHECKING:
    from lyncarr.config.farms import Farm
    from lyncarr.materials.prepare import Prepared

WHOLE_HOST = "Host-wide:"
BY_NAME = "Published names:"


@dataclass(frozen=True)
class Published:
    """One published name: the items of a plan that belong to it, the URLs that answer for it, and its settings in short.

    `settings` maps a step to the words that describe a new name ("proxy-timeout" -> "900 s"); "farms" has its servers.
    """

    name: str
    items: frozenset[str]
    addresses: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)


def published_names(site: Prepared) -> tuple[Published, ...]:
    """The names of the configuration file `site`, in its order."""
    rules = all_rules(site)
    found = []
    for farm in site.farms:
        own = [rule for rule in rules if rule.farm == farm.name]
        items = {farm.name, *(f"{farm.name}/{server}" for server in farm.servers), *(rule.name for rule in own)}
        found.append(Published(farm.name, frozenset(items), tuple(rule.address for rule in own), _settings(farm)))
    return tuple(found)


def _settings(farm: Farm) -> dict[str, str]:
    encrypted = farm.https and not farm.ssl_offload
    port = farm.https_port if encrypted else farm.http_port
    settings = {
        "farms": ", ".join(f"{safe(server)}:{port}" for server in farm.servers),
        "proxy-timeout": f"{farm.timeout_s}{GLUE}s",
        "host-conditions": f"rule{GLUE}{safe(farm.host_pattern)}",
    }
    if farm.disk_cache:
        settings["disk-cache"] = "disk cache on"
    if farm.ssl_offload:
        settings["ssl-offload"] = "SSL offloading on"
    if not farm.https:
        settings["ssl-offload"] = "no HTTPS"
    if farm.http != "remove":
        settings["http-rules"] = {"forward": "HTTP forwarded", "redirect": "HTTP redirected to HTTPS"}[farm.http]
    return settings


def owners(names: Iterable[Published]) -> dict[str, str]:
    """Item -> the published name that it belongs to. Items of the host as a whole are not in it."""
    return {item: published.name for published in names for item in published.items}


def affected(names: Sequence[Published], items: Iterable[str]) -> tuple[Published, ...]:
    """The names that a change of `items` touches: all of them where an item belongs to the host as a whole."""
    changed = set(items)
    if changed - set(owners(names)):
        return tuple(names)
    return tuple(published for published in names if changed & published.items)


def rows_by_name(plan: Plan, names: Sequence[Published], *, full: bool) -> Iterator[Row]:
    """The changes of the host as a whole by step, then those of each published name."""
    owner_of = owners(names)
    whole = [(step, [change for change in step.changes if change.item not in owner_of]) for step in plan.steps]
    if any(changes for _, changes in whole):
        yield Row(WHOLE_HOST, HEADING)
    for step, changes in whole:
        if changes:
            yield Row(f"{step.step.name:<{STEP_CHARS}} {counted(len(changes), 'change')}", HEADING, HEADING_INDENT)
            yield from change_rows_of(step, changes, owner_of, full=full)
    yield Row(BY_NAME, HEADING)
    unchanged = []
    for published in names:
        own = [(step, change) for step in plan.steps for change in step.changes if change.item in published.items]
        if own:
            yield from _rows_of(published, own, full=full)
        else:
            unchanged.append(published.name)
    if unchanged:
        yield Row(f"unchanged: {', '.join(map(safe, unchanged))}", UNCHANGED, HEADING_INDENT)


def _rows_of(published: Published, own: Sequence[tuple[StepPlan, Change]], *, full: bool) -> Iterator[Row]:
    """One row for a new name, with what is new of it; a heading and all changes below it for a name that is there in part."""
    new = {step.step.name for step, change in own if change.attribute is None}
    rest = [(step, change) for step, change in own if change.attribute is not None]
    if any(step.step.name == "farms" and change.attribute is None and change.item == published.name for step, change in own):
        yield Row(_in_short(published, new), ADD, HEADING_INDENT)
        if full:
            rest = list(own)
    else:
        yield Row(safe(published.name), CHANGE, HEADING_INDENT)
        rest = list(own)
    for _, group in groupby(rest, key=lambda pair: pair[0].step.name):
        for step, change in group:
            yield from change_rows(change, step.step.attributes, full=full, heading=published.name, indent=CHANGE_INDENT)


def _in_short(published: Published, steps: set[str]) -> str:
    """`meet.contoso.com -> fepool.contoso.local:4443, 900 s, rule meet.*`: only what `steps` add."""
    words = [text for step, text in published.settings.items() if step in steps]
    return f"{safe(published.name)} -> {', '.join(words)}"
