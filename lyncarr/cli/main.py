"""The console script: one error boundary around the Typer app, and the exit codes. Imports nothing heavy: `--help` stays quick."""

from __future__ import annotations

import difflib
import re
import sys
import traceback
from collections.abc import Sequence

from typer.exceptions import Abort, Exit, TyperException
from typer.main import get_command

from lyncarr.core.errors import INTERRUPTED, MISUSE, LyncarrError
from lyncarr.core.interrupts import StopNow


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave the process with its exit code."""
    sys.exit(run(sys.argv[1:] if arguments is None else list(arguments)))


def run(arguments: list[str]) -> int:
    """Run one command line; returns the exit code. Foreseen errors are one sentence on standard error."""
    from lyncarr.cli.app import app

    command = get_command(app)
    try:
        answer = command.main(args=arguments or ["--help"], prog_name="lyncarr", standalone_mode=False)
        return answer if isinstance(answer, int) else 0
    except LyncarrError as error:
        tell(error, verbose="--verbose" in arguments)
        return error.exit_code
    except TyperException as error:
        _say(_usage_sentence(error.format_message(), command, arguments))
        return MISUSE
    except Exit as leave:
        return leave.exit_code
    except (KeyboardInterrupt, StopNow, Abort):
        _say("Interrupted; nothing was written.")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output went away (`lyncarr ... | head`): not an error of ours, and no place left to say anything.
        sys.stdout = None
        return 0
    except Exception as error:
        traceback.print_exc()
        _say(
            f"This is a fault in lyncarr ({type(error).__name__}). Please report it with the lines above; run it again to see the host's state."
        )
        return 70


def tell(error: LyncarrError, *, verbose: bool) -> None:
    """An error for people: its sentence, and with --verbose the technical cause."""
    _say(str(error))
    if verbose and error.detail:
        _say(f"cause: {error.detail}")


def _say(sentence: str) -> None:
    print(f"lyncarr: {sentence}", file=sys.stderr)


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
