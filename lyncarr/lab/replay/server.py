"""The server that the stored states describe, as one step of a request sees it: what is installed, and what is missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lyncarr.lab.replay.failure import needs
from lyncarr.lab.replay.rules import Rule, States, read_rules, same

State = dict[str, dict[str, Any]]
Desired = Mapping[str, Mapping[str, Any]]

SITE = "Default Web Site"
"""The web site that comes with IIS."""
GLOBAL_RULES, WEB_FARMS = "system.webServer/rewrite/globalRules", "webFarms"
SECTIONS = {GLOBAL_RULES: "URL Rewrite", WEB_FARMS: "Application Request Routing"}
"""Section of applicationHost.config -> the product that declares it."""


NO_IIS = "IIS is not installed on this host"


@dataclass(frozen=True)
class Note:
    """`item` is what the note is about, None where it is the host."""

    kind: str
    text: str
    item: str | None = None


@dataclass
class Request:
    """One step of a request, and the notes that it adds. `steps` are the names of all steps of the request."""

    states: States
    desired: Desired
    parameters: Mapping[str, Any]
    steps: tuple[str, ...]
    notes: list[Note] = field(default_factory=list)

    def note(self, kind: str, text: str, item: str | None = None) -> None:
        self.notes.append(Note(kind, text, item))

    def note_need(self, step: str, reason: str, item: str | None = None) -> None:
        """Note that the setter would stop because another step must precede, unless that step is part of the request."""
        if step not in self.steps:
            self.note("needs", f"needs step {step}: {reason}", item)

    def stored(self, step: str) -> State:
        return self.states.setdefault(step, {})

    # The server, as the stored states describe it:

    @property
    def has_iis(self) -> bool:
        return self.stored("iis").get("Web-Server", {}).get("installed") is True

    @property
    def service(self) -> str:
        """The state of W3SVC: running, stopped or absent."""
        service = self.stored("iis").get("W3SVC")
        return "absent" if service is None else "running" if service.get("running") else "stopped"

    def has_product(self, name: str) -> bool:
        return self.stored("arr").get(name, {}).get("installed") is True

    def has_section(self, section: str) -> bool:
        return self.has_iis and self.has_product(SECTIONS[section])

    def farm(self, name: str) -> dict[str, Any] | None:
        """The attributes of a farm, None where it is not there."""
        if not self.has_section(WEB_FARMS):
            return None
        return next((item for key, item in self.stored("farms").items() if same(key, name) and "/" not in key), None)

    def rules(self) -> list[Rule]:
        return read_rules(self.states) if self.has_section(GLOBAL_RULES) else []

    def key(self, thumbprint: str) -> dict[str, Any] | None:
        """The certificate in LocalMachine\\My with this thumbprint, and whether its private key opens."""
        items = self.stored("certificate").values()
        return next((item for item in items if "private_key" in item and same(item.get("thumbprint"), thumbprint)), None)

    def web_sites(self) -> list[str]:
        stored = [name for name, item in self.stored("https-binding").items() if "certificate" not in item]
        return [*stored] or [SITE]

    # What setters require:

    def need_section(self, section: str) -> None:
        if not self.has_section(section):
            raise needs("arr", f"this host has no configuration section '{section}'")

    def need_farm(self, name: str) -> None:
        self.need_section(WEB_FARMS)
        if self.farm(name) is None:
            raise needs("farms", f"the farm '{name}' does not exist on this host")

    def need_iis(self) -> None:
        if self.service == "absent":
            raise needs("iis", NO_IIS)
