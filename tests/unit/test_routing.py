"""Who answers a request. The expectations are written from Microsoft's documentation; each row names the part.

REF is url-rewrite-module-configuration-reference, REF2 url-rewrite-module-20-configuration-reference, both of iis-docs; ARR is
reverse-proxy-with-url-rewrite-v2-and-application-request-routing, and the rules that ARR makes for a server farm.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lyncarr.config.loader import load_site
from lyncarr.materials.prepare import prepare
from lyncarr.routing.config import ConfigError, read_config
from lyncarr.routing.evaluate import evaluate
from lyncarr.routing.model import Action, Condition, Config, Farm, Outcome, Request, RewriteMap, Rule, Server
from lyncarr.routing.patterns import unknown_construct
from lyncarr.steps.rules import all_rules

FARMS = (
    Farm("dialin.contoso.com", (Server("fe1.contoso.local", http_port=8080, https_port=4443),)),
    Farm("wac", (Server("down.contoso.local", enabled=False), Server("wac1.contoso.local"))),
    Farm("empty"),
    Farm("off", (Server("x.contoso.local"),), enabled=False),
)
HOST = "https://dialin.contoso.com"


def rewrite(url: str, *, pattern: str = "(.*)", name: str = "rule", stop: bool = True, **more: object) -> Rule:
    return Rule(name, pattern, Action("Rewrite", url), stop=stop, **more)  # type: ignore[arg-type]


def on(*conditions: Condition | tuple[str, str]) -> tuple[Condition, ...]:
    return tuple(each if isinstance(each, Condition) else Condition(*each) for each in conditions)


def answer(url: str, *rules: Rule, **config: object) -> Outcome:
    return evaluate(Config(rules=rules, farms=FARMS, **config), Request.parse(url))  # type: ignore[arg-type]


def seen(outcome: Outcome) -> tuple[str, str | None]:
    return outcome.kind, outcome.url


BOTH = on(("{QUERY_STRING}", "p1=([0-9]+)"), ("{QUERY_STRING}", "p2=([0-9]+)"))
SAMPLE = "07/article.html"
ROWS = [
    # REF "Using back-references": ([0-9]+)/([a-z]+)\.html captures 07 and article.
    (f"{HOST}/{SAMPLE}", rewrite("/{R:1}-{R:2}", pattern=r"([0-9]+)/([a-z]+)\.html"), "site", f"{HOST}/07-article"),
    # REF "Rule pattern syntax": the asterisk captures, the question mark is one character and captures nothing.
    (f"{HOST}/Scripts/a_in.asp", rewrite("/{R:1}", pattern="scripts/*_in.???", syntax="Wildcard"), "site", f"{HOST}/a"),
    (f"{HOST}/Scripts/a_in.as", rewrite("/{R:1}", pattern="scripts/*_in.???", syntax="Wildcard"), "site", f"{HOST}/Scripts/a_in.as"),
    (f"{HOST}/07/a.html", rewrite("/{R:1}/{R:2}", pattern="*/*.html", syntax="Wildcard"), "site", f"{HOST}/07/a"),
    # The pattern of a wildcard is the whole text; a regular expression is found anywhere.
    (f"{HOST}/x/news", rewrite("/found", pattern="news", syntax="Wildcard"), "site", f"{HOST}/x/news"),
    (f"{HOST}/x/news", rewrite("/found", pattern="news"), "site", f"{HOST}/found"),
    (f"{HOST}/NEWS", rewrite("/found", pattern="news", syntax="ExactMatch"), "site", f"{HOST}/found"),
    (f"{HOST}/newsx", rewrite("/found", pattern="news", syntax="ExactMatch"), "site", f"{HOST}/newsx"),
    # REF "Rule pattern properties": case-insensitive by default; ignoreCase="false"; negate.
    (f"{HOST}/NEWS", rewrite("/found", pattern="^news$"), "site", f"{HOST}/found"),
    (f"{HOST}/NEWS", rewrite("/found", pattern="^news$", ignore_case=False), "site", f"{HOST}/NEWS"),
    (f"{HOST}/other", rewrite("/found", pattern="^news$", negate=True), "site", f"{HOST}/found"),
    # REF "Rewrite action": appendQueryString is true by default.
    (f"{HOST}/a?p=1", rewrite("/b"), "site", f"{HOST}/b?p=1"),
    (f"{HOST}/a?p=1", rewrite("/b?q=2"), "site", f"{HOST}/b?q=2&p=1"),
    (f"{HOST}/a?p=1", Rule("r", ".*", Action("Rewrite", "/b", append_query_string=False), stop=True), "site", f"{HOST}/b"),
    # REF "Rule conditions": MatchAll, MatchAny, negate; a rule has zero or more.
    (f"{HOST}/a", rewrite("/b", conditions=on(("{HTTP_HOST}", "^dialin"), ("{HTTPS}", "^on$"))), "site", f"{HOST}/b"),
    (f"{HOST}/a", rewrite("/b", conditions=on(("{HTTP_HOST}", "^meet"), ("{HTTPS}", "^on$"))), "site", f"{HOST}/a"),
    (f"{HOST}/a", rewrite("/b", conditions=on(("{HTTP_HOST}", "^meet"), ("{HTTPS}", "^on$")), match_any=True), "site", f"{HOST}/b"),
    (f"{HOST}/a", rewrite("/b", conditions=on(Condition("{HTTP_HOST}", "^meet", negate=True))), "site", f"{HOST}/b"),
    # REF "Using server variables": headers, QUERY_STRING.
    (f"{HOST}/a?article=7", rewrite("/{C:1}", conditions=on(("{QUERY_STRING}", "article=([0-9]+)"))), "site", f"{HOST}/7?article=7"),
    ("http://dialin.contoso.com:8081/", rewrite("/{SERVER_PORT}"), "site", "http://dialin.contoso.com:8081/8081"),
    # REF "Using back-references": within an action, those of the last matched condition.
    (
        f"{HOST}/a?p1=1&p2=2",
        rewrite("/{C:1}", conditions=on(("{QUERY_STRING}", "p1=([0-9]+)"), ("{QUERY_STRING}", "p2=([0-9]+)"))),
        "site",
        f"{HOST}/2?p1=1&p2=2",
    ),
    # REF2 "Tracking capture groups": {C:1} and {C:2} of both conditions, {C:0} the text of the first.
    (
        f"{HOST}/article/23/?p1=123&p2=abc",
        rewrite(
            "/{C:0}|{C:1}|{C:2}|{C:3}",
            conditions=on(("{REQUEST_URI}", r"^/([a-z]+)/([0-9]+)/"), ("{QUERY_STRING}", "p2=([a-z]+)")),
            track_all_captures=True,
        ),
        "site",
        f"{HOST}/article/23/|article|23|abc?p1=123&p2=abc",
    ),
    # REF "String functions".
    (f"{HOST}/ABC", rewrite("/{ToLower:{R:0}}"), "site", f"{HOST}/abc"),
    (f"{HOST}/a b", rewrite("/x", conditions=on(("{UrlEncode:{R:0}}", "^a%20b$"))), "site", f"{HOST}/x"),
    (f"{HOST}/a?q=a%2Fb", rewrite("/x", conditions=on(("{UrlDecode:{QUERY_STRING}}", "^q=a/b$"))), "site", f"{HOST}/x?q=a%2Fb"),
    # REF "Redirect action": a status, and no further rule.
    (f"{HOST}/a?p=1", Rule("r", "(.*)", Action("Redirect", "https://other.example/{R:1}")), "redirect", "https://other.example/a?p=1"),
    # REF "CustomResponse action" and "AbortRequest action": no further rule.
    (f"{HOST}/a", Rule("r", ".*", Action("CustomResponse", status_code=403)), "response", None),
    (f"{HOST}/a", Rule("r", ".*", Action("AbortRequest")), "abort", None),
    # ARR: the rules of a farm; a disabled rule is not evaluated.
    (f"{HOST}/a?p=1", rewrite("https://dialin.contoso.com/{R:0}", pattern="*", syntax="Wildcard"), "farm", f"{HOST}/a?p=1"),
    (f"{HOST}/a", rewrite("https://DIALIN.contoso.com/{R:0}"), "farm", "https://DIALIN.contoso.com/a"),
    (f"{HOST}/a", rewrite("https://dialin.contoso.com/{R:0}", enabled=False), "site", f"{HOST}/a"),
    (f"{HOST}/a", rewrite("https://empty/{R:0}"), "response", "https://empty/a"),
    (f"{HOST}/a", rewrite("https://off/{R:0}"), "response", "https://off/a"),
    (f"{HOST}/a", rewrite("https://fe1.contoso.local:4443/{R:0}"), "response", "https://fe1.contoso.local:4443/a"),
    # What this machine does not know.
    (f"{HOST}/a", rewrite("/b", conditions=on(("{REMOTE_ADDR}", "^10\\."))), "unknown", None),
    (f"{HOST}/a", rewrite("/b", conditions=on(("{HTTP_USER_AGENT}", "Mozilla"))), "unknown", None),
    (f"{HOST}/a", rewrite("/b", conditions=on(Condition("{REQUEST_FILENAME}", match_type="IsFile"))), "unknown", None),
    (f"{HOST}/a", rewrite("/b", conditions=on(("{HTTP_HOST}", "^meet"), ("{REMOTE_ADDR}", "^10\\."))), "site", f"{HOST}/a"),
    (f"{HOST}/a", rewrite("/b", pattern=r"(?<name>a)"), "unknown", None),
    (f"{HOST}/a", rewrite("/{Nowhere:{R:0}}"), "unknown", None),
    (f"{HOST}/a%2fb", rewrite("/b"), "unknown", None),
    (f"{HOST}/a", rewrite("/b", pattern="(a+)+$(", ignore_case=False), "unknown", None),
]


@pytest.mark.parametrize(("url", "rule", "kind", "expected"), ROWS)
def test_one_rule(url: str, rule: Rule, kind: str, expected: str | None) -> None:
    assert seen(answer(url, rule)) == (kind, expected)


def test_a_rule_without_stop_hands_its_url_to_the_next() -> None:
    outcome = answer(
        f"{HOST}/a", rewrite("/lync/{R:1}", name="first", stop=False), rewrite("https://dialin.contoso.com/{R:0}", name="ours")
    )
    assert seen(outcome) == ("farm", "https://dialin.contoso.com/lync/a")
    assert [tried.matched for tried in outcome.trace] == [True, True]


def test_the_first_rule_with_stop_ends_the_evaluation() -> None:
    outcome = answer(f"{HOST}/a", rewrite("/b", name="first"), rewrite("https://dialin.contoso.com/{R:0}", name="ours"))
    assert (outcome.kind, outcome.rule, len(outcome.trace)) == ("site", "first", 1)


def test_a_farm_gives_the_first_enabled_server_and_the_port_of_the_scheme() -> None:
    assert answer(f"{HOST}/", rewrite("https://dialin.contoso.com/{R:0}")).server == "https://fe1.contoso.local:4443"
    assert answer(f"{HOST}/", rewrite("http://dialin.contoso.com/{R:0}")).server == "http://fe1.contoso.local:8080"
    assert answer(f"{HOST}/", rewrite("https://wac/{R:0}")).server == "https://wac1.contoso.local:443"


def test_another_host_needs_the_proxy_of_the_server() -> None:
    outcome = answer(f"{HOST}/a", rewrite("http://10.0.0.5:8080/{R:0}"), proxy=True)
    assert (outcome.kind, outcome.farm, outcome.server) == ("farm", None, "http://10.0.0.5:8080")


def test_a_rewrite_map_chooses_the_scheme() -> None:
    maps = (RewriteMap("MapProtocol", {"on": "https", "off": "http"}),)
    rule = rewrite("{MapProtocol:{HTTPS}}://dialin.contoso.com/{R:0}")
    assert answer("http://dialin.contoso.com/a", rule, maps=maps).server == "http://fe1.contoso.local:8080"
    assert answer("https://dialin.contoso.com/a", rule, maps=maps).server == "https://fe1.contoso.local:4443"


def test_a_variable_that_a_rule_sets_is_seen_by_the_next() -> None:
    first = Rule("first", ".*", Action("None"), server_variables=(("HTTP_HOST", "meet.contoso.com"),))
    second = rewrite("https://dialin.contoso.com/{R:0}", conditions=on(("{HTTP_HOST}", r"^dialin\.")))
    assert answer(f"{HOST}/a", first, second).kind == "site"


@pytest.mark.parametrize(("pattern", "path"), [(r"^(a|aa)+$", "a" * 5_000 + "!"), (r"^(.*?,){20}P", "1," * 40)])
def test_a_pattern_that_would_never_end_is_unknown(pattern: str, path: str) -> None:
    outcome = answer(f"{HOST}/{path}", rewrite("/b", pattern=pattern))
    assert outcome.kind == "unknown"
    assert "takes too long to evaluate" in outcome.reason


def test_texts_and_rules_without_limit_are_unknown() -> None:
    assert "more than 65536 characters" in answer(f"{HOST}/{'a' * 60_000}", rewrite("/{R:0}{R:0}")).reason
    assert answer(f"{HOST}/a", rewrite("/" + "{ToLower:" * 50 + "a" + "}" * 50)).kind == "unknown"
    assert answer(f"{HOST}/a", *(rewrite("/b", name=str(number), enabled=False) for number in range(2_001))).kind == "unknown"
    assert answer(f"{HOST}/a", rewrite("/b", pattern="a" * 5_000)).kind == "unknown"


@pytest.mark.parametrize(
    "pattern",
    [
        r"(?<n>a)",
        r"(?P<n>a)",
        r"(?i)a",
        r"(?<=a)b",
        r"(?>a)",
        r"\p{L}",
        r"\Aa",
        r"a\Z",
        r"a++",
        r"a{,3}",
        r"[a-[b]]",
        r"[]a]",
        r"\01",
        r"\7",
        "a{b}",
    ],
)
def test_a_construct_that_python_reads_otherwise_is_refused(pattern: str) -> None:
    assert unknown_construct(pattern)


@pytest.mark.parametrize(
    "pattern", [r"^dialin\.contoso\.com(:443)?$", r"(a)\1", r"[^/]+/(?:b|c){1,3}", r"a(?=b)(?!c)", r"\x41B\d\w", r"[\]a-z]", "a{2,}"]
)
def test_common_constructs_are_evaluated(pattern: str) -> None:
    assert unknown_construct(pattern) == ""


# The rules of lyncarr itself.

SITE = """
[[farms]]
name = "dialin.contoso.com"
servers = ["fe.contoso.local"]
[[farms]]
name = "meet.contoso.com"
servers = ["fe.contoso.local"]
[[farms]]
name = "wac.contoso.com"
kind = "office-web-apps"
servers = ["wac.contoso.local"]
"""
NAMES = ("dialin.contoso.com", "meet.contoso.com", "wac.contoso.com")


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Config:
    path = tmp_path_factory.mktemp("site") / "lyncarr.toml"
    path.write_text(SITE)
    site = prepare(load_site(path), None)
    rules = tuple(
        Rule(
            rule.name,
            str(rule.attributes["match"]),
            Action(rule.type, rule.url),
            syntax="Wildcard",
            stop=True,
            conditions=on(*(tuple(condition.split("=", 1)) for condition in rule.conditions)),  # type: ignore[arg-type]
        )
        for rule in all_rules(site)
    )
    farms = tuple(Farm(farm.name, tuple(Server(str(each), https_port=farm.https_port) for each in farm.servers)) for farm in site.farms)
    return Config(rules, farms=farms)


other_host = st.from_regex(r"[a-z]{1,8}\.example\.(com|net)", fullmatch=True)
foreign = st.builds(
    lambda host, target, stop, number: Rule(
        f"foreign {number}",
        "(.*)",
        Action("Rewrite", target),
        stop=stop,
        conditions=on(("{HTTP_HOST}", "^" + host.replace(".", r"\.") + "$")),
    ),
    other_host,
    st.sampled_from(["https://elsewhere/{R:1}", "/changed/{R:1}"]),
    st.booleans(),
    st.integers(0, 10**6),
)
places = st.lists(st.tuples(st.integers(0, 3), foreign), max_size=6)
paths = st.from_regex(r"/([a-z0-9]{0,6}/?){0,3}", fullmatch=True)


@given(places, st.sampled_from(NAMES), paths)
def test_each_published_name_leads_to_its_own_farm_whatever_rules_of_other_names_exist(
    ours: Config, added: list[tuple[int, Rule]], name: str, path: str
) -> None:
    rules = list(ours.rules)
    for at, rule in added:
        rules.insert(at, rule)
    outcome = evaluate(Config(tuple(rules), farms=ours.farms), Request.parse(f"https://{name}{path}"))
    assert (outcome.kind, outcome.farm, outcome.url) == ("farm", name, f"https://{name}{path}")
    alone = evaluate(ours, Request.parse(f"https://{name}{path}"))
    assert (outcome.rule, outcome.server) == (alone.rule, alone.server)


@given(st.permutations(range(3)), st.sampled_from(NAMES), paths)
def test_the_order_of_rules_for_different_names_changes_nothing(ours: Config, order: list[int], name: str, path: str) -> None:
    request = Request.parse(f"https://{name}{path}")
    mixed = evaluate(Config(tuple(ours.rules[n] for n in order), farms=ours.farms), request)
    kept = evaluate(ours, request)
    assert (mixed.kind, mixed.farm, mixed.rule, mixed.server, mixed.url) == (kept.kind, kept.farm, kept.rule, kept.server, kept.url)


# The file.

RULES = """<configuration>
<system.webServer><proxy enabled="true"/><rewrite>
  <globalRules>
    <rule name="a" patternSyntax="Wildcard" stopProcessing="true">
      <match url="*"/>
      <conditions logicalGrouping="MatchAny" trackAllCaptures="true">
        <add input="{HTTP_HOST}" pattern="dialin.*"/><add input="{HTTPS}" pattern="on" negate="true"/>
      </conditions>
      <serverVariables><set name="X" value="1"/></serverVariables>
      <action type="Rewrite" url="https://dialin/{R:0}" appendQueryString="false"/>
    </rule>
    <rule name="b" enabled="false"><match url="x" ignoreCase="false"/><action type="redirect" url="/y" redirectType="Found"/></rule>
    <rule name="c"><match url="z"/></rule>
    <remove name="C"/>
  </globalRules>
  <rewriteMaps><rewriteMap name="M" defaultValue="d"><add key="k" value="v"/></rewriteMap></rewriteMaps>
</rewrite></system.webServer>
<webFarms><webFarm name="dialin">
  <server address="fe"><applicationRequestRouting httpPort="8080" httpsPort="4443"/></server>
</webFarm></webFarms>
<location path="Default Web Site"><system.webServer><rewrite>
  <globalRules><rule name="site"/></globalRules>
</rewrite></system.webServer></location>
</configuration>"""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_file_is_read(encoding: str) -> None:
    config = read_config(f'<?xml version="1.0" encoding="UTF-8"?>\n{RULES}'.encode(encoding))
    assert [rule.name for rule in config.rules] == ["a", "b"]
    first, second = config.rules
    assert (first.syntax, first.stop, first.match_any, first.track_all_captures) == ("Wildcard", True, True, True)
    assert first.conditions == (Condition("{HTTP_HOST}", "dialin.*"), Condition("{HTTPS}", "on", negate=True))
    assert (first.server_variables, first.action) == ((("X", "1"),), Action("Rewrite", "https://dialin/{R:0}", append_query_string=False))
    assert (second.enabled, second.ignore_case, second.action) == (False, False, Action("Redirect", "/y", redirect_type=302))
    assert config.farms == (Farm("dialin", (Server("fe", True, 8080, 4443),)),)
    assert (config.maps, config.proxy) == ((RewriteMap("M", {"k": "v"}, "d"),), True)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("<configuration>", "not valid XML"),
        ("<other/>", "not configuration"),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]><configuration>&b;</configuration>", "document type"),
        (RULES.replace('enabled="false"', 'enabled="maybe"'), "not true or false"),
        (RULES.replace("Wildcard", "Glob"), "patternSyntax is 'Glob'"),
        (RULES.replace('httpPort="8080"', 'httpPort="-1"'), "not a number"),
        (RULES.replace("<globalRules>", '<globalRules configSource="rules.config">', 1), "in another file"),
        ("", "not valid XML"),
    ],
)
def test_a_file_that_cannot_be_evaluated_is_an_error(text: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        read_config(text.encode())


def test_the_recorded_host_of_an_earlier_version_is_evaluated() -> None:
    config = read_config((Path(__file__).parents[1] / "compatibility" / "0.1.0" / "applicationHost.config").read_bytes())
    outcome = evaluate(config, Request.parse("https://dialin.contoso.com/conf?x=1"))
    assert (outcome.kind, outcome.farm, outcome.server) == ("farm", "dialin.contoso.com", "https://fepool.contoso.local:4443")
