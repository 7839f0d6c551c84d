"""What the replay engine runs, and what a PowerShell would say to anything else."""

from __future__ import annotations

import re

COMMAND_NAME = "Invoke-LyncarrRequest"
WRITER_NAME = "Invoke-LyncarrApply"
WRITING = re.compile(r'"operation": ?"(apply|upload)"')
SHIPPED_ONLY = (
    "This is a replay host: it has no PowerShell and runs only the script that lyncarr ships. "
    "Start the lab with --powershell to run any other."
)


def not_found(name: str) -> str:
    return f"The term '{name}' is not recognized as the name of a cmdlet, function, script file, or operable program."
