"""What a host does with a request: its global rules in their order, then ARR.

Sources: the configuration reference of URL Rewrite (versions 1 and 2) and the documents of ARR. Where they are silent, the outcome is
"unknown" with the reason.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from lyncarr.routing.expand import Expander
from lyncarr.routing.model import DEFAULT_PORTS, Config, Farm, Kind, Outcome, Request, Rule, Server, Tried
from lyncarr.routing.patterns import UndecidedError, match

MAX_RULES = 2_000
NO_SERVER = 503
"""ARR's answer where no server of the farm is available (502.4 in newer versions)."""


def evaluate(config: Config, request: Request) -> Outcome:
    """The outcome for `request`, with one entry in the trace for each rule that was looked at."""
    return _Evaluation(config, request).run()


class _Evaluation:
    def __init__(self, config: Config, request: Request) -> None:
        self._config = config
        self._request = request
        self._trace: list[Tried] = []
        self._changed: dict[str, str] = {}
        """Server variables that a rule has set."""
        self._rewritten = False

    def run(self) -> Outcome:
        if len(self._config.rules) > MAX_RULES:
            return self._unknown(None, f"the configuration has more than {MAX_RULES} rules")
        for rule in self._config.rules:
            outcome = self._rule(rule)
            if outcome is not None:
                return outcome
        return self._end("site", None, url=self._request.url)

    def _rule(self, rule: Rule) -> Outcome | None:
        """The outcome where `rule` ends the evaluation, None where the next rule follows."""
        if not rule.enabled:
            self._note(rule, False, "it is disabled")
            return None
        expander = Expander(self._variable, self._config.maps)
        try:
            reason = self._mismatch(rule, expander)
        except UndecidedError as undecided:
            self._note(rule, None, f"it depends on {undecided}")
            if rule.action.type == "None" and not rule.stop and not rule.server_variables:
                return None
            return self._unknown(rule, f"whether rule {rule.name!r} applies depends on {undecided}")
        if reason:
            self._note(rule, False, reason)
            return None
        try:
            return self._act(rule, expander)
        except UndecidedError as undecided:
            self._note(rule, True, f"what it does depends on {undecided}")
            return self._unknown(rule, f"what rule {rule.name!r} does depends on {undecided}")

    def _mismatch(self, rule: Rule, expander: Expander) -> str:
        """Why the rule does not apply, "" where it does. Sets the captures of `expander`."""
        path = self._request.path.removeprefix("/")
        if "%" in path:
            raise UndecidedError("how the host decodes the percent signs of the path")
        found = match(rule.url, rule.syntax, path, ignore_case=rule.ignore_case)
        if (found is not None) == rule.negate:
            return f"the path {path!r} {'matches' if rule.negate else 'does not match'} {rule.url!r}"
        expander.rule = found or []
        return self._conditions(rule, expander)

    def _conditions(self, rule: Rule, expander: Expander) -> str:
        undecided: UndecidedError | None = None
        failed = ""
        for condition in rule.conditions:
            try:
                if condition.match_type != "Pattern":
                    raise UndecidedError(f"whether {condition.input!r} is a file or a folder on the host")
                text = expander.expand(condition.input)
                found = match(condition.pattern, rule.syntax, text, ignore_case=condition.ignore_case)
            except UndecidedError as error:
                undecided = undecided or error
                continue
            holds = (found is not None) != condition.negate
            if holds and found is not None:
                tracked = rule.track_all_captures and expander.condition
                # {C:0} stays the text of the first matched condition.
                expander.condition = expander.condition + found[1:] if tracked else found
            if holds and rule.match_any:
                return ""
            if not holds:
                word = "matches" if condition.negate else "does not match"
                failed = failed or f"{condition.input} is {text!r}, which {word} {condition.pattern!r}"
                if not rule.match_any:
                    return failed
        if undecided is not None:
            raise undecided
        return failed if rule.match_any and rule.conditions else ""

    def _act(self, rule: Rule, expander: Expander) -> Outcome | None:
        action = rule.action
        for name, value in rule.server_variables:
            self._changed[name.upper()] = expander.expand(value)
        if action.type == "AbortRequest":
            self._note(rule, True, "closes the connection")
            return self._end("abort", rule)
        if action.type == "CustomResponse":
            self._note(rule, True, f"answers with status {action.status_code}")
            return self._end("response", rule, status=action.status_code)
        if action.type == "None":
            self._note(rule, True, "does nothing" + (", and ends the evaluation" if rule.stop else ""))
            return self._end("site", rule, url=self._request.url) if rule.stop else None
        url = self._with_query(expander.expand(action.url), action.append_query_string)
        if action.type == "Redirect":
            self._note(rule, True, f"redirects to {url}")
            return self._end("redirect", rule, url=url, status=action.redirect_type)
        self._note(rule, True, f"rewrites to {url}")
        return self._rewrite(rule, url)

    def _with_query(self, url: str, append: bool) -> str:
        query = self._request.query
        if not append or not query:
            return url
        return f"{url}{'&' if '?' in url else '?'}{query}"

    def _rewrite(self, rule: Rule, url: str) -> Outcome | None:
        parts = urlsplit(url) if "://" in url else None
        if parts is not None and parts.scheme.lower() in DEFAULT_PORTS and parts.hostname:
            if not rule.stop and self._config.rules[-1] is not rule:
                # The documents do not say what the following rules see of a URL of another host.
                return self._unknown(rule, f"rule {rule.name!r} rewrites to {url} and lets the following rules change that")
            return self._proxy(rule, url)
        if parts is not None and not url.startswith("/"):
            return self._unknown(rule, f"rule {rule.name!r} rewrites to {url}, whose scheme is neither http nor https")
        path, _, query = url.partition("?")
        self._request = replace(self._request, path="/" + path.lstrip("/"), query=query)
        self._rewritten = True
        return self._end("site", rule, url=self._request.url) if rule.stop else None

    def _proxy(self, rule: Rule, url: str) -> Outcome:
        """ARR: to a server of the farm with this name. To a host that is no farm only with the proxy of the whole server."""
        parts = urlsplit(url)
        scheme, host = parts.scheme.lower(), parts.hostname or ""
        farm = self._config.farm(host)
        if farm is None and not self._config.proxy:
            reason = f"{host} is no server farm, and the proxy of the server is switched off (system.webServer/proxy)"
            return self._end("response", rule, url=url, reason=reason)
        if farm is None:
            return self._end("farm", rule, server=f"{scheme}://{host}:{parts.port or DEFAULT_PORTS[scheme]}", url=url)
        server = _first_available(farm)
        if server is None:
            return self._end(
                "response", rule, farm=farm.name, status=NO_SERVER, url=url, reason=f"no server of farm {farm.name!r} is enabled"
            )
        port = server.https_port if scheme == "https" else server.http_port
        return self._end("farm", rule, farm=farm.name, server=f"{scheme}://{server.address}:{port}", url=url)

    def _variable(self, name: str) -> str:
        word = name.upper()
        if word in self._changed:
            return self._changed[word]
        if self._rewritten and word in _OF_THE_URL:
            # The documents do not say whether these follow a rewrite.
            raise UndecidedError(f"the value of {{{name}}} after a rewrite")
        if word in _VARIABLES:
            return _VARIABLES[word](self._request)
        if word.startswith("HTTP_"):
            headers = {key.upper().replace("-", "_"): value for key, value in self._request.headers.items()}
            if word[5:] in headers:
                return headers[word[5:]]
            raise UndecidedError(f"the header {word[5:].replace('_', '-').title()} of the request")
        raise UndecidedError(f"the value of {{{name}}}")

    def _note(self, rule: Rule, matched: bool | None, reason: str) -> None:
        self._trace.append(Tried(rule.name, matched, reason))

    def _unknown(self, rule: Rule | None, reason: str) -> Outcome:
        return Outcome("unknown", tuple(self._trace), rule=None if rule is None else rule.name, reason=reason)

    def _end(self, kind: Kind, rule: Rule | None, **members: Any) -> Outcome:
        return Outcome(kind, tuple(self._trace), rule=None if rule is None else rule.name, **members)


def _first_available(farm: Farm) -> Server | None:
    return next((server for server in farm.servers if server.enabled), None) if farm.enabled else None


def _host_header(request: Request) -> str:
    """As clients send it: with the port where it is not the one of the scheme."""
    return request.host if request.port == DEFAULT_PORTS[request.scheme] else f"{request.host}:{request.port}"


_VARIABLES: dict[str, Callable[[Request], str]] = {
    "HTTP_HOST": _host_header,
    "SERVER_NAME": lambda request: request.host,
    "SERVER_PORT": lambda request: str(request.port),
    "SERVER_PORT_SECURE": lambda request: "1" if request.scheme == "https" else "0",
    "HTTPS": lambda request: "on" if request.scheme == "https" else "off",
    "REQUEST_METHOD": lambda request: request.method,
    "HTTP_METHOD": lambda request: request.method,
    "QUERY_STRING": lambda request: request.query,
    "URL": lambda request: request.path,
    "PATH_INFO": lambda request: request.path,
    "SCRIPT_NAME": lambda request: request.path,
    "REQUEST_URI": lambda request: request.path + (f"?{request.query}" if request.query else ""),
    "UNENCODED_URL": lambda request: request.path + (f"?{request.query}" if request.query else ""),
    "CACHE_URL": lambda request: f"{request.scheme}://{request.host}:{request.port}{request.path}",
}
"""Server variables that follow from the request alone."""
_OF_THE_URL = {"QUERY_STRING", "URL", "PATH_INFO", "SCRIPT_NAME", "REQUEST_URI", "UNENCODED_URL", "CACHE_URL"}
