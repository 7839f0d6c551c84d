"""The three steps of the global rules on the replayed host: getters, setters and their notes."""

from __future__ import annotations

from lyncarr.lab.replay.failure import Failed
from lyncarr.lab.replay.rules import ORDER, Foreign, Rule, among, judge, same, write_rules
from lyncarr.lab.replay.server import GLOBAL_RULES, WEB_FARMS, Request, State


def _rule_state(request: Request, step: str) -> State:
    """The state of the rules that a step wants, and the notes about foreign ones."""
    state: State = {}
    rules = request.rules()
    desired = request.parameters["rules"]
    for rule in rules:
        for name in desired:
            if same(name, rule.name):
                attributes = {key: value for key, value in rule.attributes.items() if key != "redirect_type"}
                if same(attributes["action"], request.desired[name]["action"]):
                    attributes["action"] = request.desired[name]["action"]
                if "redirect_type" in request.desired[name]:
                    attributes["redirect_type"] = rule.attributes.get("redirect_type", "Permanent")
                state[name] = attributes
    foreign = _judge(request, step, rules)
    for name, text in foreign.notes:
        request.note("foreign-rule", text, name)
    taken_by = foreign.taken_by
    if state or taken_by:
        state[ORDER] = {"order": list(state), "taken_by": taken_by}
    return state


def _judge(request: Request, step: str, rules: list[Rule]) -> Foreign:
    """What foreign rules do to the desired rules of a step.

    A name that a person wrote into `taken_by` of the stored states stands for a rule that takes all requests.
    """
    found = judge(rules, request.parameters)
    written = request.stored(step).get(ORDER, {}).get("taken_by", []) if request.parameters["rules"] else []
    notes = [(name, f"the global rule '{name}' comes before the rules of lyncarr and takes all requests for its names") for name in written]
    return Foreign([*written, *found.taken_by], [*notes, *found.notes])


def get_ssl_offload(request: Request) -> State:
    _note_missing(request)
    return _rule_state(request, "ssl-offload")


def _note_missing(request: Request) -> None:
    """Add the notes about what this request does not bring and the setter needs."""
    for section in (GLOBAL_RULES, WEB_FARMS):
        if not request.has_section(section):
            request.note_need("arr", f"this host has no configuration section '{section}'")
            return
    for farm in request.parameters["redirects"]:
        if request.farm(farm) is None:
            request.note_need("farms", f"the farm '{farm}' does not exist on this host yet", farm)


def set_ssl_offload(request: Request) -> None:
    for farm in request.parameters["redirects"]:
        request.need_farm(farm)
    _set_rules(request, "ssl-offload")


def _extra_rules(request: Request, farm: str, rules: list[Rule]) -> list[str]:
    """Names of the rules that lead to a farm, or are its redirect, and are not desired. Those in the stored states count too."""
    redirect, keep = request.parameters["redirects"][farm], request.parameters["keep"]
    leading = [rule.name for rule in rules if same(rule.farm, farm) or same(rule.name, redirect)]
    written = request.stored("http-rules").get(farm, {}).get("extra_rules", []) if request.has_section(GLOBAL_RULES) else []
    return [name for name in dict.fromkeys([*leading, *written]) if not among(name, keep)]


def get_http_rules(request: Request) -> State:
    rules = request.rules()
    state: State = {farm: {"extra_rules": _extra_rules(request, farm, rules)} for farm in request.parameters["redirects"]}
    return {**state, **_rule_state(request, "http-rules")}


def set_http_rules(request: Request) -> None:
    request.need_section(GLOBAL_RULES)
    rules = request.rules()
    for farm in request.parameters["redirects"]:
        extra = _extra_rules(request, farm, rules)
        rules = [rule for rule in rules if not among(rule.name, extra)]
        request.stored("http-rules")[farm] = {"extra_rules": []}
    write_rules(request.states, rules)
    _set_rules(request, "http-rules")


def _set_rules(request: Request, step: str) -> None:
    """The desired rules of one step, in their order. A new rule gets its conditions at once."""
    request.need_section(GLOBAL_RULES)
    rules = request.rules()
    if taken_by := _judge(request, step, rules).taken_by:
        raise Failed(
            "foreign",
            f"the global rule '{taken_by[0]}' comes before the rules of lyncarr and takes their requests",
            hint="Disable it, narrow it, or move it below the rules of lyncarr, then run the command again.",
        )
    desired = request.parameters["rules"]
    for name, parameters in desired.items():
        attributes = dict(request.desired[name])
        rule = next((rule for rule in rules if same(rule.name, name)), None)
        if rule is None:
            rule = Rule(name, step, {}, [])
            rules.append(rule)
        rule.step = step
        before = dict(rule.attributes)
        if same(before.get("action"), attributes["action"]):
            attributes["action"] = before["action"]
        rule.attributes.update(attributes)
        if rule.attributes != before:
            _set_conditions(rule, parameters["conditions"])
    places = [index for index, rule in enumerate(rules) if among(rule.name, desired)]
    by_name = {rule.name.casefold(): rule for rule in rules}
    for place, name in zip(places, desired, strict=True):
        rules[place] = by_name[name.casefold()]
    write_rules(request.states, rules)


def _set_conditions(rule: Rule, desired: list[str]) -> None:
    kept = [condition for condition in rule.conditions if among(condition, desired)]
    rule.conditions = [*kept, *(condition for condition in desired if not among(condition, kept))]
    rule.grouping = "MatchAll"


def get_host_conditions(request: Request) -> State:
    state: State = {}
    for rule in request.rules():
        for name, desired in request.desired.items():
            if same(name, rule.name):
                alike = sorted(map(str.casefold, rule.conditions)) == sorted(map(str.casefold, desired["conditions"]))
                state[name] = {"conditions": list(desired["conditions"]) if alike else rule.conditions, "grouping": rule.grouping}
    return state


def set_host_conditions(request: Request) -> None:
    request.need_section(GLOBAL_RULES)
    rules = request.rules()
    for name, desired in request.desired.items():
        rule = next((rule for rule in rules if same(rule.name, name)), None)
        if rule is None:
            raise Failed(
                "needs",
                f"needs steps ssl-offload and http-rules: the global rule '{name}' does not exist on this host",
                hint="Run the command with both steps as well, or without --step.",
            )
        _set_conditions(rule, list(desired["conditions"]))
    write_rules(request.states, rules)
