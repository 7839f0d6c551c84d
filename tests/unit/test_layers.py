"""Who may import whom, where secrets open, and what --help may load."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import lyncarr

ROOT = Path(lyncarr.__file__).parent
IO_MODULES = {"socket", "ssl", "requests", "urllib3", "pypsrp", "winrm", "rich", "typer", "subprocess", "os", "pathlib", "sys"}


def imported(file: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def test_core_imports_nothing_above_it_and_does_no_io() -> None:
    for file in (ROOT / "core").glob("*.py"):
        for name in imported(file):
            if name.startswith("lyncarr"):
                assert name.startswith("lyncarr.core"), f"{file.name} imports {name}"
            # The one module of core that reads and writes files, for whoever gets a path.
            assert file.name == "files.py" or name.split(".")[0] not in IO_MODULES, f"{file.name} imports {name}"


def test_steps_are_declarations() -> None:
    for file in (ROOT / "steps").glob("*.py"):
        for name in imported(file):
            assert not name.startswith(("lyncarr.hosts", "lyncarr.cli", "lyncarr.lab", "lyncarr.report")), f"{file.name} imports {name}"


def test_only_the_command_line_knows_the_lab() -> None:
    for file in ROOT.rglob("*.py"):
        if file.relative_to(ROOT).parts[0] in ("lab", "cli"):
            continue
        assert not any(name.startswith("lyncarr.lab") for name in imported(file)), file


def test_the_fake_winrm_host_is_independent_of_the_product() -> None:
    for file in (ROOT / "lab" / "wire").glob("*.py"):
        outside = {name for name in imported(file) if name.startswith("lyncarr") and not name.startswith("lyncarr.lab.wire")}
        assert not outside, f"{file.name} imports {outside}"


def test_secrets_have_one_door() -> None:
    allowed = {ROOT / "materials" / "certificates.py", ROOT / "core" / "model.py"}
    for file in ROOT.rglob("*.py"):
        if "reveal(" in file.read_text(encoding="utf-8"):
            assert file in allowed or ROOT / "hosts" in file.parents, f"{file} opens a secret"


def test_no_powershell_in_python_strings() -> None:
    marks = re.compile(r"\$_\b|\bNew-Object\b|\bForEach-Object\b|\bparam\(|\$env:|-ErrorAction\b|\bGet-[A-Z]\w+\s+-", re.ASCII)
    for file in ROOT.rglob("*.py"):
        if "lab" in file.relative_to(ROOT).parts:
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and not is_docstring(node, file):
                assert not marks.search(node.value), f"{file}: {node.value[:60]!r}"


def is_docstring(node: ast.Constant, file: Path) -> bool:
    return isinstance(node.value, str) and "\n" in node.value


def test_help_loads_nothing_heavy() -> None:
    code = "import sys; from lyncarr.cli.main import run; run(['--help']); print('\\n' + '\\n'.join(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    loaded = set(done.stdout.splitlines())
    assert not loaded & {"pypsrp", "winrm", "cryptography", "pydantic", "requests", "spnego", "psrpcore"}
