"""The engine without a PowerShell: it speaks PSRP by psrpcore and answers from a Machine's stored states.

It runs only the shipped script, which it recognizes by its text. It tests wire, command line, faults and reports, and no PowerShell.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from typing import Any

from psrpcore import (
    CreatePipelineEvent,
    EndOfPipelineInputEvent,
    InitRunspacePoolEvent,
    PipelineHostResponseEvent,
    PipelineInputEvent,
    PSRPPayload,
    ServerPipeline,
    ServerRunspacePool,
    SessionCapabilityEvent,
    StreamType,
)
from psrpcore.types import (
    ErrorCategory,
    ErrorCategoryInfo,
    ErrorRecord,
    NETException,
    PSInvocationState,
    PSVersion,
)

from lyncarr.lab.replay.machine import Machine
from lyncarr.lab.replay.shipped import COMMAND_NAME, MISSING, SHIPPED_ONLY, needed, not_found
from lyncarr.lab.replay.winrs import ReplayProcess
from lyncarr.lab.wire import wsman
from lyncarr.lab.wire.engine import Output, ProcessOutput, ProcessStart
from lyncarr.powershell.bundle import BUNDLES, Script

FRAGMENT_BYTES = 32_768


class ReplayEngine:
    """Answers from `machine`; `script` holds the texts that it takes for the shipped ones."""

    def __init__(self, machine: Machine, *, script: Script) -> None:
        self.machine = machine
        self._script = script
        self._lock = threading.Lock()
        self._running: set[ReplayShell | ReplayProcess] = set()

    @property
    def computer(self) -> str:
        return self.machine.computer

    def open(self, shell_id: str, creation: bytes, output: Output) -> ReplayShell:
        shell = ReplayShell(self.machine, self._script, shell_id, creation, output)
        self._remember(shell)
        return shell

    def open_process(self, start: ProcessStart, output: ProcessOutput) -> ReplayProcess:
        process = ReplayProcess(self.machine, self._script, start, output)
        self._remember(process)
        return process

    def _remember(self, started: ReplayShell | ReplayProcess) -> None:
        with self._lock:
            self._running = {other for other in self._running if other.running} | {started}

    def close(self) -> None:
        with self._lock:
            running, self._running = self._running, set()
        for started in running:
            started.close()


class _Stopped(Exception):
    """A pipeline was asked to stop."""


class _PowerShellError(Exception):
    """A terminating error as PowerShell would have raised it."""

    def __init__(self, message: str, error_id: str, exception: str, category: ErrorCategory) -> None:
        super().__init__(message)
        self.error_id = error_id
        self.exception = exception
        self.category = category


class _Pipeline:
    """One pipeline: what it was given, and the means to stop it."""

    def __init__(self, pipeline: ServerPipeline) -> None:
        self.psrp = pipeline
        self.input: list[Any] = []
        self.stopping = threading.Event()
        self.thread: threading.Thread | None = None

    def wait(self, seconds: float) -> None:
        if self.stopping.wait(seconds):
            raise _Stopped


class ReplayShell:
    """One runspace pool. psrpcore is not safe for threads: all of it happens under one lock."""

    def __init__(self, machine: Machine, script: Script, shell_id: str, creation: bytes, output: Output) -> None:
        self._machine = machine
        self._script = script
        self._id = shell_id
        self._output = output
        self._lock = threading.RLock()
        self._pipelines: dict[str, _Pipeline] = {}
        self._defined = False
        self._bundles: set[str] = set()
        self.running = True
        version = PSVersion(machine.powershell)
        self._pool = ServerRunspacePool({"PSVersionTable": {"PSVersion": version, "WSManStackVersion": PSVersion("3.0")}})
        self._take(None, creation)

    def command(self, command_id: str, data: bytes) -> None:
        with self._lock:
            # The pipeline must be there before the message that describes it.
            self._pipelines[command_id] = _Pipeline(ServerPipeline(self._pool, uuid.UUID(command_id)))
            self._take(command_id, data)

    def send(self, command_id: str | None, stream: str, data: bytes) -> None:
        self._take(command_id, data)

    def stop(self, command_id: str) -> None:
        with self._lock:
            pipeline = self._pipelines.get(command_id)
            if pipeline is not None:
                pipeline.stopping.set()
                if pipeline.thread is None:  # it waits for input, and stops as soon as it begins
                    self._start(pipeline)

    terminate = stop

    def close(self) -> None:
        self.running = False
        with self._lock:
            pipelines = list(self._pipelines.values())
        for pipeline in pipelines:
            pipeline.stopping.set()
        for pipeline in pipelines:
            if pipeline.thread is not None:
                pipeline.thread.join(1.0)
        self._machine.release(self._id)

    def _take(self, command_id: str | None, data: bytes) -> None:
        """Feed what the client sent, act on it, pass on what psrpcore answers by itself."""
        with self._lock:
            target = uuid.UUID(command_id) if command_id else None
            self._pool.receive_data(PSRPPayload(data, StreamType.default, target))
            while (event := self._pool.next_event()) is not None:
                self._act(event)
            self._drain()

    def _act(self, event: Any) -> None:
        if isinstance(event, SessionCapabilityEvent | InitRunspacePoolEvent | PipelineHostResponseEvent):
            return  # psrpcore answers the first two; host calls are made by faults, and their answers are not used
        pipeline = self._pipelines.get(str(event.pipeline_id).upper())
        if pipeline is None:
            raise wsman.unsupported(f"The replay host does not answer {type(event).__name__}.")
        if isinstance(event, CreatePipelineEvent):
            if event.pipeline.no_input:
                self._start(pipeline)
        elif isinstance(event, PipelineInputEvent):
            pipeline.input.append(event.data)
        elif isinstance(event, EndOfPipelineInputEvent):
            self._start(pipeline)
        else:
            raise wsman.unsupported(f"The replay host does not answer {type(event).__name__}.")

    def _start(self, pipeline: _Pipeline) -> None:
        # Private, because start() reports to the client that the pipeline runs, and PowerShell does not.
        pipeline.psrp._change_state(PSInvocationState.Running, emit=False)
        pipeline.thread = threading.Thread(target=self._run, args=(pipeline,), name="lab-pipeline", daemon=True)
        pipeline.thread.start()

    def _run(self, pipeline: _Pipeline) -> None:
        """Write each burst as it comes, and the last one together with the pipeline's end: that is one answer on the wire."""
        try:
            for burst, last in self._bursts(pipeline):
                self._write(pipeline, burst, last=last)
        except _Stopped:
            with self._lock:
                pipeline.psrp.stop()
                self._drain()
        except _PowerShellError as error:
            with self._lock:
                # psrpcore has no public way to fail.
                pipeline.psrp._change_state(PSInvocationState.Failed, error=_error_record(error))
                self._drain()

    def _write(self, pipeline: _Pipeline, objects: list[Any], *, last: bool) -> None:
        with self._lock:
            for value in objects:
                pipeline.psrp.write_output(value)
            if last:
                pipeline.psrp.complete()
            self._drain()

    def _bursts(self, pipeline: _Pipeline) -> Iterator[tuple[list[Any], bool]]:
        """The output objects of a pipeline, and whether they are its last."""
        pipeline.wait(0)
        request = self._request(pipeline)
        first, self._defined = not self._defined, True
        secrets = str(pipeline.input[0]) if pipeline.input else None
        rewrite = self._machine.faults.rewrite
        for lines, last in self._machine.answer(request, secrets, self._id, first, pipeline.wait):
            yield (["\n".join(lines)] if rewrite is None else rewrite(lines)), last

    def _request(self, pipeline: _Pipeline) -> str:
        """The request in a pipeline that is the shipped script, or its command once the script has run."""
        described: Any = pipeline.psrp.metadata
        commands = described.commands
        command = commands[0]
        parameters = dict(command.parameters)
        kinds = {text: kind for kind, text in self._script.bundles.items() if BUNDLES[kind].first or self._defined}
        if len(commands) != 1 or (command.is_script and command.command_text not in kinds):
            raise _PowerShellError(
                SHIPPED_ONLY,
                "ReplayRunsShippedScriptOnly",
                "System.Management.Automation.PSNotSupportedException",
                ErrorCategory.NotImplemented,
            )
        if not command.is_script and not (command.command_text == COMMAND_NAME and self._defined):
            raise _not_found(command.command_text)
        if command.is_script:
            kind = kinds[command.command_text]
            self._bundles.update((kind, *BUNDLES[kind].parts))
        request = str(parameters.get("Request", ""))
        if (kind := needed(request)) not in self._bundles:
            raise _not_found(MISSING[kind])
        return request

    def _drain(self) -> None:
        """Hand on what psrpcore has to say, all packets of one target at once."""
        packets: dict[str | None, list[bytes]] = {}
        while (payload := self._pool.data_to_send(FRAGMENT_BYTES)) is not None:
            target = str(payload.pipeline_id).upper() if payload.pipeline_id else None
            packets.setdefault(target, []).append(payload.data)
        for target, data in packets.items():
            self._output.write(target, data)


def _not_found(name: str) -> _PowerShellError:
    return _PowerShellError(
        not_found(name),
        "CommandNotFoundException",
        "System.Management.Automation.CommandNotFoundException",
        ErrorCategory.ObjectNotFound,
    )


def _error_record(error: _PowerShellError) -> ErrorRecord:
    exception = NETException(Message=str(error), HResult=-2146233087)
    exception.PSObject.type_names = [error.exception, "System.Management.Automation.RuntimeException", *exception.PSTypeNames]
    return ErrorRecord(
        Exception=exception,
        CategoryInfo=ErrorCategoryInfo(Category=error.category, Reason=error.exception.rsplit(".", 1)[-1]),
        FullyQualifiedErrorId=error.error_id,
    )
