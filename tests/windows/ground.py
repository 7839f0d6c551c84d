"""The sweep's ground on a simulated Windows server: Microsoft's PSRP server, the shipped script, IIS' file and real packages."""

from __future__ import annotations

import contextlib
import shutil
import threading
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lyncarr.lab.real.wine import State, WineEngine, WineMachine, template
from lyncarr.lab.wire.engine import Engine
from tests.lab.sweep import KILLED, Ground, Operation, hurried
from tests.patience import HANG_S
from tests.windows.sites import write_full_site

BEGINS: dict[Operation, State] = {"plan": "arr", "farms": "arr", "install": "bare"}
LOOK_S = 0.02


def patient(grace_s: float = HANG_S) -> contextlib.AbstractContextManager[None]:
    """The waits of a run in this process.

    On a busy machine a PowerShell on Wine takes more than ten seconds to start: a run that gives it up by then calls the host
    unreachable. A stalled answer is waited for as long.
    """
    return hurried(operation_s=2, grace_s=grace_s)


@dataclass
class WineGround(Ground):
    """A machine in `folder`, copied from a template in `cache`; `pwsh` is the launcher of the Windows build of PowerShell."""

    operation: Operation = "plan"
    pwsh: str = ""
    cache: Path = Path()
    engine_name = "wine"
    wine: WineMachine = field(init=False)

    def __post_init__(self) -> None:
        self.faults.retry_after_s = 0
        self.wine = self._copy()
        self._before = self._configuration.read_bytes() if self._configuration.exists() else b""
        self._begun = 0
        if self.operation == "install":
            text = write_full_site(self.folder, self.wine).read_text(encoding="utf-8")
            self.farms = text[text.index("[certificates]") :]

    def engine(self) -> Engine:
        return WineEngine(self.wine)

    @property
    def _configuration(self) -> Path:
        return self.wine.inetsrv / "config" / "applicationHost.config"

    @property
    def _data(self) -> Path:
        return self.wine.drive / "ProgramData" / "lyncarr"

    def _copy(self) -> WineMachine:
        return template(self.pwsh, self.cache, BEGINS[self.operation]).copy(self.folder / "machine")

    def begin(self) -> None:
        if self.operation == "install":
            self.wine.stop()
            shutil.rmtree(self.wine.folder)
            self.wine = self._copy()
        else:
            self.wine.lay_configuration(self._before)
            (self._data / "restart-needed").unlink(missing_ok=True)
        self._begun = self.wine.restarts

    def seen(self) -> list[str]:
        if not self._configuration.exists():
            return []
        try:
            return loose_rules(self._configuration.read_bytes())
        except ElementTree.ParseError as error:
            return [f"applicationHost.config is no XML: {error}"]

    def settled(self, first: int) -> list[str]:
        """One restart, and none owed; a second one where the first run was ended in the middle of its own.

        Packages stay only where nobody was left to remove them, and the next run had none to install: see docs/faults.md.
        """
        restarts = self.wine.restarts - self._begun
        found = [] if restarts in (1, 2) else [f"IIS was restarted {restarts} times"]
        if (self._data / "restart-needed").exists():
            found.append("a restart of IIS is still owed")
        left = [path.name for path in self._data.rglob("*.msi") if first != KILLED]
        return found + [f"left behind: {name}" for name in left]

    @contextlib.contextmanager
    def watch(self) -> Iterator[list[str]]:
        """Reads applicationHost.config whenever it has changed: what stands in it, IIS acts on at once."""
        found: list[str] = []
        over = threading.Event()

        def look() -> None:
            before = b""
            while not over.wait(LOOK_S):
                with contextlib.suppress(OSError, ElementTree.ParseError):
                    # A file that is being written is no XML for a moment, and IIS reads it again.
                    now = self._configuration.read_bytes()
                    if now != before:
                        found.extend(loose_rules(now))
                        before = now

        thread = threading.Thread(target=look, name="watch", daemon=True)
        thread.start()
        try:
            yield found
        finally:
            over.set()
            thread.join()


def loose_rules(configuration: bytes) -> list[str]:
    """The enabled global rules that lead to a farm of the site and answer for any host."""
    found = []
    for rule in ElementTree.fromstring(configuration).iterfind("system.webServer/rewrite/globalRules/rule"):
        action = rule.find("action")
        leads = action is not None and ".contoso.com/" in action.get("url", "")
        bound = any(one.get("input") == "{HTTP_HOST}" for one in rule.iterfind("conditions/add"))
        if leads and not bound and rule.get("enabled", "true") == "true":
            found.append(f"rule {rule.get('name')} without its host condition")
    return found
