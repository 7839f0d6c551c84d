"""The console script: the Typer app, its errors and exit codes. Imports nothing heavy, so that `--help` stays quick."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from types import FrameType

from typer.exceptions import Abort, Exit, TyperException
from typer.main import get_command

from lyncarr.cli.libraries import quiet_libraries
from lyncarr.cli.output import print_error, print_line
from lyncarr.cli.streams import lost_output, prepare_streams
from lyncarr.cli.usage import usage_error
from lyncarr.core.errors import INTERRUPTED, FaultError, LyncarrError
from lyncarr.core.interrupts import StopNow, heeded


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave the process with its exit code."""
    prepare_streams()
    handled = heeded()
    try:
        for number in handled:
            signal.signal(number, _stop)
        code = run(sys.argv[1:] if arguments is None else list(arguments))
        for number in handled:
            signal.signal(number, signal.SIG_IGN)
    except StopNow:
        # Ctrl-C after the command had finished.
        code = INTERRUPTED
    if reason := lost_output():
        print_line(f"warning: Standard output is incomplete ({reason}). The exit code is correct.")
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """Run one command line; returns the exit code. Errors are printed on standard error, as a message and a hint."""
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
        refused = usage_error(error, command, arguments)
        print_error(refused, verbose=False)
        return refused.exit_code
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
    # Not KeyboardInterrupt: Typer would handle that one without a message.
    raise StopNow
