"""Internet Information Services."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lyncarr.core.model import State, Step

if TYPE_CHECKING:
    from lyncarr.materials.prepare import Prepared


class Iis(Step):
    name = "iis"
    noun = "Iis"
    title = "The Web Server role is installed with its default features and IIS Manager, and its service runs."
    reason = (
        "ARR is a module of IIS. The runbook leaves every default of the wizard as it is, and the wizard adds IIS Manager, which the "
        "command leaves out."
    )
    source = "The runbook, step 1; Microsoft, 'Installing IIS 8.5 on Windows Server 2012 R2'"
    sets = (
        "The role `Web-Server` with what its wizard ticks by default (default document, directory browsing, HTTP errors, static content, "
        "logging, static compression, request filtering), the management tools and console where the edition offers them; and starts the "
        "service. Items: `Web-Server` (`installed`, and `missing`, the default features that are not installed) and `W3SVC` (`running`)."
    )
    never_touches = (
        "Features beyond that list, installed or not, and application pools. A feature that the edition does not have, such as IIS Manager "
        "on Server Core, is not missed."
    )
    fails = (
        "With the reason that Windows gives, when a feature does not install (removed sources need `-Source`), or is not there afterwards "
        "though Windows said so; on a Windows without that role (exit code 77); when the service does not start. A restart that Windows "
        "asks for ends the run with 3, and the next one goes on."
    )
    snippet = "iis.ps1"

    def desired(self, site: Prepared) -> State:
        return {"Web-Server": {"installed": True, "missing": ()}, "W3SVC": {"running": True}}
