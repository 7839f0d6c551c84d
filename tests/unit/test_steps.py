"""What must be true of every declaration of a step."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest

import lyncarr
from lyncarr.core.model import Step
from lyncarr.steps import STEPS, explanation
from lyncarr.steps.explanation import HEADINGS, explain
from tests.sites import full_site

DERIVED = ("desired", "parameters", "secrets", "files")


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_what_a_step_reads_has_its_real_type(step: Step) -> None:
    """With `Any` a misspelt name, such as `farm.timeouts`, would pass mypy and fail on a host."""
    own = [vars(type(step))[name] for name in DERIVED if name in vars(type(step))]
    assert own
    for method in own:
        assert inspect.signature(method).parameters["site"].annotation == "Prepared", method.__qualname__


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_each_step_has_its_text(step: Step) -> None:
    texts = explain(step.name)
    assert all(texts.section(heading) for heading in HEADINGS)


def test_no_text_is_left_over() -> None:
    assert {path.name for path in explanation.FOLDER.iterdir()} == {f"{step.name}.md" for step in STEPS}


GOOD = "# farms\n\nA title.\n\n" + "\n".join(
    f"## {heading}\n\nA sentence\nin two lines.\n\n- one\n- two\n  lines\n" for heading in HEADINGS
)


def test_lines_of_a_text_are_joined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explanation, "FOLDER", tmp_path)
    (tmp_path / "farms.md").write_text(GOOD, encoding="utf-8")
    assert (explain("farms").title, explain("farms").fails) == ("A title.", "A sentence in two lines.\n\n- one\n- two lines")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD.replace("# farms", "# farm", 1), "farms.md: the first line is '# farm'; expected '# farms'."),
        (GOOD.replace("## Why", "## Reason"), "farms.md: the headings are Sets, Reason, Source, Never touches, Fails; expected Sets, Why,"),
        ("# farms\n", "farms.md: the headings are missing; expected Sets"),
        (GOOD.replace("A title.", ""), "farms.md: title has no text."),
    ],
)
def test_a_wrong_text_is_refused(text: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explanation, "FOLDER", tmp_path)
    (tmp_path / "farms.md").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError) as refused:
        explain("farms")
    assert str(refused.value).startswith(message)


def test_a_run_reads_no_text() -> None:
    """Only the commands that show the texts import them: a plan and --help do not."""
    root = Path(lyncarr.__file__).parent
    importers = set()
    for file in root.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == explanation.__name__:
                importers.add(file.relative_to(root).as_posix())
    assert importers == {"cli/teach.py"}


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_each_attribute_is_declared_and_none_that_the_step_cannot_desire(step: Step) -> None:
    desired = {name for attributes in step.desired(full_site()).values() for name in attributes}
    assert set(step.attributes) == desired


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_quiet_values_are_those_that_the_step_desires(step: Step) -> None:
    """Reports leave a quiet value out of a new item. Only the desired value can mean that nothing is wrong."""
    for attributes in step.desired(full_site()).values():
        for name, value in attributes.items():
            assert step.attributes[name].quiet in (None, value), name


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_labels_are_different_and_for_people(step: Step) -> None:
    labels = [attribute.label for attribute in step.attributes.values()]
    assert len(set(labels)) == len(labels)
    assert not any("_" in label or label != label.strip() for label in labels)
