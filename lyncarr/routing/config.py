"""Rules, maps and farms out of a copy of applicationHost.config.

Only the configuration of the server itself: elements below <configuration>, and below <location path="">. Global rules exist on that level
only. Defaults are those of the schemas rewrite_schema.xml and arr_schema.xml.
"""

from __future__ import annotations

import codecs
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar, cast

from lyncarr.core.text import quoted
from lyncarr.routing.model import Action, ActionType, Condition, Config, Farm, RewriteMap, Rule, Server, Syntax

MAX_BYTES = 20 * 1024 * 1024
Made = TypeVar("Made")
_REDIRECTS = {"Permanent": 301, "Found": 302, "SeeOther": 303, "Temporary": 307}
_SYNTAXES = ("ECMAScript", "Wildcard", "ExactMatch")
_ACTIONS = ("None", "Rewrite", "Redirect", "CustomResponse", "AbortRequest")
_MATCH_TYPES = ("Pattern", "IsFile", "IsDirectory")


class ConfigError(ValueError):
    """The content is not a configuration that can be evaluated; the text says why."""


def read_config(data: bytes) -> Config:
    """The configuration in the content of a file. Raises ConfigError."""
    root = _document(data)
    if root.tag != "configuration":
        raise ConfigError(f"its first element is {quoted(root.tag)}, not configuration")
    levels = [root, *(each for each in root.iter("location") if each.get("path", "") in ("", "."))]
    rewrite = [found for level in levels for found in _at(level, "system.webServer/rewrite")]
    return Config(
        rules=tuple(_entries(rewrite, "globalRules", "rule", "name", _rule)),
        maps=tuple(_entries(rewrite, "rewriteMaps", "rewriteMap", "name", _map)),
        farms=tuple(_entries(levels, "webFarms", "webFarm", "name", _farm)),
        proxy=any(_flag(found, "enabled", False) for level in levels for found in _at(level, "system.webServer/proxy")),
    )


def _document(data: bytes) -> ET.Element:
    if len(data) > MAX_BYTES:
        raise ConfigError(f"it is larger than {MAX_BYTES // 1024 // 1024} MB")
    encoding = "utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeError:
        raise ConfigError("its text is neither UTF-8 nor UTF-16") from None
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise ConfigError("it has a document type, which no configuration of IIS has")
    try:
        return ET.fromstring(text.partition("?>")[2] if text.lstrip().startswith("<?xml") else text)  # noqa: S314  (no document type)
    except (ET.ParseError, RecursionError) as error:
        raise ConfigError(f"it is not valid XML ({error})") from None


def _at(level: ET.Element, path: str) -> Iterator[ET.Element]:
    for found in level.findall(path):
        for reason in ("configSource", "configProtectionProvider"):
            if found.get(reason) is not None:
                raise ConfigError(f"its section {path} is in another file or encrypted ({reason})")
        yield found


def _entries(parents: list[ET.Element], collection: str, entry: str, key: str, make: Callable[[ET.Element], Made]) -> Iterator[Made]:
    """The entries of a collection in their order, with <remove> and <clear> carried out."""
    found: dict[str, Made] = {}
    for parent in parents:
        for element in _at(parent, collection):
            for child in element:
                if child.tag == "clear":
                    found.clear()
                elif child.tag == "remove":
                    found.pop(child.get(key, "").casefold(), None)
                elif child.tag == entry:
                    found[child.get(key, "").casefold()] = make(child)
    yield from found.values()


def _rule(element: ET.Element) -> Rule:
    name = element.get("name", "")
    match, conditions = _child(element, "match"), _child(element, "conditions")
    return Rule(
        name=name,
        url=match.get("url", ""),
        action=_action(_child(element, "action")),
        enabled=_flag(element, "enabled", True),
        syntax=cast(Syntax, _word(element, "patternSyntax", _SYNTAXES)),
        stop=_flag(element, "stopProcessing", False),
        ignore_case=_flag(match, "ignoreCase", True),
        negate=_flag(match, "negate", False),
        conditions=tuple(_condition(each) for each in conditions.findall("add")),
        match_any=_word(conditions, "logicalGrouping", ("MatchAll", "MatchAny")) == "MatchAny",
        track_all_captures=_flag(conditions, "trackAllCaptures", False),
        server_variables=tuple((each.get("name", ""), each.get("value", "")) for each in _child(element, "serverVariables").findall("set")),
    )


def _condition(element: ET.Element) -> Condition:
    return Condition(
        input=element.get("input", ""),
        pattern=element.get("pattern", ""),
        match_type=cast(Any, _word(element, "matchType", _MATCH_TYPES)),
        ignore_case=_flag(element, "ignoreCase", True),
        negate=_flag(element, "negate", False),
    )


def _action(element: ET.Element) -> Action:
    return Action(
        type=cast(ActionType, _word(element, "type", _ACTIONS)),
        url=element.get("url", ""),
        append_query_string=_flag(element, "appendQueryString", True),
        redirect_type=_REDIRECTS[_word(element, "redirectType", tuple(_REDIRECTS))],
        status_code=_number(element, "statusCode", 0),
    )


def _map(element: ET.Element) -> RewriteMap:
    entries = {each.get("key", ""): each.get("value", "") for each in element.findall("add")}
    return RewriteMap(element.get("name", ""), entries, element.get("defaultValue", ""), _flag(element, "ignoreCase", True))


def _farm(element: ET.Element) -> Farm:
    return Farm(element.get("name", ""), tuple(_server(each) for each in element.findall("server")), _flag(element, "enabled", True))


def _server(element: ET.Element) -> Server:
    routing = _child(element, "applicationRequestRouting")
    return Server(
        element.get("address", ""), _flag(element, "enabled", True), _number(routing, "httpPort", 80), _number(routing, "httpsPort", 443)
    )


def _child(element: ET.Element, name: str) -> ET.Element:
    found = element.find(name)
    return ET.Element(name) if found is None else found


def _flag(element: ET.Element, name: str, default: bool) -> bool:
    value = element.get(name)
    words: Mapping[str, bool] = {"true": True, "false": False}
    if value is not None and value.lower() not in words:
        raise ConfigError(f"{element.tag}/@{name} is {quoted(value)}, not true or false")
    return default if value is None else words[value.lower()]


def _number(element: ET.Element, name: str, default: int) -> int:
    value = element.get(name)
    if value is not None and not (value.isascii() and value.isdigit() and len(value) < 10):
        raise ConfigError(f"{element.tag}/@{name} is {quoted(value)}, not a number")
    return default if value is None else int(value)


def _word(element: ET.Element, name: str, words: tuple[str, ...]) -> str:
    """The value of an enumeration; the first word is the default of the schema."""
    value = element.get(name)
    if value is None:
        return words[0]
    found = next((word for word in words if word.casefold() == value.casefold()), None)
    if found is None:
        raise ConfigError(f"{element.tag}/@{name} is {quoted(value)}; known are {', '.join(words)}")
    return found
