"""Checks the connection to a host step by step, each step with the code that a run uses. Writes nothing on the host."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal

import requests

from lyncarr.core import fitness
from lyncarr.core.errors import LostConnectionError, LyncarrError, ProtocolError, UnreachableError
from lyncarr.core.model import Deadline, Event
from lyncarr.core.session import Session
from lyncarr.core.text import safe
from lyncarr.hosts.choose import shell_class_for
from lyncarr.hosts.http.answers import judge, offered_methods, require_method
from lyncarr.hosts.http.guard import GuardedSession
from lyncarr.hosts.http.retry import TransientError
from lyncarr.hosts.http.sockets import TimedSocket, dial, resolve
from lyncarr.hosts.http.tls import described, secure, speaks_tls
from lyncarr.hosts.shell import Identity
from lyncarr.hosts.target import CHECK_ADDRESS, Target
from lyncarr.powershell.bundle import Script
from lyncarr.runs.connection import identity

Word = Literal["ok", "warning", "failed", "skipped"]
CHECKS = ("name", "port", "tls", "winrm", "clock", "logon", "shell", "script", "rights", "fit")
CONNECT_S = 10.0
REQUEST_S = 45.0
PLAIN_REQUEST = b"POST /wsman HTTP/1.1\r\nHost: wsman\r\nContent-Length: 0\r\n\r\n"
PLAIN_ANSWER = b"HTTP/"
MOST_CLOCK_S = 300
"""The difference in seconds that Kerberos allows. NTLM allows more, and certificates are valid for days."""


@dataclass(frozen=True)
class Finding:
    """The result of one check. `text` is what was found; for a failed check it is the message of `error`."""

    check: str
    word: Word
    text: str = ""
    error: LyncarrError | None = None


class _Stopped(Exception):
    """A check failed, so the checks after it cannot run."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.check)
        self.finding = finding


def examine(target: Target, script: Script) -> Iterator[Finding]:
    """The findings in the order of CHECKS, each as soon as it is known. After a failed check all others are skipped.

    Makes at most one attempt to log on. Errors of core/errors.py are findings and are not raised.
    """
    done: list[str] = []
    try:
        for finding in _Examination(target, script).findings():
            done.append(finding.check)
            yield finding
    except _Stopped as stopped:
        done.append(stopped.finding.check)
        yield stopped.finding
        yield from (Finding(check, "skipped") for check in CHECKS if check not in done)


class _Examination:
    def __init__(self, target: Target, script: Script) -> None:
        self._target = target
        self._script = script

    def findings(self) -> Iterator[Finding]:
        yield _run("name", self._name)
        yield _run("port", self._port)
        if self._target.tls.mode == "off":
            yield Finding("tls", "skipped", 'not used (tls = "off"): NTLM or Kerberos encrypts the messages')
        else:
            yield _run("tls", self._tls)
        answers: list[requests.Response] = []
        yield _run("winrm", lambda: self._winrm(answers))
        yield _clock(answers[0])
        yield from self._remote()

    def _name(self) -> str:
        target = self._target
        found = resolve(target.address, target.port, target.where, Deadline(CONNECT_S))
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        return (
            "an IP address, no name to resolve" if addresses == [target.address] else f"{target.address} resolves to {', '.join(addresses)}"
        )

    def _dial(self, deadline: Deadline) -> TimedSocket:
        return dial(self._target.address, self._target.port, self._target.where, deadline)

    def _port(self) -> str:
        self._dial(Deadline(CONNECT_S)).close()
        return f"{self._target.port} is open"

    def _tls(self) -> str:
        target, deadline = self._target, Deadline(CONNECT_S)
        try:
            secured = secure(self._dial(deadline), target, deadline, lambda: self._dial(deadline))
        except (ProtocolError, TransientError) as error:
            if not self._speaks_http():
                raise
            raise ProtocolError(
                f"{target.where} uses HTTP without TLS on that port.",
                hint="Check the port. WinRM over HTTPS uses port 5986 unless it was changed; the script of lyncarr bootstrap creates such "
                "a listener on the host.",
                detail=error.detail,
            ) from None
        with secured:
            return f"{secured.version()}; {described(secured.getpeercert(binary_form=True) or b'')}"

    def _speaks_http(self) -> bool:
        """Whether the port answers in HTTP without TLS. Uses a connection of its own; the answer is used for nothing else."""
        try:
            with self._dial(Deadline(CONNECT_S)) as sock:
                sock.sendall(PLAIN_REQUEST)
                return bool(sock.recv(len(PLAIN_ANSWER)) == PLAIN_ANSWER)
        except (OSError, UnreachableError):
            return False

    def _winrm(self, answers: list[requests.Response]) -> str:
        """Send an empty request without a logon. WinRM answers it with 401 and the logon methods that it offers."""
        target = self._target
        with GuardedSession(target) as session:
            try:
                answer = session.exchange(b"", {}, answer_s=CONNECT_S, connect_by=Deadline(CONNECT_S))
            except (ProtocolError, LostConnectionError) as error:
                if target.tls.mode == "off" and self._speaks_tls():
                    raise ProtocolError(
                        f"{target.where} uses TLS on that port.",
                        hint='Use another value of tls than "off", or the port of the HTTP listener (5985).',
                        detail=error.detail,
                    ) from None
                raise
        if answer.status_code != 401:
            judge(answer, target)
            raise ProtocolError(f"{target.where} does not request a logon, which WinRM always does.", hint=CHECK_ADDRESS)
        require_method(answer, target)
        answers.append(answer)
        return f"answers, and offers {', '.join(offered_methods(answer)) or 'no logon method that lyncarr knows'}"

    def _speaks_tls(self) -> bool:
        deadline = Deadline(CONNECT_S)
        try:
            return speaks_tls(self._dial(deadline), self._target, deadline)
        except UnreachableError:
            return False

    def _remote(self) -> Iterator[Finding]:
        """Log on, open a shell and let the script report the host, as a run does."""
        target = self._target
        identities: list[Identity] = []
        hello: dict[str, Any] = {}
        error: LyncarrError | None = None
        shell = shell_class_for(target)(target, script=self._script, connect_timeout_s=CONNECT_S, on_identity=identities.append)

        def keep(event: Event) -> None:
            if event.name == "hello":
                hello.update(event.data)

        with Session(lambda: shell, host=target.name, run=str(uuid.uuid4()), who=identity(), on_event=keep) as session:
            try:
                session.observe((), lock=False, deadline=Deadline(REQUEST_S))
            except LyncarrError as raised:
                error = raised
        if error is not None and not shell.logged_on:
            raise _Stopped(_failed("logon", error))
        yield Finding("logon", "ok", f"as {target.user}, by {target.auth}" if target.user else f"by {target.auth}")
        if error is not None and not identities:
            raise _Stopped(_failed("shell", error))
        yield Finding("shell", "ok", f"PowerShell {safe(identities[0].powershell)}")
        if error is not None:
            raise _Stopped(_failed("script", error))
        yield Finding("script", "ok", f"ran on {hello['computer']}, {hello['os']} (build {hello['build']})")
        yield _run("rights", lambda: _rights(hello))
        yield _run("fit", lambda: _fit(hello))


def _run(check: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(check, "ok", look())
    except LyncarrError as error:
        raise _Stopped(_failed(check, error)) from None


def _failed(check: str, error: LyncarrError) -> Finding:
    return Finding(check, "failed", str(error), error)


def _clock(answer: requests.Response) -> Finding:
    """Compare the clocks by the header Date, to the second. A host may send a wrong Date, so no decision depends on it."""
    try:
        ahead = (parsedate_to_datetime(answer.headers.get("Date", "")) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return Finding("clock", "skipped", "the answer of the host has no valid date")
    seconds = round(abs(ahead))
    text = f"{seconds} s {'ahead of' if ahead > 0 else 'behind'} this controller" if seconds > 2 else "the same as on this controller"
    if seconds <= MOST_CLOCK_S:
        return Finding("clock", "ok", text)
    return Finding("clock", "warning", f"{text}; Kerberos allows 5 minutes, and certificates can seem expired. Correct the wrong clock.")


def _rights(hello: dict[str, Any]) -> str:
    fitness.check_rights(hello)
    return "the session has administrator rights"


def _fit(hello: dict[str, Any]) -> str:
    fitness.check(hello)
    return "lyncarr supports this host" + ("; Windows must restart" if hello["pending_reboot"] else "")
