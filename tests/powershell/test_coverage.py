"""The last test of this folder: every line outside the platform layer ran in a real PowerShell, in the tests before it."""

from __future__ import annotations

import pytest

from lyncarr.powershell.bundle import SHARED, WINDOWS, read_snippet
from lyncarr.steps import STEPS
from tests.powershell import bootstrap_engine
from tests.powershell.conftest import Ran
from tests.powershell.engine import RECORDINGS, composed
from tools.snippets.snippet_coverage import NEEDED, finished, snippet_coverage


@pytest.mark.powershell
def test_every_line_outside_the_platform_layer_ran(pwsh: str, ran: Ran) -> None:
    if not ran.everything:
        pytest.skip("only a part of tests/powershell was asked for: the coverage of the snippets was not judged")
    if None in RECORDINGS:
        pytest.skip(NEEDED)
    names = [name for name in (*SHARED, *(step.snippet for step in STEPS)) if name not in WINDOWS]
    found = snippet_coverage(composed(), {name: read_snippet(name) for name in names}, finished(RECORDINGS))
    missed = {name: coverage.missed for name, coverage in found.items() if coverage.missed}
    assert missed == {}
    assert sum(len(coverage.lines) for coverage in found.values()) > 400, "too few lines: was anything recorded?"


@pytest.mark.powershell
def test_every_line_of_the_console_script_outside_its_platform_layer_ran(pwsh: str, ran: Ran) -> None:
    if not ran.everything:
        pytest.skip("only a part of tests/powershell was asked for: the coverage of the console script was not judged")
    if None in bootstrap_engine.RECORDINGS:
        pytest.skip(NEEDED)
    recordings = finished(bootstrap_engine.RECORDINGS)
    script = bootstrap_engine.composed()
    found = [snippet_coverage(script, {name: text}, recordings)[name] for name, text in bootstrap_engine.pieces()]
    assert [coverage.missed for coverage in found if coverage.missed] == []
    assert sum(len(coverage.lines) for coverage in found) > 150, "too few lines: was anything recorded?"
