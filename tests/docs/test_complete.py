"""Completeness beyond the generated parts: all code has its text, and the hand-written pages mention every word of the output."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, get_args

import pytest

from lyncarr.core import errors
from lyncarr.core.outcome import HostWord, StepWord
from lyncarr.lab.replay.machine import preset_names
from lyncarr.lab.wire.faults import Faults
from lyncarr.powershell.protocol import _CHECKS, FAILURE_KINDS, NOTE_KINDS
from lyncarr.report.events import LIVE
from lyncarr.steps import STEPS
from lyncarr.steps.explanation import explain
from tests.sites import full_site
from tools.docs.documents import sections, table_row, text_of
from tools.docs.generate import COMMANDS, models


@pytest.mark.parametrize("command", COMMANDS)
def test_command_and_options_have_help(command: str) -> None:
    """A sentence for the command, and a sentence for each argument and option."""
    texts = [COMMANDS[command].help, *(one.help for one in COMMANDS[command].params)]
    for text in texts:
        assert text, command
        assert text.rstrip().endswith("."), f"{command}: {text}"


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_step_has_its_texts(step: Any) -> None:
    """Each text is there, and `sets` names each attribute that a plan may show."""
    texts = explain(step.name)
    for name, text in asdict(texts).items():
        assert text[:1] == text[:1].upper(), name
        assert "](" not in text, f"{name}: a link leads nowhere on a console"
    assert not set("`*<>") & set(texts.title), "a title is shown without markup"
    for attributes in step.desired(full_site()).values():
        for attribute in attributes:
            assert f"`{attribute}`" in texts.sets, attribute


@pytest.mark.parametrize("table", models())
def test_keys_of_the_configuration_file_have_their_text(table: str) -> None:
    """Each key has a sentence without links, because editors show it too."""
    model, _ = models()[table]
    for key, field in model.model_fields.items():
        extra = field.json_schema_extra
        assert isinstance(extra, dict), f"{table} {key} has no doc"
        assert str(extra.get("doc", "")).endswith("."), f"{table} {key} has no doc"


def test_exit_codes_have_a_meaning() -> None:
    codes = {value for name, value in vars(errors).items() if name.isupper() and isinstance(value, int)}
    assert set(errors.EXIT_CODES) == codes


@pytest.mark.parametrize("code", errors.EXIT_CODES)
def test_exit_code_in_the_help(code: int) -> None:
    from lyncarr.cli.app import app

    assert f" {code} " in str(app.info.epilog)


@pytest.mark.parametrize("word", sorted({*get_args(HostWord), *get_args(StepWord), *LIVE}))
def test_word_of_the_output(word: str) -> None:
    assert word in sections(text_of("output.md"))["JSON lines"]


@pytest.mark.parametrize("event", _CHECKS)
def test_event(event: str) -> None:
    assert f"\n| {event} |" in sections(text_of("contract.md"))["Events"]


@pytest.mark.parametrize("kind", sorted({*NOTE_KINDS, *FAILURE_KINDS}))
def test_kind(kind: str) -> None:
    assert kind in sections(text_of("contract.md"))["Events"]


@pytest.mark.parametrize("value", ["verify", "ca:FILE", "pin:sha256:HEX", "off", "prompt", "env:NAME", "file:PATH"])
def test_value_of_the_site_file(value: str) -> None:
    assert table_row(text_of("site-file.md"), value)


@pytest.mark.parametrize(
    "fault", [name for name in Faults.__dataclass_fields__ if not name.startswith(("redirect_", "retry_", "drip_", "oversized_"))]
)
def test_fault_of_the_lab(fault: str) -> None:
    assert f"`{fault}`" in sections(text_of("lab.md"))["Faults"]


@pytest.mark.parametrize("preset", preset_names())
def test_preset_of_the_lab(preset: str) -> None:
    assert table_row(sections(text_of("lab.md"))["Replay"], preset)
