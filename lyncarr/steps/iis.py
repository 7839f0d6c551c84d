"""Internet Information Services."""

from __future__ import annotations

from typing import Any

from lyncarr.core.model import State, Step


class Iis(Step):
    name = "iis"
    noun = "Iis"
    title = "The Web Server role is installed with its default features and IIS Manager, and its service runs."
    reason = (
        "ARR is a module of IIS. The runbook leaves every default of the wizard as it is: default document, directory browsing, errors, "
        "static content, logging, static compression and request filtering, and IIS Manager, which the command leaves out where the "
        "wizard does not. A feature that an edition does not have, such as IIS Manager on Server Core, is not missed. "
        "Install-WindowsFeature may ask for a restart: then the run ends with 3 and the next one goes on."
    )
    source = "The runbook, step 1; Microsoft, 'Installing IIS 8.5 on Windows Server 2012 R2'"
    snippet = "iis.ps1"

    def desired(self, site: Any) -> State:
        return {"Web-Server": {"installed": True, "missing": ()}, "W3SVC": {"running": True}}
