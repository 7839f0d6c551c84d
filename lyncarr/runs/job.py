"""One host and what a configuration file desires of it: `open_job` prepares everything locally, a Job plans and converges."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from lyncarr.core.converge import Listener, Run
from lyncarr.core.errors import UsageError
from lyncarr.core.interrupts import Interrupts
from lyncarr.core.limits import MAX_TIMEOUT_S, MIN_TIMEOUT_S, PLAN_DEADLINE_S
from lyncarr.core.model import Stage
from lyncarr.core.outcome import HostResult, Note
from lyncarr.core.plan import Plan, select
from lyncarr.powershell.bundle import shipped
from lyncarr.runs.connection import Ask, Overrides, connection_warnings, find_target, identity
from lyncarr.steps import STAGES
from lyncarr.steps.rules import all_rules

if TYPE_CHECKING:
    from typing import Unpack

    from lyncarr.config.site import Site
    from lyncarr.hosts.shell import RemoteShell, Traffic
    from lyncarr.hosts.target import Target
    from lyncarr.materials.prepare import Prepared
    from lyncarr.runs.connection import OverrideArguments

Confirm: TypeAlias = Callable[[Plan, list[Note]], bool]
"""Gets the plan and its notes before the first write; True applies the plan."""


def open_job(
    site: Site | Path | str,
    host: str | None = None,
    *,
    steps: Iterable[str] = (),
    timeout_s: float = PLAN_DEADLINE_S,
    listener: Listener | None = None,
    ask: Ask = None,
    who: str | None = None,
    **overrides: Unpack[OverrideArguments],
) -> Job:
    """Read and check everything that one run on `host` needs. Contacts no host.

    `site` is the path of a configuration file, or a Site that `lyncarr.config.loader.load_site` returned. Without `host` the only
    host of the file is meant. `steps` limits the run to these steps and the others of their transactions. `timeout_s` limits each
    reading of the state, in seconds from 1 to 3600. `listener` receives events as they happen. `ask` is called for secrets whose
    source is `prompt`; without it such a secret is an error. `who` identifies the user in the lock on the host; the default is
    user@computer. `overrides` replace keys of the host's table: see lyncarr.runs.connection.Overrides.

    Raises UsageError, SiteError or ConfigurationError of lyncarr.core.errors.
    """
    from lyncarr.config.loader import load_site
    from lyncarr.hosts.http.tls import context_for
    from lyncarr.materials.prepare import prepare

    stages = select(STAGES, [steps] if isinstance(steps, str) else steps)
    if not MIN_TIMEOUT_S <= timeout_s <= MAX_TIMEOUT_S:  # Not a number is neither.
        raise UsageError(f"timeout_s is {timeout_s:g}.", hint=f"Use a number of seconds from {MIN_TIMEOUT_S:g} to {MAX_TIMEOUT_S:g}.")
    loaded = load_site(Path(site)) if isinstance(site, str | Path) else site
    target = find_target(loaded, host, Overrides(**overrides), ask)
    if target.tls.mode != "off":
        # A CA file or client certificate that cannot be used is an error of the configuration file, not of the host.
        context_for(target.tls, target.certificate, target.key)
    return Job(target, prepare(loaded, ask), stages, timeout_s=timeout_s, listener=listener, who=who or identity())


class Job:
    """Runs on one host. Each call of `plan` or `converge` is a run of its own with new connections.

    A job has no state outside itself: jobs of several hosts may run in several threads at once, one run of a job at a time.
    """

    def __init__(
        self, target: Target, site: Prepared, stages: tuple[Stage, ...], *, timeout_s: float, listener: Listener | None, who: str
    ) -> None:
        self.target = target
        self.site = site
        self.stages = stages
        self._timeout_s = timeout_s
        self._listener = listener or _Silent()
        self._who = who
        self._shells: list[RemoteShell] = []
        self._interrupts = Interrupts()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was found before any contact and does not prevent a run. These are also notes of each result."""
        return (*connection_warnings(self.target), *self.site.warnings)

    @property
    def published(self) -> Mapping[str, str]:
        """The name of each rule -> the URL by which clients on the internet use it."""
        return {rule.name: rule.address for rule in all_rules(self.site)}

    @property
    def logged_on(self) -> bool:
        """Whether the host accepted the logon in the last run."""
        return any(shell.logged_on for shell in self._shells)

    @property
    def traffic(self) -> Traffic:
        """The cost of the last run on the wire."""
        from lyncarr.hosts.shell import Traffic

        each = [shell.traffic for shell in self._shells]
        return Traffic(
            sum(entry.requests for entry in each),
            sum(entry.connections for entry in each),
            sum(entry.bytes_up for entry in each),
            sum(entry.bytes_down for entry in each),
        )

    def plan(self) -> HostResult:
        """Compare the host with the configuration file. Takes no lock and writes nothing. Errors are part of the result."""
        return self._run(write=False, confirm=None)

    def converge(self, confirm: Confirm | None = None) -> HostResult:
        """Apply what differs and observe again. Errors are part of the result.

        `confirm` gets the plan before the first write, and nothing is written unless it returns True. None applies without a question.
        """
        return self._run(write=True, confirm=confirm)

    def interrupt(self) -> bool:
        """Ctrl-C, to be called in the thread of the run, such as from a signal handler.

        Raises StopNow of lyncarr.core.interrupts, which ends the run with the result `interrupted`. While a transaction is being
        written, the first call only returns True: the run ends after that transaction. Before the first run the caller gets StopNow.
        After a run the call does nothing and returns False.
        """
        return self._interrupts.pressed()

    def _run(self, *, write: bool, confirm: Confirm | None) -> HostResult:
        from lyncarr.hosts.choose import shell_class_for
        from lyncarr.materials.upload import pieces

        self._shells, self._interrupts = [], Interrupts()
        shell_class = shell_class_for(self.target)

        def open_shell() -> RemoteShell:
            self._shells.append(shell_class(self.target, script=shipped(), known=self.logged_on))
            return self._shells[-1]

        return Run(
            host=self.target.name,
            stages=self.stages,
            site=self.site,
            open_shell=open_shell,
            listener=self._listener,
            who=self._who,
            write=write,
            confirm=confirm,
            interrupts=self._interrupts,
            plan_deadline_s=self._timeout_s,
            read_file=pieces,
            warnings=self.warnings,
        ).execute()


class _Silent:
    """The Listener of a job whose caller wants the result only."""

    def event(self, host: str, name: str, data: Mapping[str, Any]) -> None:
        return
