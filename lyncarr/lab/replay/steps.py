"""What the steps of the script do on the replayed host: what each needs, what it answers, what it sets, all over stored states.

Each function stands for the Get-<Noun>State or Set-<Noun>State of the same step in ps_snippets, with its notes and failures in its words.
tests/windows/test_honest_replay.py sends the same requests to both. Not simulated: name resolution, other web sites, HTTP.sys records that
IIS does not know, older certificates of the same name, pending file renames, downloads, and restarts that an installer asks for.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from lyncarr.lab.replay import rule_steps
from lyncarr.lab.replay.failure import Failed, needs
from lyncarr.lab.replay.rules import CONDITIONS, among, same
from lyncarr.lab.replay.server import NO_IIS, SITE, WEB_FARMS, Request, State

NEW_FARM: Mapping[str, Mapping[str, Any]] = {"disk-cache": {"enabled": True}, "proxy-timeout": {"timeout_s": 30}}
"""Step -> the defaults of ARR for a farm that has no value of its own."""
OUTSIDE_IIS = frozenset({"trusted-roots", "certificate"})
NEW_SERVER: Mapping[str, Any] = {"enabled": True, "http_port": 80, "https_port": 443}


def observe(step: str, request: Request) -> State:
    """The state that the step's getter answers. Raises Failed for a step that the script does not know."""
    if step not in STEPS:
        raise Failed("error", f"unknown step '{step}'")
    return copy.deepcopy(STEPS[step][0](request))


def apply(step: str, request: Request) -> None:
    """Set the step in the states of `request`. Raises Failed where the step's setter would end the request."""
    if step not in STEPS:
        raise Failed("error", f"unknown step '{step}'")
    STEPS[step][1](request)


def backs_up(names: Sequence[str]) -> bool:
    """Whether a change of these steps changes the configuration of IIS, which is copied before a run's first change of it."""
    return not OUTSIDE_IIS.issuperset(names)


def _lists(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, list | tuple) else value for name, value in attributes.items()}


# iis


def _get_iis(request: Request) -> State:
    state: State = {}
    if request.has_iis:
        state["Web-Server"] = {"installed": True, "missing": request.stored("iis")["Web-Server"].get("missing", [])}
        request.note("version", "IIS Version 8.5", "IIS")
    if request.service != "absent":
        state["W3SVC"] = {"running": request.service == "running"}
    return state


def _set_iis(request: Request) -> None:
    if not request.has_iis:
        request.stored("https-binding").setdefault(SITE, {"started": True, "autostart": True})
    request.stored("iis").update({"Web-Server": {"installed": True, "missing": []}, "W3SVC": {"running": True}})


# arr


def _get_arr(request: Request) -> State:
    state: State = {}
    for name in request.desired:
        if request.has_product(name):
            state[name] = {"installed": True}
            request.note("version", f"{name} {VERSIONS.get(name, '')}".strip(), name)
            continue
        lacking, action = _lacking(name, request.parameters)
        if lacking:
            request.note("needs", f"{lacking}: {action}", name)
        else:
            key = f"installers.{request.parameters['keys'][name]}"
            request.note("installer", f"{name} will be installed from its package ({key})", name)
    if request.service == "absent":
        request.note_need("iis", NO_IIS)
    return state


VERSIONS = {"URL Rewrite": "7.2.1993", "Application Request Routing": "3.0.05311"}


def _lacking(name: str, parameters: Mapping[str, Any]) -> tuple[str, str]:
    """What is missing to install a product, and what to do; empty where a package is given. The replayed host has no WebPI."""
    key = f"installers.{parameters['keys'][name]}"
    if name in parameters["packages"]:
        return "", ""
    if name not in parameters["webpi"]:
        return f"{name} needs an installer", f"set {key} in the configuration file"
    return (
        f"{name} needs WebpiCmd, which is not installed on this host",
        f'install the Web Platform Installer on the host, or set {key} to the package, with source = "auto"',
    )


def _set_arr(request: Request) -> None:
    request.need_iis()
    for name in request.desired:
        lacking, action = ("", "") if request.has_product(name) else _lacking(name, request.parameters)
        if lacking:
            raise Failed("needs", lacking, hint=f"To continue, {action}.")
    for name in request.desired:
        request.stored("arr")[name] = {"installed": True}


# trusted-roots and certificate


def _stored_certificates(request: Request) -> Iterator[str]:
    """The items of the desired state that are in their store."""
    present = [item for step in ("trusted-roots", "certificate") for item in request.stored(step).values() if "store" in item]
    for name, desired in request.desired.items():
        if "store" in desired and any(
            same(item["store"], desired["store"]) and same(item.get("thumbprint"), desired["thumbprint"]) for item in present
        ):
            yield name


def _get_trusted_roots(request: Request) -> State:
    return {name: dict(request.desired[name]) for name in _stored_certificates(request)}


def _set_trusted_roots(request: Request) -> None:
    request.stored("trusted-roots").update({name: dict(item) for name, item in request.desired.items()})


def _get_certificate(request: Request) -> State:
    state = _get_trusted_roots(request)
    for name, desired in request.desired.items():
        if "private_key" in desired and (key := request.key(desired["thumbprint"])) is not None:
            state[name] = {"thumbprint": desired["thumbprint"], "private_key": bool(key["private_key"])}
    return state


def _set_certificate(request: Request) -> None:
    request.stored("certificate").update({name: dict(item) for name, item in request.desired.items()})


# https-binding


def _no_site(request: Request, name: str) -> str:
    names = ", ".join(f"'{each}'" for each in request.web_sites())
    return f"the web site '{name}' does not exist on this host, which has {names}"


def _get_https_binding(request: Request) -> State:
    if not request.desired:
        return {}
    if not request.has_iis:
        request.note_need("iis", NO_IIS)
        return {}
    site, binding = request.parameters["site"], request.parameters["binding"]
    _note_other_bindings(request)
    if not among(site, request.web_sites()):
        request.note("needs", f"{_no_site(request, site)}: set website.name in the configuration file", site)
        return {}
    stored = request.stored("https-binding")
    attributes = next((item for name, item in stored.items() if same(name, site)), {"started": True, "autostart": True})
    started = bool(attributes.get("started")) and request.service == "running"
    if not started and request.service != "running":
        request.note_need("iis", "the service W3SVC is not running")
    state: State = {site: {"started": started, "autostart": bool(attributes.get("autostart"))}}
    if binding in stored:
        state[binding] = stored[binding]
    return state


def _note_other_bindings(request: Request) -> None:
    """Add a note for each other binding on the port; all that are stored belong to the first web site."""
    site, port, owner = request.parameters["site"], str(request.parameters["port"]), request.web_sites()[0]
    desired = request.desired[request.parameters["binding"]]["certificate"]
    for name, item in request.stored("https-binding").items():
        if "certificate" not in item or name.rsplit(":", 2)[1] != port:
            continue
        if not same(owner, site):
            text = f"the web site '{owner}' also has an https binding on port {port} ({name}): its requests do not reach '{site}'"
            request.note("other-site", text, owner)
        elif not same(name, request.parameters["binding"]) and item["certificate"] != desired:
            text = (
                f"the web site '{site}' has another https binding on port {port} ({name}) with another certificate "
                f"({item['certificate']}), which clients see first: remove the binding if nothing needs it"
            )
            request.note("other-record", text, name)


def _set_https_binding(request: Request) -> None:
    if not request.has_iis:
        raise needs("iis", NO_IIS)
    site, binding = request.parameters["site"], request.parameters["binding"]
    if not among(site, request.web_sites()):
        raise Failed("binding", _no_site(request, site), hint="Set website.name in the configuration file.")
    desired = request.desired[binding]
    key = request.key(desired["certificate"])
    if key is None or not key["private_key"]:
        raise needs("certificate", f"{desired['certificate']} is not in LocalMachine\\My with a private key")
    if request.service != "running":
        raise needs("iis", "the service W3SVC is not running")
    stored = request.stored("https-binding")
    stored[binding] = dict(desired)
    stored[next((name for name in stored if same(name, site)), site)] = dict(request.desired[site])


# farms, disk-cache and proxy-timeout


def _get_farms(request: Request) -> State:
    state: State = {}
    stored = request.stored("farms")
    for name, desired in request.desired.items():
        if name == "iisreset":
            state[name] = {"pending": bool(stored.get(name, {}).get("pending"))}
            continue
        farm_name, _, server = name.partition("/")
        farm = request.farm(farm_name)
        if farm is None:
            continue
        addresses = [str(address) for address in farm.get("servers", [])]
        if not server:
            if sorted(map(str.casefold, addresses)) == sorted(map(str.casefold, desired["servers"])):
                addresses = list(desired["servers"])
            state[name] = {**farm, "servers": addresses}
        elif among(server, addresses):
            state[name] = next((item for key, item in stored.items() if same(key, name)), dict(NEW_SERVER))
    return state


def _set_farms(request: Request) -> None:
    request.need_section(WEB_FARMS)
    stored = request.stored("farms")
    for name, desired in request.desired.items():
        if "/" in name or name == "iisreset":
            continue
        farm = request.farm(name)
        if farm is None:
            farm = stored.setdefault(name, {})
            for step in NEW_FARM:
                request.stored(step).pop(name, None)
        farm.update(_lists(desired))
    stored.update({name: _lists(item) for name, item in request.desired.items() if "/" in name or name == "iisreset"})


def _farm_attribute(step: str) -> tuple[Callable[[Request], State], Callable[[Request], None]]:
    """Getter and setter of a step that sets one attribute of each farm."""

    def get(request: Request) -> State:
        state: State = {}
        for name in request.desired:
            if request.farm(name) is not None:
                state[name] = next((item for key, item in request.stored(step).items() if same(key, name)), dict(NEW_FARM[step]))
            else:
                request.note_need("farms", f"the farm '{name}' does not exist on this host yet", name)
        return state

    def set_all(request: Request) -> None:
        for name, desired in request.desired.items():
            request.need_farm(name)
            request.stored(step)[name] = dict(desired)

    return get, set_all


STEPS: dict[str, tuple[Callable[[Request], State], Callable[[Request], None]]] = {
    "iis": (_get_iis, _set_iis),
    "arr": (_get_arr, _set_arr),
    "trusted-roots": (_get_trusted_roots, _set_trusted_roots),
    "certificate": (_get_certificate, _set_certificate),
    "https-binding": (_get_https_binding, _set_https_binding),
    "farms": (_get_farms, _set_farms),
    "disk-cache": _farm_attribute("disk-cache"),
    "proxy-timeout": _farm_attribute("proxy-timeout"),
    "ssl-offload": (rule_steps.get_ssl_offload, rule_steps.set_ssl_offload),
    "http-rules": (rule_steps.get_http_rules, rule_steps.set_http_rules),
    CONDITIONS: (rule_steps.get_host_conditions, rule_steps.set_host_conditions),
}
"""Step -> its getter and its setter. The step of the conditions has the name of their states."""
