"""What answers without TLS, and rules that lead to a farm and must not be there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lyncarr.core.model import State, Step
from lyncarr.steps.rules import http_rules, rules_parameters, rules_state

if TYPE_CHECKING:
    from lyncarr.materials.prepare import Prepared


class HttpRules(Step):
    name = "http-rules"
    noun = "HttpRules"
    title = "Without TLS a farm is not reached, unless the site file says redirect or forward; no further rule leads to it."
    reason = (
        "Nothing of Lync but lyncdiscover needs to be reachable without TLS, and a second rule to the same farm can answer before the "
        "right one. The runbook deletes every HTTP rule on the server; this tool deletes only ours, the rules that rewrite to a farm of "
        "the site file and our own redirects, and leaves foreign ones untouched. Phones may ask for lyncdiscover on port 80, which saves "
        "its name on the public certificate where many SIP domains are published; Microsoft supports that and does not recommend it."
    )
    source = (
        "The runbook, step 7; Microsoft, 'Configure web publishing rules for a single internal pool in Lync Server 2013', steps 14-15, and "
        "'Technical requirements for mobility in Lync Server 2013'"
    )
    sets = (
        "Removes the further rules that rewrite to one of our farms, and makes the rule that `http` of the site file asks for, with its "
        'conditions: none for "remove"; for "forward" `ARR_<farm>_loadbalance`, a rewrite to `http://<farm>/{R:0}`, which is the servers\' '
        '`http_port`; for "redirect" `lyncarr_<farm>_redirect`, a redirect for good (301) to `https://{HTTP_HOST}/{R:0}`. IIS Manager\'s '
        "own `ARR_<farm>_loadbalance` is adopted in its place. Another `http` is one commit: the old rule goes, the new one comes. Items: "
        "the farm (`extra_rules`, which shall be empty), the rule (`enabled`, `action`, `match`, `pattern_syntax`, `stop_processing`, "
        "`type`, and of a redirect `redirect_type`), and `rules` (`order`, `taken_by`)."
    )
    never_touches = (
        "Rules that lead elsewhere, and redirects under other names. It makes no binding: a name that no web site hears on port 80 is "
        "a note."
    )
    fails = (
        "When a foreign rule stands before ours and takes the requests without TLS for one of our names (`taken_by`), as the usual "
        "redirect of all names to HTTPS does."
    )
    snippet = "http_rules.ps1"
    unit = "rules"
    unfixable = frozenset({("rules", "taken_by")})

    def desired(self, site: Prepared) -> State:
        return {**{farm.name: {"extra_rules": ()} for farm in site.farms}, **rules_state(http_rules(site))}

    def parameters(self, site: Prepared) -> Mapping[str, Any]:
        return {**rules_parameters(site, http_rules(site)), "site": site.website.name}
