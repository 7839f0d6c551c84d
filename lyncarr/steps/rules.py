"""The global rules of a farm, and what the three rule steps say of them.

Names are IIS Manager's own, so that a hand-made host can be adopted. It makes no redirects: theirs is ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from lyncarr.config.farms import host_header
from lyncarr.core.model import Attributes, State

if TYPE_CHECKING:
    from lyncarr.config.farms import Farm
    from lyncarr.materials.prepare import Prepared


@dataclass(frozen=True)
class Rule:
    """One rule: `type` and `url` are its action, `pattern` is the wildcard for the Host header under HTTPS (`https`) or without TLS.

    `host` is the Host header that a client sends for the farm's name.
    """

    name: str
    type: Literal["Rewrite", "Redirect"]
    url: str
    https: bool
    pattern: str
    host: str

    @property
    def address(self) -> str:
        """The URL that a client outside tries the rule by."""
        return f"{'https' if self.https else 'http'}://{self.host}/"

    @property
    def conditions(self) -> tuple[str, ...]:
        """Canonical text of the conditions, all of which must hold."""
        return (f"{{HTTPS}}={'On' if self.https else 'Off'}", f"{{HTTP_HOST}}={self.pattern}")

    @property
    def attributes(self) -> Attributes:
        """All but the conditions."""
        attributes: dict[str, Any] = {
            "enabled": True,
            "action": self.url,
            "match": "*",
            "pattern_syntax": "Wildcard",
            "stop_processing": True,
            "type": self.type,
        }
        if self.type == "Redirect":
            attributes["redirect_type"] = "Permanent"
        return attributes


def https_rules(site: Prepared) -> tuple[Rule, ...]:
    """The rules for requests under HTTPS, in the order of the farms. IIS keeps 'Route to Server Farm' as a rewrite to the farm's name."""
    rules = []
    for farm in site.farms:
        if farm.https:
            scheme, suffix = ("http", "") if farm.ssl_offload else ("https", "_SSL")
            host = host_header(farm.name, site.website.port)
            url = f"{scheme}://{farm.name}/{{R:0}}"
            rules.append(Rule(f"ARR_{farm.name}_loadbalance{suffix}", "Rewrite", url, https=True, pattern=farm.host_pattern, host=host))
    return tuple(rules)


def http_rules(site: Prepared) -> tuple[Rule, ...]:
    """The rules for requests without TLS, in the order of the farms."""
    rules = []
    for farm in site.farms:
        rule = partial(Rule, https=False, pattern=farm.http_pattern, host=farm.name)
        if farm.http == "forward":
            rules.append(rule(f"ARR_{farm.name}_loadbalance", "Rewrite", f"http://{farm.name}/{{R:0}}"))
        elif farm.http == "redirect":
            rules.append(rule(redirect_name(farm), "Redirect", f"https://{host_header('{HTTP_HOST}', site.website.port)}/{{R:0}}"))
    return tuple(rules)


def all_rules(site: Prepared) -> tuple[Rule, ...]:
    return (*https_rules(site), *http_rules(site))


def redirect_name(farm: Farm) -> str:
    """The name of the farm's redirect, by which one is known as ours: it rewrites to no farm."""
    return f"lyncarr_{farm.name}_redirect"


def rules_state(rules: Iterable[Rule]) -> State:
    """Each rule, and "rules" for their order and what takes their requests; nothing where there is no rule."""
    state: dict[str, Attributes] = {rule.name: rule.attributes for rule in rules}
    return {**state, "rules": {"order": tuple(state), "taken_by": ()}} if state else {}


def rules_parameters(site: Prepared, rules: Iterable[Rule]) -> Mapping[str, Any]:
    """What the host needs to tell our rules from foreign ones, and to judge whose requests a rule takes."""
    return {
        "keep": [rule.name for rule in all_rules(site)],
        "redirects": {farm.name: redirect_name(farm) for farm in site.farms},
        "rules": {
            rule.name: {"host": rule.host, "https": rule.https, "pattern": rule.pattern, "conditions": list(rule.conditions)}
            for rule in rules
        },
    }
