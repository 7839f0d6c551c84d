"""The console script: one error boundary around the Typer app, and the exit codes. Imports nothing heavy: `--help` stays quick."""

from __future__ import annotations

import difflib
import re
import signal
import sys
from collections.abc import Sequence
from types import FrameType

from typer.exceptions import Abort, Exit, TyperException
from typer.main import get_command

from lyncarr.cli.libraries import quiet_libraries
from lyncarr.cli.output import print_error, print_line
from lyncarr.cli.streams import lost_output, prepare_streams
from lyncarr.core.errors import INTERRUPTED, MISUSE, FaultError, LyncarrError
from lyncarr.core.interrupts import StopNow


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave the process with its exit code."""
    prepare_streams()
    # One that is ignored was meant for others: a shell starts its background jobs so.
    heard = [number for number in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(number) is not signal.SIG_IGN]
    try:
        for number in heard:
            signal.signal(number, _stop)
        code = run(sys.argv[1:] if arguments is None else list(arguments))
        for number in heard:
            signal.signal(number, signal.SIG_IGN)
    except StopNow:
        # Pressed when all was said.
        code = INTERRUPTED
    if reason := lost_output():
        print_line(f"warning: Standard output is incomplete ({reason}). The exit code is correct.")
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """Run one command line; returns the exit code. Foreseen errors are one sentence on standard error."""
    from lyncarr.cli.app import app

    quiet_libraries()
    command = get_command(app)
    try:
        answer = command.main(args=arguments or ["--help"], prog_name="lyncarr", standalone_mode=False)
        return answer if isinstance(answer, int) else 0
    except LyncarrError as error:
        print_error(error, verbose="--verbose" in arguments)
        return error.exit_code
    except TyperException as error:
        print_line(f"error: {_usage_sentence(error.format_message(), command, arguments)}")
        return MISUSE
    except Exit as leave:
        return leave.exit_code
    except (StopNow, Abort):
        print_line("Interrupted. Nothing was written.")
        return INTERRUPTED
    except Exception as error:
        fault = FaultError(error)
        print_error(fault, verbose=False)
        return fault.exit_code


def _stop(number: int, frame: FrameType | None) -> None:
    # Not KeyboardInterrupt, which Typer takes and says nothing of.
    raise StopNow


def _usage_sentence(message: str, command: object, arguments: list[str]) -> str:
    """Typer's sentence, with the nearest option added where it names an unknown one, and the way to the help."""
    message = re.sub(r"\s*\(Possible options:.*\)", "", message.strip(), flags=re.DOTALL).rstrip(".")
    if message.endswith("?"):
        return message
    unknown = re.fullmatch(r"No such option: (--\S+)", message)
    near = difflib.get_close_matches(unknown[1], sorted(_options(command, arguments)), 1) if unknown else []
    if near:
        return f"{message}; did you mean {near[0]}?"
    return f"{message}. lyncarr --help shows the commands, lyncarr COMMAND --help their options."


def _options(command: object, arguments: list[str]) -> set[str]:
    commands = getattr(command, "commands", {})
    chosen = next((commands[word] for word in arguments if word in commands), command)
    return {name for parameter in getattr(chosen, "params", []) for name in parameter.opts}
