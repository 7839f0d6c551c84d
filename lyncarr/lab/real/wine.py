"""Simulated Windows servers: Wine prefixes that the Windows build of PowerShell runs in, copied from templates made once.

A machine is a folder with a prefix (its disk and registry) and a place for temporary files. States: `bare` (a fresh server), `iis`
(the web server role), `arr` (the role, URL Rewrite and ARR, nothing configured). What each part is made of: docs/lab.md.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Literal

from lyncarr.core.errors import ConfigurationError, UsageError
from lyncarr.lab.real.codepage import UTF8
from lyncarr.lab.real.command_line import split
from lyncarr.lab.real.packages import ARR, STANDINS, URL_REWRITE, build_packages
from lyncarr.lab.real.powershell import PowerShellEngine, Program
from lyncarr.lab.real.trampoline import trampoline
from lyncarr.lab.wire.engine import OEM_CODEPAGE, ProcessStart

if sys.platform == "win32":
    raise ImportError("This module needs POSIX: process groups, waitid and file locks.")

State = Literal["bare", "iis", "arr"]
System = Literal["2012r2", "2022"]

PRESETS: dict[str, State] = {"blank": "bare", "iis": "iis", "arr": "arr"}
PROGRAMS = ("iisreset", "netsh", "webpicmd")
LONGEST_COMMAND_S = 300.0
# What a shell may not set: Wine itself runs by these.
OWN_VARIABLES = re.compile(r"WINE.*|LD_.*|HOME|PATH|TMPDIR", re.IGNORECASE)
PRUNED_AFTER_S = 86_400.0
REBOOT_PENDING = r"SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\RebootPending"


@dataclass(frozen=True)
class WineMachine:
    """One simulated server. `engine` is the launcher of the Windows build of PowerShell, `folder` holds everything else."""

    engine: str
    folder: Path

    @property
    def prefix(self) -> Path:
        return self.folder / "prefix"

    @property
    def drive(self) -> Path:
        """C: as a folder of this system."""
        return self.prefix / "drive_c"

    @property
    def system32(self) -> Path:
        return self.drive / "windows" / "system32"

    @property
    def inetsrv(self) -> Path:
        return self.system32 / "inetsrv"

    @property
    def lab(self) -> Path:
        """C:\\windows\\lab: what the stand-ins read and write."""
        return self.drive / "windows" / "lab"

    @property
    def packages(self) -> Path:
        """The folder of installer packages that this machine takes for signed."""
        return self.lab / "packages"

    @property
    def restarts(self) -> int:
        """How often iisreset ran."""
        log = self.lab / "programs.log"
        return sum(line.startswith("iisreset") for line in log.read_text(encoding="ascii").splitlines()) if log.exists() else 0

    def environment(self) -> dict[str, str]:
        """All variables of every process on this machine; of this system's own only PATH, HOME and the language."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "LC_ALL") if name in os.environ}
        return kept | {
            "WINEPREFIX": str(self.prefix),
            "WINEDEBUG": "-all",
            # No menu entries on the desktop of whoever runs this, no offer to download Gecko. (.NET does not start without mscoree.)
            "WINEDLLOVERRIDES": "winemenubuilder.exe,mshtml=",
            # Wine finds the server of a prefix below TMPDIR.
            "TMPDIR": str(self.folder / "tmp"),
            "PSModulePath": r"C:\windows\system32\WindowsPowerShell\v1.0\Modules",
        }

    def powershell(self, *arguments: str) -> list[str]:
        """The command line of a PowerShell on this machine, to be started with environment()."""
        return [self.engine, "-NoProfile", "-NonInteractive", "-ExecutionPolicy", "Bypass", *arguments]

    def program(self, *arguments: str) -> list[str]:
        """The command line of a Windows program on this machine, such as reg or msiexec."""
        return [_wine("wine64"), *arguments]

    def run(self, command: list[str], timeout_s: float = LONGEST_COMMAND_S) -> subprocess.CompletedProcess[str]:
        """Run a command on this machine to its end. Its exit code is the caller's to judge; standard error is part of `stdout`."""
        # Not a pipe: Wine's own server and services inherit it, and the reader would wait for their end.
        with tempfile.TemporaryFile() as output:
            done = subprocess.run(  # noqa: S603 the lab's own command lines
                command,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=timeout_s,
                check=False,
            )
            output.seek(0)
            return subprocess.CompletedProcess(command, done.returncode, output.read().decode("utf-8", "replace"))

    def path(self, windows_path: str) -> Path:
        """Where an absolute path below C: lies on this system, whatever its letter case. What is not there has a path that is not there."""
        drive, *parts = PureWindowsPath(windows_path).parts or ("",)
        found = self.drive if drive.upper() == "C:\\" else self.folder / "no such drive"
        for part in parts:
            entries = found.iterdir() if found.is_dir() else iter(())
            found = next((entry for entry in entries if entry.name.lower() == part.lower()), found / part)
        return found

    def install(self, package: Path) -> int:
        """Install an .msi as an administrator would, without PowerShell; the low byte of msiexec's exit code."""
        windows_path = "Z:" + str(package.resolve()).replace("/", "\\")
        return self.run(self.program("msiexec", "/i", windows_path, "/qn", "/norestart")).returncode

    def lay_configuration(self, text: str | bytes) -> None:
        """Put another applicationHost.config in the place of this machine's."""
        data = text.encode() if isinstance(text, str) else text
        (self.inetsrv / "config" / "applicationHost.config").write_bytes(data)

    def copy(self, folder: Path) -> WineMachine:
        """Another machine like this one, which must be stopped. What Wine brought is shared by hard links, everything else is copied."""
        copy = WineMachine(self.engine, folder)
        copy.folder.mkdir(parents=True, exist_ok=True)
        _copy_prefix(self, copy.prefix)
        (copy.folder / "tmp").mkdir()
        return copy

    def stop(self) -> None:
        """End every process of this machine and write its registry to disk."""
        server = _wine("wineserver64")
        self.run([server, "-k"])
        self.run([server, "-w"])

    def restart(self) -> None:
        """What a restart of Windows does to this machine: every process ends, and servicing has nothing left to do."""
        self.stop()
        self.run(self.program("reg", "delete", rf"HKLM\{REBOOT_PENDING}", "/f"))


class WineEngine(PowerShellEngine):
    """The lab's engine on one machine, which ends with it."""

    def __init__(self, machine: WineMachine) -> None:
        super().__init__([machine.engine], environment=machine.environment())
        self._machine = machine

    def program(self, start: ProcessStart) -> Program:
        """A line for cmd.exe goes in a file: Wine would put backslashes before its quotes, which cmd.exe does not know.

        What Windows programs write is theirs: nothing is translated. Of an exit code Wine lets only the low byte through.
        """
        if not start.through_cmd:
            return Program(self._machine.program(*split(start.line)), UTF8)
        file = self._machine.drive / "windows" / "temp" / f"{uuid.uuid4()}.cmd"
        file.write_bytes(f"@{start.line}\r\n".encode(f"cp{OEM_CODEPAGE}", "replace"))
        command = self._machine.program(r"C:\windows\system32\cmd.exe", "/c", rf"C:\windows\temp\{file.name}")
        return Program(command, UTF8, at_end=lambda: file.unlink(missing_ok=True))

    def folder(self, path: str) -> Path:
        return self._machine.path(path)

    def variables(self, start: ProcessStart) -> dict[str, str]:
        return self._machine.environment() | {name: value for name, value in start.environment.items() if not OWN_VARIABLES.fullmatch(name)}

    def close(self) -> None:
        super().close()
        self._machine.stop()


def template(engine: str, cache: Path, state: State = "bare", system: System = "2012r2") -> WineMachine:
    """The stopped machine of this state in `cache`, made now if it is not there yet. It is there to be copied, never to be run.

    Made again when the stand-ins, this code or the engine change. ConfigurationError where Wine or wixl are missing.
    """
    folder = cache / f"{system}-{state}-{_fingerprint(engine)}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            building = WineMachine(engine, cache / f"{folder.name}.building")
            shutil.rmtree(building.folder, ignore_errors=True)
            try:
                if state == "bare" and system == "2012r2":
                    _make_bare(building)
                elif state == "bare":
                    template(engine, cache, "bare").copy(building.folder)
                    _script(building, "system.ps1", "-System", system)
                elif state == "iis":
                    template(engine, cache, "bare", system).copy(building.folder)
                    _script(building, "role.ps1")
                else:
                    template(engine, cache, "iis", system).copy(building.folder)
                    _install_arr(building)
            finally:
                building.stop()
            building.folder.rename(folder)
            _prune(cache, f"{system}-{state}-", folder)
    return WineMachine(engine, folder)


def default_cache() -> Path:
    """Where templates are kept: $LYNCARR_WINE_CACHE, else below the user's cache folder."""
    named = os.environ.get("LYNCARR_WINE_CACHE")
    return Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lyncarr" / "wine"


def runs_on_wine(command: str) -> bool:
    """Whether this is the launcher of a PowerShell on Wine: $LYNCARR_PWSH_WINE names it, or its name contains wine."""
    return command == os.environ.get("LYNCARR_PWSH_WINE") or "wine" in Path(command).name.lower()


def open_machine(command: str, preset: str, folder: Path) -> WineMachine:
    """A new machine in `folder` (absolute) for the lab, in the place of the one that an earlier lab left there.

    `preset` is one of PRESETS, else UsageError; so is a folder that holds something else.
    """
    if preset not in PRESETS:
        raise UsageError(
            f"The preset '{preset}' is not available with --powershell on Wine; use {', '.join(PRESETS)}.",
            hint="Start from arr and run lyncarr provision for the rest.",
        )
    machine = WineMachine(command, folder)
    if folder.exists():
        if not machine.system32.is_dir():
            raise UsageError(f"{folder} is not a machine of the lab and is not replaced.", hint="Name another folder with --folder.")
        machine.stop()
        shutil.rmtree(folder)
    return template(command, default_cache(), PRESETS[preset]).copy(folder)


def _prune(cache: Path, kind: str, newest: Path) -> None:
    """Remove older templates of this kind. Those of the last day stay: another checkout may be copying from one."""
    for folder in cache.glob(f"{kind}*[0-9a-f]"):
        if folder != newest and time.time() - folder.stat().st_mtime > PRUNED_AFTER_S:
            shutil.rmtree(folder, ignore_errors=True)


def _make_bare(machine: WineMachine) -> None:
    (machine.folder / "tmp").mkdir(parents=True)
    done = machine.run(machine.powershell("-Version"))
    if not machine.system32.is_dir():
        raise ConfigurationError(
            f"{machine.engine} made no Wine prefix.",
            hint="It must start a PowerShell for Windows on Wine, at $WINEPREFIX.",
            detail=done.stdout,
        )
    _replace_links(machine.drive / "users")
    lab = machine.lab
    shutil.copytree(STANDINS / "machine", lab)
    shutil.copyfile(STANDINS / "Iis.cs", lab / "Iis.cs")
    build_packages(machine.packages)
    shutil.copytree(STANDINS / "programs", lab / "programs")
    for program in PROGRAMS:
        script = rf"C:\windows\lab\programs\{program}.js"
        (lab / "programs" / f"{program}.exe").write_bytes(trampoline(rf"C:\windows\system32\cscript.exe //nologo {script}"))
    (machine.system32 / "netsh.exe").unlink()
    shutil.copyfile(lab / "programs" / "netsh.exe", machine.system32 / "netsh.exe")
    shutil.copytree(STANDINS / "config", lab / "iis" / "config", ignore=shutil.ignore_patterns("package-*"))
    (lab / "iis" / "config" / "schema").mkdir()
    shutil.copyfile(STANDINS / "schema" / "IIS_schema.xml", lab / "iis" / "config" / "schema" / "IIS_schema.xml")
    modules = machine.system32 / "WindowsPowerShell" / "v1.0" / "Modules" / "Vendor"
    modules.mkdir(parents=True)
    for name in ("Vendor.psd1", "Vendor.psm1"):
        shutil.copyfile(STANDINS / name, modules / name)
    _script(machine, "system.ps1", "-System", "2012r2")


def _install_arr(machine: WineMachine) -> None:
    for package in (URL_REWRITE, ARR):
        code = machine.install(machine.packages / package.file)
        if code != 0:
            raise ConfigurationError(
                f"The lab's package {package.file} ended with exit code {code} on Wine.", hint="Reinstall wixl and msitools."
            )


def _script(machine: WineMachine, name: str, *arguments: str) -> None:
    done = machine.run(machine.powershell("-File", rf"C:\windows\lab\{name}", *arguments))
    # Not by the exit code alone: a .NET that dies on Wine may leave 0.
    if done.returncode != 0 or not done.stdout.rstrip().endswith("made"):
        raise ConfigurationError(
            f"The script {name} failed on the lab's machine.", hint="Run the command with --verbose.", detail=done.stdout
        )


def _replace_links(users: Path) -> None:
    """Folders in the place of links that lead out of the machine, to the documents of whoever runs it."""
    for path in users.rglob("*"):
        if path.is_symlink():
            path.unlink()
            path.mkdir()


def _copy_prefix(machine: WineMachine, target: Path) -> None:
    """Copy a stopped prefix; files of the Windows folder that are written once become hard links."""
    windows = machine.drive / "windows"
    own = {machine.lab, machine.inetsrv, windows / "temp"}
    left_out = machine.prefix / "wineserver"  # Debian's note of where this prefix's server was

    def copy_folder(folder: Path, into: Path, linked: bool) -> None:
        into.mkdir()
        with os.scandir(folder) as entries:
            for entry in entries:
                path = folder / entry.name
                if entry.is_symlink():
                    (into / entry.name).symlink_to(path.readlink())
                elif entry.is_dir():
                    copy_folder(path, into / entry.name, (linked or path == windows) and path not in own)
                elif linked:
                    os.link(path, into / entry.name)
                elif path != left_out:
                    shutil.copy2(path, into / entry.name)

    copy_folder(machine.prefix, target, False)


def _wine(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/lib/wine")
    if found is None:
        raise ConfigurationError(
            f"{name} is required for a simulated Windows server.", hint="Run apt-get install --no-install-recommends wine64."
        )
    return found


def _fingerprint(engine: str) -> str:
    """Changes with the stand-ins, with the code that makes machines, and with the engine's path, size and time."""
    digest = hashlib.sha256()
    here = Path(__file__).parent
    for path in sorted([*STANDINS.rglob("*"), Path(__file__), here / "packages.py", here / "trampoline.py"]):
        if path.is_file():
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    launcher = Path(engine).resolve()
    digest.update(f"{launcher} {launcher.stat().st_size} {launcher.stat().st_mtime_ns}".encode())
    return digest.hexdigest()[:12]
