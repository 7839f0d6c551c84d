"""A command line that cannot be parsed, in lyncarr's words: the value that was found, and the nearest command or option."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Sequence
from typing import Any

from typer.exceptions import TyperException

from lyncarr.core.errors import UsageError
from lyncarr.core.text import quoted, safe

INSTEAD = {"apply": "provision", "validate": "check", "verify": "plan", "export": "plan --output json"}
"""Commands of similar tools that lyncarr does not have -> the command line to use instead. Remove an entry when its command exists."""
HELP = "lyncarr --help lists the commands, lyncarr COMMAND --help the options of one."

_COMMAND = re.compile(r"No such command '(?P<name>.*?)'", re.DOTALL)
_OPTION = re.compile(r"No such option: (?P<name>\S+)")
_VALUE = re.compile(r"Option '(?P<name>.*?)' requires (an argument|\d+ arguments)")
_MISSING = re.compile(r"Missing argument '(?P<name>.*?)'")
_EXTRA = re.compile(r"Got unexpected extra argument\S* \((?P<names>[^()]*)\)", re.DOTALL)


def usage_error(error: TyperException, command: Any, arguments: Sequence[str]) -> UsageError:
    """The error for a command line that the parser refused. `command` is the root command."""
    message = error.format_message().strip()
    chosen = next((command.commands[word] for word in arguments if word in command.commands), command)
    if found := _COMMAND.match(message):
        return UsageError(f"Unknown command {quoted(found['name'])}.", hint=_nearest_command(found["name"], command.commands))
    if found := _OPTION.match(message):
        return UsageError(f"Unknown option {quoted(found['name'])}.", hint=_nearest_option(found["name"], chosen))
    if found := _VALUE.match(message):
        return UsageError(f"{safe(found['name'])} needs a value.", hint=HELP)
    if found := _MISSING.match(message):
        return UsageError(f"The argument {safe(found['name'])} is missing.", hint=HELP)
    if found := _EXTRA.match(message):
        takes_host = any(parameter.name == "host" for parameter in chosen.params)
        hint = "Run the command once for each host." if takes_host else HELP
        return UsageError(f"Unexpected argument: {safe(found['names'])}.", hint=hint)
    return UsageError(safe(message) if message.endswith(".") else f"{safe(message)}.", hint=HELP)


def _nearest_command(name: str, commands: Collection[str]) -> str:
    if name in INSTEAD and name not in commands:
        return f"Did you mean lyncarr {INSTEAD[name]}?"
    near = difflib.get_close_matches(name, sorted(commands), 1)
    return f"Did you mean lyncarr {near[0]}?" if near else HELP


def _nearest_option(name: str, command: Any) -> str:
    options = sorted({option for parameter in command.params for option in parameter.opts if option.startswith("--")})
    near = difflib.get_close_matches(name, options, 1)
    return f"Did you mean {near[0]}?" if near else HELP
