"""What Windows may log of a secret: nothing. Module logging (event 4103) writes down the arguments of commands that belong to a module."""

from __future__ import annotations

import re

import pytest

from lyncarr.powershell.bundle import MAIN, SHARED, read_snippet
from lyncarr.steps import STEPS

SNIPPETS = (MAIN, *SHARED, *(step.snippet for step in STEPS))
COMMAND = re.compile(r"(?<![\w$])[A-Z][a-z]+-[A-Z]\w*")
OURS = re.compile(r"[A-Z][a-z]+-(Lyncarr\w+|\w+State|NOUNState)")
SECRET = re.compile(r"\$(input|secrets)\b|\$found\.Groups", re.IGNORECASE)


@pytest.mark.parametrize("name", SNIPPETS)
def test_no_command_of_a_module_sees_a_secret(name: str) -> None:
    lines = [line for line in read_snippet(name).splitlines() if SECRET.search(line) and not line.lstrip().startswith("#")]
    foreign = [line.strip() for line in lines if any(not OURS.fullmatch(found) for found in COMMAND.findall(line))]
    assert foreign == []


def test_only_the_request_is_read_by_a_command() -> None:
    found = [line.strip() for name in SNIPPETS for line in read_snippet(name).splitlines() if re.search(r"(ConvertFrom-Json) -", line)]
    assert found == ["$table = ConvertTo-LyncarrTable -Value (ConvertFrom-Json -InputObject $Request)"]
