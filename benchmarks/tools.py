"""The measured tools: lyncarr and its peers, each with its own command line."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from benchmarks.sites import PASSWORD_VARIABLE, Endpoint, Setting, read_site, settings_of

Operation = Literal["no-op", "plan", "apply"]
OPERATIONS: tuple[Operation, ...] = ("no-op", "plan", "apply")
PEERS = Path(__file__).parent / "peers"
LYNCARR = (sys.executable, "-m", "lyncarr")


@dataclass(frozen=True)
class Task:
    """The work of a tool. `folder` contains the files below, which are written once. The endpoint is the same for all tools."""

    folder: Path
    settings: tuple[Setting, ...]

    @property
    def job(self) -> Path:
        return self.folder / "job.json"

    @property
    def inventory(self) -> Path:
        return self.folder / "inventory.json"

    @property
    def variables(self) -> Path:
        return self.folder / "vars.json"


class Tool:
    """`about` describes the version and the method for the page. `missing` is the reason why the tool cannot run here, or None."""

    name: str
    missing: str | None = None

    @property
    def about(self) -> str:
        raise NotImplementedError

    def command(self, task: Task, operation: Operation) -> list[str]:
        raise NotImplementedError

    def problem(self, task: Task, operation: Operation, code: int, output: str) -> str | None:
        """What is wrong with the result, or None. A tool that did other work must not count."""
        if code:
            return f"exit code {code}"
        found = re.search(r"changed=(\d+)", output)
        expected = 0 if operation == "no-op" else self._changes(task, operation)
        return None if found and int(found[1]) == expected else f"{expected} changes expected"

    def _changes(self, task: Task, operation: Operation) -> int:
        return len(task.settings)


class Lyncarr(Tool):
    name = "lyncarr"

    @property
    def about(self) -> str:
        return f"lyncarr {version('lyncarr')}: all steps, with backup, lock and verification"

    def command(self, task: Task, operation: Operation) -> list[str]:
        words = ["plan"] if operation == "plan" else ["provision", "--yes"]
        return [*LYNCARR, *words, "--host", "rp01"]

    def problem(self, task: Task, operation: Operation, code: int, output: str) -> str | None:
        expected = 2 if operation == "plan" else 0
        return None if code == expected else f"exit code {code}"


class Pipelines(Tool):
    name = "pypsrp"

    @property
    def about(self) -> str:
        return f"pypsrp {version('pypsrp')}: one runspace pool, one pipeline for each setting"

    def command(self, task: Task, operation: Operation) -> list[str]:
        return [sys.executable, str(PEERS / "pipelines.py"), str(task.job), *_check(operation)]


class RunPs(Tool):
    name = "pywinrm"

    @property
    def about(self) -> str:
        return f"pywinrm {version('pywinrm')}: one Session, one run_ps for each setting"

    def command(self, task: Task, operation: Operation) -> list[str]:
        return [sys.executable, str(PEERS / "run_ps.py"), str(task.job), *_check(operation)]


class Ansible(Tool):
    name = "Ansible"

    def __init__(self, program: Path) -> None:
        self._program = program
        self.missing = None if program.exists() else "not installed"

    @property
    def about(self) -> str:
        if self.missing:
            return "Ansible: not installed"
        printed = subprocess.run([self._program, "--version"], env=ENVIRONMENT, capture_output=True, text=True, check=True).stdout
        found = re.search(r"core ([\d.]+)", printed)
        return f"ansible-core {found[1] if found else ''}: connection psrp, one task with a loop for each kind of setting, module raw"

    def command(self, task: Task, operation: Operation) -> list[str]:
        files = ["-i", str(task.inventory), "-e", f"@{task.variables}"]
        return [str(self._program), *files, *_check(operation), str(PEERS / "playbook.yml")]

    def _changes(self, task: Task, operation: Operation) -> int:
        """A loop is one task. The restart is another task, which a check skips."""
        return len({setting.script for setting in task.settings}) + (operation == "apply")


# The complete environment of the measured processes, except for the password.
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "LANG": "C.UTF-8", "ANSIBLE_NOCOLOR": "1"}


def _check(operation: Operation) -> list[str]:
    return ["--check"] if operation == "plan" else []


def write_task(folder: Path, site: Path, host: Endpoint) -> Task:
    """Write the files that the peers read into `folder`."""
    task = Task(folder, tuple(settings_of(read_site(site))))
    job = {**asdict(host), "settings": [(setting.script, setting.values) for setting in task.settings]}
    task.job.write_text(json.dumps(job, default=str), encoding="utf-8")
    inventory = {
        "ansible_connection": "psrp",
        "ansible_shell_type": "powershell",
        "ansible_host": host.address,
        "ansible_port": host.port,
        "ansible_user": host.user,
        "ansible_password": f"{{{{ lookup('env', '{PASSWORD_VARIABLE}') }}}}",
        "ansible_psrp_protocol": "https",
        "ansible_psrp_auth": "ntlm",
        "ansible_psrp_ca_cert": str(host.ca),
        "ansible_psrp_ignore_proxy": True,
    }
    task.inventory.write_text(json.dumps({"all": {"hosts": {"rp01": inventory}}}), encoding="utf-8")
    loops: dict[str, list[Mapping[str, str | int]]] = {}
    for setting in task.settings:
        loops.setdefault(setting.script, []).append(setting.values)
    task.variables.write_text(json.dumps({"settings": loops}), encoding="utf-8")
    return task
