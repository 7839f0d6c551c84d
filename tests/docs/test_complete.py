"""Every command, option, step, exit code, word of the output and key of the site file is documented. All are taken from the code."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, get_args

import pytest
from pydantic import BaseModel
from typer.main import get_command

from lyncarr.cli.app import app
from lyncarr.config.farms import DEFAULT_TIMEOUT_S, complete
from lyncarr.config.site import Certificates, FarmTable, HostConfig, Installers, Sha256Table, Tables, Website
from lyncarr.core import errors
from lyncarr.core.plan import HostWord, StepWord
from lyncarr.lab.faults import Faults
from lyncarr.lab.machine import preset_names
from lyncarr.powershell.protocol import _CHECKS, FAILURE_KINDS, NOTE_KINDS
from lyncarr.report.events import LIVE
from lyncarr.steps import RUNBOOK, STEPS
from tests.docs.documents import sections, table_row, text_of

COMMANDS: dict[str, Any] = get_command(app).commands  # type: ignore[attr-defined]
TABLES: dict[str, type[BaseModel]] = {
    "`[hosts.NAME]`": HostConfig,
    "`[certificates]`": Certificates,
    "`[website]`": Website,
    "`[installers]`": Installers,
    "`[[farms]]`": FarmTable,
}


@pytest.mark.parametrize("command", COMMANDS)
def test_command(command: str) -> None:
    assert f"`lyncarr {command}" in text_of("commands.md")


def options() -> Iterator[tuple[str, str]]:
    for name, command in COMMANDS.items():
        for parameter in command.params:
            for option in parameter.opts:
                if option.startswith("-") and "--help" not in parameter.opts:
                    yield name, option


@pytest.mark.parametrize(("command", "option"), list(options()), ids=" ".join)
def test_option(command: str, option: str) -> None:
    page = text_of("commands.md")
    if command == "lab":
        page = sections(page)["The simulated host"] if option not in ("--output",) else page
    assert f"`{option}`" in page, f"docs/commands.md does not tell of {command} {option}"


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_step(step: Any) -> None:
    """Its section begins with its title, and names each attribute that a plan may show."""
    section = sections(text_of("steps.md"))[step.name]
    assert section.strip().startswith(step.title)
    for part in ("**Sets**", "**Why**", "**Source**", "**Never touches**", "**Fails**"):
        assert part in section, part
    for attributes in step.desired(full_site()).values():
        for attribute in attributes:
            assert f"`{attribute}`" in section, attribute


def test_steps_stand_in_the_order_of_the_runbook() -> None:
    page = text_of("steps.md")
    assert [title for title in sections(page) if title in {step.name for step in STEPS}] == [step.name for step in STEPS]
    for stage in RUNBOOK:
        row = next(line for line in page.splitlines() if line.startswith(f"| {stage.name} |"))
        assert [step.name for step in stage.steps if f"[{step.name}](#{step.name})" in row] == [step.name for step in stage.steps]


def full_site() -> Any:
    """As much of a site as the declarations read."""
    farm = SimpleNamespace(
        name="meet.contoso.com",
        servers=("fepool.contoso.local",),
        kind="lync",
        http_port=None,
        https_port=None,
        timeout_s=DEFAULT_TIMEOUT_S,
        disk_cache=False,
        ssl_offload=False,
        http="redirect",
        https=True,
        host_pattern=None,
    )
    authority = SimpleNamespace(label="Root (1234)", store="CA", thumbprint="AB" * 20)
    return SimpleNamespace(
        farms=complete([farm], 443).farms,
        website=Website(),
        roots=(authority,),
        public=SimpleNamespace(thumbprint="CD" * 20, intermediates=(authority,)),
        installers=(),
    )


@pytest.mark.parametrize("code", sorted({value for name, value in vars(errors).items() if name.isupper() and isinstance(value, int)}))
def test_exit_code(code: int) -> None:
    section = sections(text_of("output.md"))["Exit codes"]
    assert f"\n| {code} |" in section


@pytest.mark.parametrize("word", sorted({*get_args(HostWord), *get_args(StepWord), *LIVE, "plan"}))
def test_word_of_the_output(word: str) -> None:
    assert word in sections(text_of("output.md"))["JSON lines"]


@pytest.mark.parametrize("event", _CHECKS)
def test_event(event: str) -> None:
    assert f"\n| {event} |" in sections(text_of("contract.md"))["Events"]


@pytest.mark.parametrize("kind", sorted(NOTE_KINDS | FAILURE_KINDS))
def test_kind(kind: str) -> None:
    assert kind in sections(text_of("contract.md"))["Events"]


def test_tables_of_the_site_file() -> None:
    assert {name.strip("`[]").removesuffix(".NAME") for name in TABLES} == set(Tables.model_fields)
    assert [title for title in sections(text_of("site-file.md")) if title in TABLES] == list(TABLES)


def keys() -> Iterator[tuple[str, str]]:
    for table, model in TABLES.items():
        for key in model.model_fields:
            yield table, key


@pytest.mark.parametrize(("table", "key"), list(keys()), ids=" ".join)
def test_key_of_the_site_file(table: str, key: str) -> None:
    """It has a row of key, type, default and meaning, and the default is the one of the code."""
    field = TABLES[table].model_fields[key]
    row = table_row(sections(text_of("site-file.md"))[table], key)
    assert len(row) == 4
    assert all(row)
    default = row[2].strip("`")
    if field.is_required():
        assert default == "must be given"
    elif isinstance(field.default, bool):
        assert default == str(field.default).lower()
    elif isinstance(field.default, str):
        assert default == f'"{field.default}"'
    elif isinstance(field.default, int):
        assert default == str(field.default)
    elif field.default in ((), Sha256Table()):
        assert default == "empty"
    else:
        # The rest of the program fills it in; the page says what with.
        assert field.default is None


@pytest.mark.parametrize("key", Sha256Table.model_fields)
def test_key_of_the_hashes(key: str) -> None:
    assert any(f"`{key}`" in line for line in sections(text_of("site-file.md"))["`[installers]`"].splitlines() if "hexadecimal" in line)


@pytest.mark.parametrize(
    "value", ["lync", "office-web-apps", "remove", "redirect", "forward", "auto", "msi", "verify", "ca:FILE", "pin:sha256:HEX", "off"]
)
def test_value_of_the_site_file(value: str) -> None:
    assert f"`{value}`" in text_of("site-file.md")


@pytest.mark.parametrize(
    "fault", [name for name in Faults.__dataclass_fields__ if not name.startswith(("redirect_", "retry_", "drip_", "oversized_"))]
)
def test_fault_of_the_lab(fault: str) -> None:
    assert f"`{fault}`" in sections(text_of("lab.md"))["Faults"]


@pytest.mark.parametrize("preset", preset_names())
def test_preset_of_the_lab(preset: str) -> None:
    assert table_row(sections(text_of("lab.md"))["Replay"], preset)
