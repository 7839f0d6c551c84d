"""The script that is sent: two halves, and a plan gets the one that cannot write."""

from __future__ import annotations

import re

from lyncarr.powershell.bundle import halves, shipped
from lyncarr.steps import STEPS

FUNCTION = re.compile(r"^function ([\w-]+)", re.MULTILINE)
CALLED = re.compile(r"\b[A-Z][a-z]+-\w+\b")
ONLY_WHEN_WRITING = {"Invoke-LyncarrApply", "Add-LyncarrUpload"}


def functions(text: str) -> list[str]:
    return FUNCTION.findall(text)


def test_each_function_is_in_one_half() -> None:
    look, write = functions(shipped().look), functions(shipped().write)
    assert len(look) == len(set(look))
    assert len(write) == len(set(write))
    assert not set(look) & set(write)


def test_a_plan_sends_no_setter() -> None:
    look, write = set(functions(shipped().look)), set(functions(shipped().write))
    for step in STEPS:
        assert f"Get-{step.noun}State" in look
        assert f"Set-{step.noun}State" in write
        assert f"Set-{step.noun}State" not in shipped().look
    assert "CommitChanges" not in shipped().look
    assert "msiexec" not in shipped().look
    assert "Install-WindowsFeature" not in shipped().look


def test_what_a_half_calls_is_there() -> None:
    look, write = set(functions(shipped().look)), set(functions(shipped().write))
    called = set(CALLED.findall(shipped().look))
    assert called & write == ONLY_WHEN_WRITING
    assert {name for name in CALLED.findall(shipped().write) if "Lyncarr" in name} <= look | write


def test_both_halves_are_whole_scripts_of_ascii() -> None:
    for text in (shipped().look, shipped().write):
        assert text.isascii()
        assert text.startswith("# lyncarr:")
        assert "\nparam([string]$Request)\n" in text
        assert text.endswith("$input | Invoke-LyncarrRequest -Request $Request\n")
        assert "#:" not in text


def test_marks_divide_the_lines() -> None:
    whole = "a\n#:look\nb\n#:write\nc\n#:look\nd\n#:both\ne\n"
    assert (halves(whole).look, halves(whole).write) == ("a\nb\nd\ne\n", "a\nc\ne\n")
    assert set(halves(whole).sha256) == {"look", "write"}
