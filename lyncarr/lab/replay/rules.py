"""Global rules of the replayed host, and the judgement of foreign ones: what ps_snippets/_rules.ps1 does, over stored states.

The states of `ssl-offload` and `http-rules` hold the rules and their order, those of `host-conditions` their conditions. A rule that is
not in the configuration file stays there, and is foreign as on a real server.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Verdict = Literal["yes", "no", "maybe"]
States = dict[str, dict[str, dict[str, Any]]]

RULE_STEPS = ("ssl-offload", "http-rules")
CONDITIONS = "host-conditions"
ORDER = "rules"
"""The item that holds the order of a step's rules; every other item with a match is a rule."""
TARGET = re.compile(r"https?://([^/:{}]+)(:[0-9]+)?(/.*|\{(REQUEST_URI|UNENCODED_URL|URL|PATH_INFO)\}.*)?", re.IGNORECASE)
CONDITION = re.compile(
    r"(?P<input>\{[^}]*\})(?P<sign>!?=)(?P<pattern>.*?)(?P<special> \(is a file\)| \(is a directory\))?( \(case-sensitive\))?"
)
SAMPLE_PATHS = ("", "abs/", "meet/user/ABCDEFGH", "Autodiscover/AutodiscoverService.svc/root", "hosting/discovery")
"""Paths that clients of Lync ask for."""
GOES_ON = ("None", "Rewrite")
"""Actions after which IIS evaluates the next rule, unless the rule stops the processing."""


@dataclass
class Rule:
    """One global rule. `step` is the step whose state stores it, `attributes` is its item there."""

    name: str
    step: str
    attributes: dict[str, Any]
    conditions: list[str]
    grouping: str = "MatchAll"

    @property
    def farm(self) -> str:
        """The farm that the rule rewrites to, "" for none."""
        target = TARGET.fullmatch(str(self.attributes.get("action", "")))
        return target[1] if target is not None and self.attributes.get("type") == "Rewrite" else ""

    def takes(self, host: str, https: bool) -> Verdict:
        """Whether the rule answers every request for `host` that reaches it, so that no later rule sees one."""
        if self.attributes.get("type") in GOES_ON and not self.attributes.get("stop_processing"):
            return "no"
        return self.applies(host, https)

    def applies(self, host: str, https: bool) -> Verdict:
        """Whether the rule applies to every request for `host` that reaches it."""
        if not self.attributes.get("enabled"):
            return "no"
        verdict = self._matches()
        answers = [self._holds(condition, host, https) for condition in self.conditions]
        if not answers:
            return verdict
        if self.grouping == "MatchAny":
            return verdict if "yes" in answers else "maybe" if "maybe" in answers else "no"
        return "no" if "no" in answers else "maybe" if "maybe" in answers else verdict

    def host_patterns(self) -> list[str]:
        """The patterns of its conditions on the Host header that are not negated."""
        found = (CONDITION.fullmatch(condition) for condition in self.conditions)
        return [each["pattern"] for each in found if each is not None and each["input"].upper() == "{HTTP_HOST}" and each["sign"] == "="]

    def matches_text(self, pattern: str, text: str) -> Verdict:
        return matches(str(self.attributes.get("pattern_syntax")), pattern, text)

    def _matches(self) -> Verdict:
        """Whether the rule's URL pattern accepts every path; "maybe" means some paths."""
        url = str(self.attributes.get("match", ""))
        negated = url.startswith("!")
        answers = [self.matches_text(url[1:] if negated else url, path) for path in SAMPLE_PATHS]
        if "maybe" in answers or any((answer == "yes") == negated for answer in answers):
            return "maybe"
        return "yes"

    def _holds(self, condition: str, host: str, https: bool) -> Verdict:
        found = CONDITION.fullmatch(condition)
        known = {
            "HTTPS": "on" if https else "off",
            "HTTP_HOST": host,
            # A client names the port in the Host header where it is not the usual one.
            "SERVER_PORT": (re.findall(r":([0-9]+)", f"{host}:443")[0]) if https else "80",
            "SERVER_PORT_SECURE": "1" if https else "0",
            "REQUEST_SCHEME": "https" if https else "http",
        }
        if found is None or found["special"] or (name := found["input"].strip("{}").upper()) not in known:
            return "maybe"
        answer = self.matches_text(found["pattern"], known[name])
        if answer == "maybe" or found["sign"] == "=":
            return answer
        return "no" if answer == "yes" else "yes"


def matches(syntax: str, pattern: str, text: str) -> Verdict:
    """Whether a pattern of one of IIS' three syntaxes matches; "maybe" where it is not a valid expression."""
    if syntax == "ExactMatch":
        return "yes" if same(pattern, text) else "no"
    expression = pattern
    if syntax == "Wildcard":
        expression = "^" + re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".") + "$"
    try:
        return "yes" if re.search(expression, text, re.IGNORECASE) else "no"
    except re.error:
        return "maybe"


def same(left: object, right: object) -> bool:
    """Equal but for letter case, as IIS compares names."""
    return str(left).casefold() == str(right).casefold()


def among(name: str, names: Iterable[str]) -> bool:
    return any(same(name, each) for each in names)


def read_rules(states: States) -> list[Rule]:
    """All rules in the order in which IIS evaluates them."""
    found: dict[str, Rule] = {}
    for step in RULE_STEPS:
        stored = states.get(step, {})
        names = [name for name, item in stored.items() if "match" in item]
        order = [str(name) for name in stored.get(ORDER, {}).get("order", [])]
        names.sort(key=lambda name: order.index(name) if name in order else len(order))
        for name in names:
            conditions = states.get(CONDITIONS, {}).get(name, {})
            rule = Rule(name, step, stored[name], list(conditions.get("conditions", [])), conditions.get("grouping", "MatchAll"))
            found.setdefault(name.casefold(), rule)
    return list(found.values())


def write_rules(states: States, rules: Iterable[Rule]) -> None:
    """Store the rules in this order."""
    rules = list(rules)
    states[CONDITIONS] = {rule.name: {"conditions": rule.conditions, "grouping": rule.grouping} for rule in rules}
    for step in RULE_STEPS:
        stored = states.setdefault(step, {})
        taken_by = stored.get(ORDER, {}).get("taken_by", [])
        for name in [name for name, item in stored.items() if "match" in item or name == ORDER]:
            del stored[name]
        mine = [rule for rule in rules if rule.step == step]
        stored.update({rule.name: rule.attributes for rule in mine})
        if mine or taken_by:
            stored[ORDER] = {"order": [rule.name for rule in mine], "taken_by": taken_by}


@dataclass
class Foreign:
    """What foreign rules do to ours: `taken_by` names those that take their requests, `notes` are about these and about doubtful ones."""

    taken_by: list[str]
    notes: list[tuple[str, str]]
    """The name of a rule, and the text about it."""


def judge(rules: Iterable[Rule], parameters: Mapping[str, Any]) -> Foreign:
    """Judge the rules that are not ours by the parameters of a step: `rules`, `keep` and `redirects`."""
    found = Foreign([], [])
    waiting = list(parameters["rules"])
    passed: list[str] = []
    for rule in rules:
        for name in [name for name in waiting if same(name, rule.name)]:
            waiting.remove(name)
            passed.append(name)
        redirects = parameters["redirects"]
        if among(rule.name, [*parameters["keep"], *redirects.values()]) or among(rule.farm, redirects):
            continue
        verdicts = {name: rule.takes(parameters["rules"][name]["host"], parameters["rules"][name]["https"]) for name in waiting}
        hosts = [_address(parameters["rules"][name]) for name, verdict in verdicts.items() if verdict != "no"]
        names = ", ".join(hosts)
        if "yes" in verdicts.values():
            found.notes.append(
                (rule.name, f"the global rule '{rule.name}' comes before the rules of lyncarr and takes all requests for {names}")
            )
            found.taken_by.append(rule.name)
        elif hosts:
            text = f"the global rule '{rule.name}' comes before the rules of lyncarr and may take requests for {names}: check its purpose"
            found.notes.append((rule.name, text))
        found.notes.extend((rule.name, text) for text in _late(rule, passed, parameters))
    return found


def _address(desired: Mapping[str, Any]) -> str:
    return f"{'' if desired['https'] else 'http://'}{desired['host']}"


def _late(rule: Rule, passed: Iterable[str], parameters: Mapping[str, Any]) -> list[str]:
    """The note about a foreign rule for a host whose requests a rule of ours takes before it; empty where there is none."""
    for pattern in rule.host_patterns():
        # A pattern that matches a host that does not exist is for all hosts.
        if rule.matches_text(pattern, "host.invalid") != "no":
            continue
        plain = pattern.strip("^$").replace(r"\.", ".") if rule.attributes.get("pattern_syntax") == "ECMAScript" else pattern
        for name in passed:
            mine = parameters["rules"][name]
            for header in (plain, mine["host"]):
                if matches("Wildcard", mine["pattern"], header) == "yes" and rule.applies(header, mine["https"]) != "no":
                    return [
                        f"the global rule '{rule.name}' is for {pattern}, but '{name}' comes before it and takes all requests that "
                        f"{mine['pattern']} matches: set a narrower host_pattern in the configuration file, or remove the rule if nothing "
                        "needs it"
                    ]
    return []
