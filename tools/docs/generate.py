"""The generated parts of the pages: `python -m tools.docs.generate --write | --check`, which make docs and make check-docs call.

A part is in its page between two comments with its name. The text around the parts is written by hand. A part comes from the code: the
models of the configuration file, the options of the command line, the declarations and texts of the steps, the exit codes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any

from typer.main import get_command

from lyncarr.cli.app import app
from lyncarr.cli.teach import sections
from lyncarr.config.schema import site_schema
from lyncarr.config.tables import Table
from lyncarr.core.errors import EXIT_CODES
from lyncarr.core.model import Step
from lyncarr.powershell.bundle import BUNDLES, shipped
from lyncarr.powershell.protocol import FAILURE_KINDS, NOTE_KINDS
from lyncarr.report.events import LIVE
from lyncarr.steps import STAGES, STEPS
from lyncarr.steps.explanation import explain
from tools.docs.documents import DOCS, FIX, renewed

COMMANDS: dict[str, Any] = get_command(app).commands  # type: ignore[attr-defined]


def table(head: str, rows: Iterable[Iterable[str]]) -> str:
    """A markdown table. `head` contains the titles, separated by |."""
    titles = head.split("|")
    lines = [f"| {' | '.join(titles)} |", "|" + "---|" * len(titles)]
    lines += [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    return "\n".join(lines) + "\n"


# docs/site-file.md


def table_names() -> dict[str, str]:
    """Key of the file -> its table in TOML: hosts -> [hosts.NAME], farms -> [[farms]]."""
    names = {}
    for key, schema in site_schema()["properties"].items():
        names[key] = {"object": f"[{key}.NAME]", "array": f"[[{key}]]"}.get(schema.get("type"), f"[{key}]")
    return names


def models() -> dict[str, tuple[type[Table], dict[str, Any]]]:
    """Name of each table of the configuration file -> its model and its schema. Tables inside tables follow them."""
    schema = site_schema()
    classes = {model.__name__: model for model in Table.__subclasses__()}
    found: dict[str, tuple[type[Table], dict[str, Any]]] = {}

    def add(name: str, reference: str) -> None:
        model = reference.removeprefix("#/$defs/")
        found[name] = (classes[model], schema["$defs"][model])
        for key, inner in found[name][1]["properties"].items():
            if "$ref" in inner:
                add(f"{name[:-1]}.{key}]", inner["$ref"])

    for key, name in table_names().items():
        part = schema["properties"][key]
        add(name, (part.get("items") or part.get("additionalProperties") or part)["$ref"])
    return found


def type_of(schema: dict[str, Any]) -> str:
    """The type of a value, for people."""
    if "$ref" in schema:
        return "table"
    if "enum" in schema:
        *first, last = (f'`"{value}"`' for value in schema["enum"])
        return f"{', '.join(first)} or {last}" if first else last
    if "anyOf" in schema:
        return " or ".join(type_of(each) for each in schema["anyOf"])
    kind = schema["type"]
    if kind == "array":
        items = f"{type_of(schema['items'])}s"
        if "maxItems" not in schema:
            return f"list of {items}"
        return (
            f"list of {schema['minItems']} to {schema['maxItems']} {items}"
            if "minItems" in schema
            else f"list of {items}, at most {schema['maxItems']}"
        )
    if kind == "integer":
        return f"whole number, {schema['minimum']} to {schema['maximum']}" if "maximum" in schema else "whole number"
    return {"path": "path", "uri": "https URL"}.get(schema.get("format", ""), {"string": "text", "boolean": "true or false"}[kind])


def default_of(model: type[Table], key: str, schema: dict[str, Any]) -> str:
    field = model.model_fields[key]
    extra = field.json_schema_extra
    if field.is_required():
        return "must be given"
    if isinstance(extra, dict) and "otherwise" in extra:
        return str(extra["otherwise"])
    if "default" not in schema:
        return "none" if field.default is None else "empty"
    default = schema["default"]
    return f'`"{default}"`' if isinstance(default, str) else str(default).lower()


def site_table(name: str) -> str:
    model, schema = models()[name]
    rows = [(f"`{key}`", type_of(part), default_of(model, key, part), part["description"]) for key, part in schema["properties"].items()]
    parts = {written: site_schema()["properties"][key] for key, written in table_names().items()}
    text = table("key|type|default|what it does", rows)
    if name not in parts:
        return text
    count = f"{parts[name]['minItems']} to {parts[name]['maxItems']} tables. " if "maxItems" in parts[name] else ""
    return f"{count}{parts[name]['description']}\n\n{text}"


# docs/cli.md


def summary(command: Any) -> str:
    """The first paragraph of a command's help."""
    return " ".join(str(command.help).split("\n\n")[0].split())


def commands() -> str:
    return table("command|what it does", ((f"[`lyncarr {name}`](#lyncarr-{name})", summary(one)) for name, one in COMMANDS.items()))


def options() -> str:
    """A section for each command, with its arguments and options."""
    return "\n".join(f"### lyncarr {name}\n\n{summary(one)}\n\n{_options(one)}" for name, one in COMMANDS.items())


def _options(command: Any) -> str:
    rows = []
    for one in command.params:
        if "--help" in one.opts or one.hidden:
            continue
        is_option = one.param_type_name == "option"
        names = ", ".join(f"`{name}`" for name in (one.opts if is_option else [one.metavar]))
        rows.append((names, _value(one) if is_option else "", _default(one), one.help))
    return table("argument or option|value|default|meaning", rows) if rows else "It has no options.\n"


def _value(option: Any) -> str:
    """The values of an option: the words of a choice, or the name of the value in the help."""
    if option.is_flag:
        return ""
    kind = option.type_descriptor.annotation
    if isinstance(kind, type) and issubclass(kind, Enum):
        return ", ".join(f"`{word.value}`" for word in kind)
    limits = f", {option.min} to {option.max}" if option.min is not None and option.max is not None else ""
    return f"{option.metavar}{limits}"


def _default(parameter: Any) -> str:
    if parameter.required:
        return "must be given"
    default = parameter.default
    if default is None:
        return "none"
    if isinstance(default, bool):
        return "on" if default else "off"
    if isinstance(default, Enum):
        default = default.value
    return f"{default:g}" if isinstance(default, float) else f"`{default}`"


# docs/steps.md


def stages() -> str:
    rows = []
    for stage in STAGES:
        how = "all in one commit" if stage.transaction else "one after the other" if len(stage.steps) > 1 else "alone"
        if stage.fresh_shell_after:
            how += "; then a new remote shell, because a running process does not see additions to the schema of IIS"
        rows.append((stage.name, ", ".join(f"[{step.name}](#{step.name})" for step in stage.steps), how))
    return table("stage|steps|how they are written", rows)


def steps() -> str:
    """A section for each step, with the text of `lyncarr explain`."""
    return "\n".join(f"## {step.name}\n\n{explain(step.name).title}\n\n{_sections(step)}" for step in STEPS)


def _sections(step: Step) -> str:
    """Short sections on the line of their heading, others below it."""
    return "\n".join(f"**{heading}.**{chr(10) * 2 if text.startswith('- ') else ' '}{text}\n" for heading, text in sections(step))


# docs/output.md


def exit_codes() -> str:
    return table("code|meaning", ((str(code), meaning) for code, meaning in EXIT_CODES.items()))


def live_events() -> str:
    return table("event|meaning and members", LIVE.items())


# docs/contract.md


def failure_kinds() -> str:
    return table("kind of failure|meaning", FAILURE_KINDS.items())


def note_kinds() -> str:
    return table("kind of note|meaning", NOTE_KINDS.items())


def script_bundles() -> str:
    rows = []
    for kind, digest in shipped().sha256.items():
        bundle = BUNDLES[kind]
        rows.append((f"`{kind}`", bundle.purpose, f"{len(shipped().bundles[kind]):,}", f"{bundle.budget:,}", f"`{digest}`"))
    return table("bundle|sent before|characters|budget|SHA-256", rows)


def parts() -> dict[str, dict[str, Callable[[], str]]]:
    """Page -> name of each part that it must have -> what makes the part."""
    return {
        "site-file.md": {name: partial(site_table, name) for name in models()},
        "cli.md": {"commands": commands, "options": options},
        "steps.md": {"stages": stages, "steps": steps},
        "output.md": {"exit codes": exit_codes, "live events": live_events},
        "contract.md": {"script bundles": script_bundles, "failure kinds": failure_kinds, "note kinds": note_kinds},
    }


def complaints(*, write: bool) -> list[str]:
    """A message for each problem of the pages. With `write`, outdated parts are renewed and not reported."""
    problems = []
    for name, made in parts().items():
        page: Path = DOCS / name
        text = page.read_text(encoding="utf-8")
        fresh, wrong = renewed(text, made)
        if fresh != text and write:
            page.write_text(fresh, encoding="utf-8")
        elif fresh != text:
            problems.append(f"docs/{name} is outdated: {FIX}.")
        problems += [f"docs/{name}: {message}" for message in wrong]
    return problems


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.docs.generate", description="The generated parts of the pages.")
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument("--write", action="store_true", help="write them into the pages")
    mode.add_argument("--check", action="store_true", help="fail if a page is outdated")
    problems = complaints(write=parser.parse_args(arguments).write)
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
