"""Every page: its links have targets, its commands exist, and it contains no path of the machine on which it was written."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from lyncarr.cli.app import app
from lyncarr.steps import STEPS
from tools.docs.documents import PAGES, ROOT, anchors, code_in, lines, name_of, prose

ROOT_COMMAND: Any = get_command(app)
STEP_NAMES = {step.name for step in STEPS}
MACHINE = re.compile(r"(?<![\w.])/(?:work|tmp|home|root|Users|usr|opt|mnt|var)/|[A-Z]:\\Users\\(?!\.\.\.)", re.ASCII)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.is_file(), f"{name_of(page)} leads to {target}"
        assert file.is_relative_to(ROOT)
        if anchor:
            assert anchor in anchors(file), f"{name_of(page)} leads to {target}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_path_of_a_machine(page: Path) -> None:
    assert not MACHINE.findall(page.read_text(encoding="utf-8"))


def test_every_page_can_be_reached_from_the_readme() -> None:
    seen: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in seen or page.suffix != ".md":
            continue
        seen.add(page)
        targets = re.findall(r"\]\(([^)\s#]+)", prose(page))
        waiting += [(page.parent / target).resolve() for target in targets if "://" not in target]
    unreached = {name_of(page) for page in PAGES} - {name_of(page) for page in seen}
    assert {name for name in unreached if not name.startswith("docs/adr/")} == set()


def command_lines() -> Iterator[tuple[str, str]]:
    """(page, command line) for each line of a console block and each inline code."""
    for page in PAGES:
        for command in [*(line.command for line in lines(page)), *code_in(page)]:
            if command.split(" ")[0] == "lyncarr":
                yield name_of(page), command


@pytest.mark.parametrize(("page", "line"), sorted(set(command_lines())))
def test_command_line(page: str, line: str) -> None:
    """The command, its options and its steps exist. A word in capitals is a placeholder for a value."""
    words = shlex.split(line)[1:]
    if words in ([], ["COMMAND", "--help"], ["--help"], ["--version"], ["--install-completion"]):
        return
    command = ROOT_COMMAND.commands[words[0]]
    required = [parameter for parameter in command.params if parameter.required]
    if len(words) == 1 and required:
        return  # only the name of the command
    context = command.make_context(words[0], words[1:])
    for name in [*(context.params.get("step") or ())] if words[0] != "explain" else [context.params["step"]]:
        assert name in STEP_NAMES or name.isupper(), f"{page}: {line}"
