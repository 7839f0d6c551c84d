"""`lyncarr route`: who answers a URL, by the rules in a copy of applicationHost.config."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lyncarr.cli.options import Output
from lyncarr.core.errors import IN_PLACE, STEP_FAILED, SiteError, UsageError
from lyncarr.core.files import FileError, read_file
from lyncarr.core.text import quoted, safe
from lyncarr.report.events import SCHEMA

if TYPE_CHECKING:
    from lyncarr.routing.model import Config, Outcome, Request

MAX_SHOWN = 500


def run_route(urls: Sequence[str], path: Path, output: Output) -> int:
    """Print the outcome for each URL; returns 1 where one is unknown. Raises UsageError, SiteError."""
    from lyncarr.routing.evaluate import evaluate

    requests = [_request(url) for url in urls]
    config = _config(path)
    outcomes = [(url, evaluate(config, request)) for url, request in zip(urls, requests, strict=True)]
    for url, outcome in outcomes:
        print(_json_line(url, outcome) if output is Output.json else "\n".join(_lines(url, outcome)))
    return STEP_FAILED if any(outcome.kind == "unknown" for _, outcome in outcomes) else IN_PLACE


def _request(url: str) -> Request:
    from lyncarr.routing.model import Request

    try:
        return Request.parse(url)
    except ValueError as error:
        text = f"{quoted(url)} is not a URL that can be evaluated: {error}."
        raise UsageError(text, hint="Give a URL such as https://dialin.contoso.com/.") from None


def _config(path: Path) -> Config:
    from lyncarr.routing.config import MAX_BYTES, ConfigError, read_config

    try:
        return read_config(read_file(path, MAX_BYTES))
    except FileError as error:
        reason = error.reason
    except ConfigError as error:
        reason = f"cannot be evaluated: {error}"
    raise SiteError(
        f"{path} {reason}.",
        hint=r"Name a copy of the file C:\Windows\System32\inetsrv\config\applicationHost.config with --config.",
    )


def _json_line(url: str, outcome: Outcome) -> str:
    trace = [{"rule": tried.rule, "matched": tried.matched, "reason": tried.reason} for tried in outcome.trace]
    return json.dumps(
        {
            "schema": SCHEMA,
            "event": "route",
            "request": url,
            "outcome": outcome.kind,
            "rule": outcome.rule,
            "farm": outcome.farm,
            "server": outcome.server,
            "url": outcome.url,
            "status": outcome.status,
            "reason": outcome.reason,
            "trace": trace,
        }
    )


def _lines(url: str, outcome: Outcome) -> Iterator[str]:
    yield safe(url, MAX_SHOWN)
    yield f"  {_sentence(outcome)}"
    if outcome.rule is not None and outcome.kind != "unknown":
        yield f"  rule: {safe(outcome.rule, MAX_SHOWN)}"
    if outcome.trace:
        yield "  rules in their order:"
    for tried in outcome.trace:
        word = {True: "applies", False: "does not apply", None: "unknown"}[tried.matched]
        yield f"    {safe(tried.rule, MAX_SHOWN)}: {word}: {safe(tried.reason, MAX_SHOWN)}"


def _sentence(outcome: Outcome) -> str:
    url, server, reason = (safe(text or "", MAX_SHOWN) for text in (outcome.url, outcome.server, outcome.reason))
    if outcome.kind == "farm":
        farm = f"server farm {safe(outcome.farm, MAX_SHOWN)}, server " if outcome.farm is not None else ""
        return f"goes to {farm}{server}, as {url}"
    if outcome.kind == "redirect":
        return f"is redirected to {url} (status {outcome.status})"
    if outcome.kind == "response":
        status = "an error" if outcome.status is None else f"status {outcome.status}"
        return f"is answered by the host itself with {status}" + (f": {reason}" if reason else "")
    if outcome.kind == "abort":
        return "is not answered: the host closes the connection"
    if outcome.kind == "site":
        return f"is answered by the web site of the host, as {url}"
    return f"is unknown: {reason}"
