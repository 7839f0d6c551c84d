"""The replay engine's half of WinRS: what ps_snippets/_winrs.ps1 does, without a PowerShell, over a Machine's stored states."""

from __future__ import annotations

import queue
import re
import threading

from lyncarr.lab.replay.machine import Machine
from lyncarr.lab.replay.shipped import COMMAND_NAME, MISSING, SHIPPED_ONLY, needed, not_found
from lyncarr.lab.wire import wsman
from lyncarr.lab.wire.engine import CONTROL_C_EXIT, KILLED_EXIT, ProcessOutput, ProcessStart
from lyncarr.powershell import lines
from lyncarr.powershell.bundle import BUNDLES, Script

ASKED = re.compile(rf"{lines.ASK}([0-9]+)$")


class _Ended(Exception):
    """The process must end; `code` is its exit code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class ReplayProcess:
    """The EngineProcess of one command. Anything but the shipped bootstrap has failed before it read anything."""

    def __init__(self, machine: Machine, script: Script, start: ProcessStart, output: ProcessOutput) -> None:
        self._machine = machine
        self._script = script
        self._id = start.command_id
        self._output = output
        self._input: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._exit_code = KILLED_EXIT
        self._ending = threading.Event()
        self._known: set[str] = set()
        self._shipped = start.line == lines.command_line()
        self._thread = threading.Thread(target=self._run, name="lab-replay", daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def send(self, data: bytes) -> None:
        if not self.running:
            raise wsman.windows_error(wsman.BROKEN_PIPE, "The pipe has been ended.")
        self._input.put(data)

    def end_input(self) -> None:
        self._input.put(None)

    def interrupt(self) -> None:
        self._end(CONTROL_C_EXIT)

    def close(self) -> None:
        self._end(KILLED_EXIT)
        self._thread.join(1.0)
        # With its process goes what it holds.
        self._machine.release(self._id)

    def _end(self, code: int) -> None:
        self._exit_code = code
        self._ending.set()
        self._input.put(None)

    def _run(self) -> None:
        code = 0
        try:
            if self._shipped:
                self._converse()
            else:
                self._output.write("stderr", f"{SHIPPED_ONLY}\r\n".encode("ascii"))
                code = 1
        except _Ended as ended:
            code = ended.code
        self._machine.release(self._id)
        self._output.exited(code)

    def _converse(self) -> None:
        self._print(f"{lines.VERSION}{self._machine.powershell}")
        reader = lines.LineReader()
        held: list[str] = []
        ran = 0
        while (data := self._input.get()) is not None:
            for line in reader.feed(data):
                if asked := ASKED.search(line):
                    if int(asked[1]) > ran:
                        self._print(lines.INCOMPLETE)
                        return
                elif line != lines.RUN:
                    held.append(line)
                else:
                    ran += 1
                    *script, request, secrets = held
                    held = []
                    if (refusal := self._refusal("".join(f"{part}\n" for part in script), request)) is not None:
                        self._print(f"{lines.ERROR}{refusal}")
                        return
                    self._answer(request, secrets or None, first=ran == 1)
        self._wait(0)

    def _refusal(self, script: str, request: str) -> str | None:
        """What PowerShell would say instead of running this."""
        if script:
            kinds = {
                text: kind
                for kind, text in self._script.bundles.items()
                if kind not in self._known and (BUNDLES[kind].first or self._known)
            }
            if script not in kinds:
                return SHIPPED_ONLY
            kind = kinds[script]
            self._known.update((kind, *BUNDLES[kind].parts))
        if not self._known:
            return not_found(COMMAND_NAME)
        if (kind := needed(request)) not in self._known:
            return not_found(MISSING[kind])
        return None

    def _answer(self, request: str, secrets: str | None, *, first: bool) -> None:
        rewrite = self._machine.faults.rewrite
        for burst, last in self._machine.answer(request, secrets, self._id, first, self._wait):
            texts = ["\n".join(burst)] if rewrite is None else rewrite(burst)
            self._print(*(str(text) for text in texts), *([lines.END] if last else []))

    def _print(self, *texts: str) -> None:
        self._wait(0)
        if texts:
            self._output.write("stdout", "".join(f"{text}\n" for text in texts).encode("utf-8"))

    def _wait(self, seconds: float) -> None:
        if self._ending.wait(seconds):
            raise _Ended(self._exit_code)
