"""The stand-in for Microsoft.Web.Administration answers as the real library is known to. The checks are in iis_standin.ps1."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.powershell import inetsrv
from tests.powershell.standin import assembly

CHECKS = Path(__file__).with_name("iis_standin.ps1")
NAMES = re.findall(r"^Test-Fact '([^']+)' \{$", CHECKS.read_text(encoding="utf-8"), re.MULTILINE)

pytestmark = pytest.mark.powershell


@pytest.fixture(scope="module")
def problems(pwsh: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What each check found, by its name; empty when it holds."""
    folder = tmp_path_factory.mktemp("iis")
    inetsrv.lay_out(folder / "templates" / "iis", packages=())
    inetsrv.lay_out(folder / "templates" / "arr")
    command = [pwsh, "-NoProfile", "-File", str(CHECKS), str(assembly(pwsh)), str(folder / "templates"), str(folder / "work")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    results = [json.loads(line) for line in done.stdout.splitlines()]
    return {result["name"]: result["problem"] for result in results}


def test_every_check_reports_once(problems: dict[str, str]) -> None:
    assert sorted(problems) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_fact(problems: dict[str, str], name: str) -> None:
    assert problems[name] == ""
