"""The script that is sent: a bundle for each kind of request, and a plan gets the one that cannot write."""

from __future__ import annotations

import re

import pytest

from lyncarr.powershell.bundle import BUNDLES, LOCK, LOOK, OPERATIONS, WRITE, bundle_of, shipped, split
from lyncarr.steps import STEPS

FUNCTION = re.compile(r"^function ([\w-]+)", re.MULTILINE)
CALLED = re.compile(r"\b[A-Z][a-z]+-\w+\b")
WRITERS = {"Invoke-LyncarrApply", "Add-LyncarrUpload"}
LOCKERS = {"Enter-LyncarrLock"}


def functions(kind: str) -> list[str]:
    return FUNCTION.findall(shipped().bundles[kind])


def test_each_function_is_in_one_part() -> None:
    for kind in BUNDLES:
        names = functions(kind)
        assert len(names) == len(set(names))
    look, lock, write = (set(functions(kind)) for kind in (LOOK, LOCK, WRITE))
    assert look < lock
    assert not lock & write


def test_a_plan_sends_no_setter() -> None:
    text, look, write = shipped().bundles[LOOK], set(functions(LOOK)), set(functions(WRITE))
    for step in STEPS:
        assert f"Get-{step.noun}State" in look
        assert f"Set-{step.noun}State" in write
        assert f"Set-{step.noun}State" not in text
    assert "CommitChanges" not in text
    assert "msiexec" not in text
    assert "Install-WindowsFeature" not in text
    assert "CreateDirectory" not in text
    assert "WriteAllText" not in text


def test_what_a_bundle_calls_is_there() -> None:
    def called(kind: str) -> set[str]:
        return {name for name in CALLED.findall(shipped().bundles[kind]) if "Lyncarr" in name}

    look, lock, write = (set(functions(kind)) for kind in (LOOK, LOCK, WRITE))
    assert called(LOOK) <= look | WRITERS | LOCKERS
    assert called(LOCK) <= lock | WRITERS
    assert called(WRITE) <= lock | write


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
    script = split("a\n#:look\nb\n#:write\nc\n#:lock\nd\n#:look\ne\n#:all\nf\n")
    assert script.bundles == {"look": "a\nb\ne\nf\n", "lock": "a\nb\nd\ne\nf\n", "write": "a\nc\nf\n"}
    assert list(script.sha256) == ["look", "lock", "write"]


def test_an_unknown_mark_is_an_error() -> None:
    with pytest.raises(ValueError, match="unknown mark '#:wirte' in a snippet; the parts are lock, look, write"):
        split("a\n#:wirte\nb\n")


def test_each_operation_has_its_bundle() -> None:
    assert set(OPERATIONS.values()) <= set(BUNDLES)
    operations = ("observe", "apply", "upload", "unknown")
    assert [bundle_of(operation, lock=False) for operation in operations] == ["look", "write", "write", "look"]
    assert [bundle_of(operation, lock=True) for operation in operations] == ["lock", "write", "write", "lock"]
