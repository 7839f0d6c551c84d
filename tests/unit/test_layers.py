"""Which package may import which, where secrets are revealed, and what --help loads."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import lyncarr
from tests.patience import HANG_S

ROOT = Path(lyncarr.__file__).parent
MAX_LINES = 400
ALLOWED: dict[str, set[str]] = {
    "core": set(),
    "secrets": {"core"},
    "routing": {"core"},
    "config": {"core", "secrets"},
    "materials": {"core", "secrets", "config"},
    "steps": {"core", "config", "materials"},
    "powershell": {"core", "steps"},
    "hosts": {"core", "config", "powershell"},
    "runs": {"core", "secrets", "config", "materials", "steps", "powershell", "hosts"},
    "report": {"core", "config", "materials", "steps", "runs"},
    "cli": {"core", "secrets", "config", "materials", "steps", "powershell", "hosts", "runs", "report", "routing", "lab"},
    "lab/wire": set(),
    "lab/replay": {"core", "powershell", "lab/wire", "lab"},
    "lab/real": {"core", "lab/wire", "lab"},
    "lab": {"core", "secrets", "materials", "powershell", "report", "lab/wire", "lab/replay", "lab/real"},
}
"""Package -> the packages that it may import, also for types only. Every package may import its own files and lyncarr's version."""

IO_MODULES = {"socket", "ssl", "requests", "urllib3", "pypsrp", "winrm", "rich", "typer", "subprocess", "os", "pathlib", "sys"}
FILES = sorted(file for file in ROOT.rglob("*.py") if file.parent != ROOT)


def package_of(module: str) -> str:
    """The package of the table that a module's dotted name belongs to; "" for lyncarr itself."""
    parts = module.split(".")[1:]
    if parts[:1] == ["lab"] and len(parts) > 1 and f"lab/{parts[1]}" in ALLOWED:
        return f"lab/{parts[1]}"
    return parts[0] if parts else ""


def module_of(file: Path) -> str:
    parts = file.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(file: Path, *, at_run_time: bool = False) -> set[str]:
    """The modules that a file imports anywhere; with `at_run_time` without those that only the type checker sees."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for_types = {
        node
        for test in ast.walk(tree)
        if at_run_time and isinstance(test, ast.If) and isinstance(test.test, ast.Name) and test.test.id == "TYPE_CHECKING"
        for statement in test.body
        for node in ast.walk(statement)
    }
    names: set[str] = set()
    for node in ast.walk(tree):
        if node in for_types:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            # `from lyncarr.lab.wire import server` imports the module lyncarr.lab.wire.server.
            names |= {f"{node.module}.{alias.name}" for alias in node.names if module_exists(f"{node.module}.{alias.name}")}
    return names


def module_exists(name: str) -> bool:
    return name.startswith("lyncarr") and (ROOT.parent / f"{name.replace('.', '/')}.py").is_file()


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_package_imports_what_the_table_allows(file: Path) -> None:
    package = package_of(module_of(file))
    allowed = ALLOWED[package] | {package}
    for name in imported(file):
        if name.startswith("lyncarr."):
            assert package_of(name) in allowed, f"{module_of(file)} imports {name}"


def test_the_table_has_no_circle() -> None:
    outside_lab = {package: allowed for package, allowed in ALLOWED.items() if not package.startswith("lab")}
    assert tuple(TopologicalSorter(outside_lab).static_order())


def test_no_circle_of_files() -> None:
    modules = {module_of(file): file for file in FILES}
    graph = {name: {other for other in imported(file, at_run_time=True) if other in modules} for name, file in modules.items()}
    assert tuple(TopologicalSorter(graph).static_order())


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_files_are_small(file: Path) -> None:
    if "standins" not in file.parts:
        assert len(file.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


def test_core_does_no_io() -> None:
    for file in (ROOT / "core").glob("*.py"):
        for name in imported(file):
            if (file.name, name) == ("waits.py", "sys"):
                continue  # For the name of the system.
            # core/files.py is the one module of core that reads and writes files.
            assert file.name == "files.py" or name.split(".")[0] not in IO_MODULES, f"{file.name} imports {name}"


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
        tree = ast.parse(file.read_text(encoding="utf-8"))
        docstrings = set(docstrings_of(tree))
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in docstrings:
                assert not marks.search(node.value), f"{file}: {node.value[:60]!r}"


def docstrings_of(tree: ast.Module) -> Iterator[ast.Constant]:
    """The docstrings of a file, by their position: string statements, of which those after an assignment describe a variable."""
    for node in ast.walk(tree):
        for statement in getattr(node, "body", None) if isinstance(getattr(node, "body", None), list) else ():
            if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant) and isinstance(statement.value.value, str):
                yield statement.value


def test_a_string_of_several_lines_is_no_docstring() -> None:
    tree = ast.parse('"""A docstring."""\nscript = """Get-Item -Path x\n"""\nlimit = 1\n"""What limit means."""\n')
    assert [node.value for node in docstrings_of(tree)] == ["A docstring.", "What limit means."]


def test_help_loads_nothing_heavy() -> None:
    code = "import sys; from lyncarr.cli.main import run; run(['--help']); print('\\n' + '\\n'.join(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=HANG_S)
    loaded = set(done.stdout.splitlines())
    assert not loaded & {"pypsrp", "winrm", "cryptography", "pydantic", "requests", "spnego", "psrpcore"}
