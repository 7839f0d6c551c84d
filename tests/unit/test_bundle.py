"""The script that is sent: a bundle for each kind of request, and a plan gets the one that cannot write."""

from __future__ import annotations

import re

import pytest

from lyncarr.powershell.bundle import BUNDLES, LOOK, OPERATIONS, bundle_of, shipped, split
from lyncarr.steps import STEPS

FUNCTION = re.compile(r"^function ([\w-]+)", re.MULTILINE)
CALLED = re.compile(r"\b[A-Z][a-z]+-\w+\b")
ONLY_WHEN_WRITING = {"Invoke-LyncarrApply", "Add-LyncarrUpload"}


def functions(kind: str) -> list[str]:
    return FUNCTION.findall(shipped().bundles[kind])


def test_each_function_is_in_one_bundle() -> None:
    names = [name for kind in BUNDLES for name in functions(kind)]
    assert len(names) == len(set(names))


def test_a_plan_sends_no_setter() -> None:
    text, look, write = shipped().bundles[LOOK], set(functions(LOOK)), set(functions("write"))
    for step in STEPS:
        assert f"Get-{step.noun}State" in look
        assert f"Set-{step.noun}State" in write
        assert f"Set-{step.noun}State" not in text
    assert "CommitChanges" not in text
    assert "msiexec" not in text
    assert "Install-WindowsFeature" not in text


def test_what_a_bundle_calls_is_there() -> None:
    look = set(functions(LOOK))
    for kind in BUNDLES:
        called = {name for name in CALLED.findall(shipped().bundles[kind]) if "Lyncarr" in name}
        allowed = ONLY_WHEN_WRITING if kind == LOOK else set(functions(kind))
        assert called <= look | allowed, kind


def test_every_bundle_is_a_whole_script_of_ascii() -> None:
    for text in shipped().bundles.values():
        assert text.isascii()
        assert text.startswith("# lyncarr:")
        assert "\nparam([string]$Request)\n" in text
        assert text.endswith("$input | Invoke-LyncarrRequest -Request $Request\n")
        assert "#:" not in text


@pytest.mark.parametrize("kind", BUNDLES)
def test_a_bundle_keeps_its_budget(kind: str) -> None:
    count = len(shipped().bundles[kind])
    assert count <= BUNDLES[kind].budget, f"{kind} has {count} characters, its budget is {BUNDLES[kind].budget}"


def test_marks_divide_the_lines() -> None:
    script = split("a\n#:look\nb\n#:write\nc\n#:look\nd\n#:all\ne\n")
    assert script.bundles == {"look": "a\nb\nd\ne\n", "write": "a\nc\ne\n"}
    assert list(script.sha256) == ["look", "write"]


def test_an_unknown_mark_is_an_error() -> None:
    with pytest.raises(ValueError, match="unknown mark '#:wirte' in a snippet; the bundles are look, write"):
        split("a\n#:wirte\nb\n")


def test_each_operation_has_its_bundle() -> None:
    assert set(OPERATIONS.values()) <= set(BUNDLES)
    assert [bundle_of(operation) for operation in ("observe", "apply", "upload", "unknown")] == ["look", "write", "write", "look"]
