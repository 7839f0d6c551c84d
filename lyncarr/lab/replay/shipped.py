"""What the replay engine runs, and what a PowerShell would say to anything else."""

from __future__ import annotations

import re

from lyncarr.powershell.bundle import bundle_of

COMMAND_NAME = "Invoke-LyncarrRequest"
MISSING = {"look": COMMAND_NAME, "lock": "Enter-LyncarrLock", "write": "Invoke-LyncarrApply"}
"""Kind of a bundle -> the function that is missing without it."""
LOCKED = re.compile(r'"lock": ?true')
OPERATION = re.compile(r'"operation": ?"([^"]*)"')
SHIPPED_ONLY = (
    "This is a replay host: it has no PowerShell and runs only the script that lyncarr ships. "
    "Start the lab with --powershell to run any other."
)


def needed(request: str) -> str:
    """The kind of the bundle that `request` needs."""
    found = OPERATION.search(request)
    return bundle_of(found[1] if found else "", lock=LOCKED.search(request) is not None)


def not_found(name: str) -> str:
    return f"The term '{name}' is not recognized as the name of a cmdlet, function, script file, or operable program."
