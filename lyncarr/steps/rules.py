"""The global rewrite rules of the farms, which the three rule steps share.

Rewrite rules have the names that IIS Manager gives them, so that lyncarr can adopt a host that was set up by hand. IIS Manager creates no
redirects; their names are lyncarr's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from lyncarr.config.farms import host_header
from lyncarr.core.model import Attribute, Attributes, State

if TYPE_CHECKING:
    from lyncarr.config.farms import Farm
    from lyncarr.materials.prepare import Prepared


@dataclass(frozen=True)
class Rule:
    """One global rule of a farm.

    `type` and `url` are its action. `https` is true for a rule that serves HTTPS requests, false for HTTP. `pattern` is the wildcard
    pattern that the Host header must match, `host` the Host header that a client sends for the published name of `farm`.
    """

    farm: str
    name: str
    type: Literal["Rewrite", "Redirect"]
    url: str
    https: bool
    pattern: str
    host: str

    @property
    def address(self) -> str:
        """The URL by which a client on the internet reaches the rule."""
        return f"{'https' if self.https else 'http'}://{self.host}/"

    @property
    def conditions(self) -> tuple[str, ...]:
        """The conditions in the form that the host reports them. All of them must hold."""
        return (f"{{HTTPS}}={'On' if self.https else 'Off'}", f"{{HTTP_HOST}}={self.pattern}")

    @property
    def attributes(self) -> Attributes:
        """The attributes of the rule without its conditions."""
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


SAMPLE_PATHS = ("", "abs/", "meet/user/ABCDEFGH", "Autodiscover/AutodiscoverService.svc/root", "hosting/discovery")
"""URL paths that clients of the published services request, without the leading slash: the root, the address book, a meeting, autodiscover
and Office Web Apps. The host tests with them whether a foreign rule accepts every path."""
RULE_ATTRIBUTES = {
    "enabled": Attribute("enabled", quiet=True),
    "action": Attribute("target"),
    "match": Attribute("URL pattern"),
    "pattern_syntax": Attribute("pattern syntax"),
    "stop_processing": Attribute("stop processing", quiet=True),
    "type": Attribute("action"),
    "order": Attribute("order"),
    "taken_by": Attribute("requests taken by", quiet=()),
}
"""The attributes of `rules_state`, but for `redirect_type`, which only a redirect has."""


def https_rules(site: Prepared) -> tuple[Rule, ...]:
    """The rules for HTTPS requests, in the order of the farms.

    IIS Manager's action 'Route to Server Farm' is stored as a rewrite to a URL whose host is the name of the farm.
    """
    rules = []
    for farm in site.farms:
        if farm.https:
            scheme, suffix = ("http", "") if farm.ssl_offload else ("https", "_SSL")
            host = host_header(farm.name, site.website.port)
            url = f"{scheme}://{farm.name}/{{R:0}}"
            name = f"ARR_{farm.name}_loadbalance{suffix}"
            rules.append(Rule(farm.name, name, "Rewrite", url, https=True, pattern=farm.host_pattern, host=host))
    return tuple(rules)


def http_rules(site: Prepared) -> tuple[Rule, ...]:
    """The rules for HTTP requests, in the order of the farms."""
    rules = []
    for farm in site.farms:
        rule = partial(Rule, farm.name, https=False, pattern=farm.http_pattern, host=farm.name)
        if farm.http == "forward":
            rules.append(rule(f"ARR_{farm.name}_loadbalance", "Rewrite", f"http://{farm.name}/{{R:0}}"))
        elif farm.http == "redirect":
            rules.append(rule(redirect_name(farm), "Redirect", f"https://{host_header('{HTTP_HOST}', site.website.port)}/{{R:0}}"))
    return tuple(rules)


def all_rules(site: Prepared) -> tuple[Rule, ...]:
    return (*https_rules(site), *http_rules(site))


def redirect_name(farm: Farm) -> str:
    """The name of the farm's redirect.

    Only the name shows that lyncarr manages a redirect, because a redirect leads to no farm.
    """
    return f"lyncarr_{farm.name}_redirect"


def rules_state(rules: Iterable[Rule]) -> State:
    """Desired state: an item for each rule, and the item "rules" for their order and for foreign rules that take their requests.

    Empty if there is no rule.
    """
    state: dict[str, Attributes] = {rule.name: rule.attributes for rule in rules}
    return {**state, "rules": {"order": tuple(state), "taken_by": ()}} if state else {}


def rules_parameters(site: Prepared, rules: Iterable[Rule]) -> Mapping[str, Any]:
    """What the host needs to tell managed rules from foreign ones, and to decide whether a foreign rule takes the requests of a farm."""
    return {
        "keep": [rule.name for rule in all_rules(site)],
        "sample_paths": list(SAMPLE_PATHS),
        "redirects": {farm.name: redirect_name(farm) for farm in site.farms},
        "rules": {
            rule.name: {"host": rule.host, "https": rule.https, "pattern": rule.pattern, "conditions": list(rule.conditions)}
            for rule in rules
        },
    }
