"""lyncarr configures a Windows server as the IIS/ARR reverse proxy of a Lync or Skype for Business deployment.

The public API is loaded on first use, so that the command line starts without it:

- `open_job(site, host, **overrides)` returns a `Job` with `plan()` and `converge(confirm)`; see docs/api.md.
- `HostResult`, `StepResult`, `Note` and `Plan` are what a run returns; `LyncarrError` is the base of all errors.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lyncarr.core.errors import LyncarrError
    from lyncarr.core.outcome import HostResult, Note, StepResult
    from lyncarr.core.plan import Plan
    from lyncarr.core.text import safe
    from lyncarr.runs.job import Job, open_job

__version__ = "0.1.0"

_EXPORTS = {
    "HostResult": "lyncarr.core.outcome",
    "Job": "lyncarr.runs.job",
    "LyncarrError": "lyncarr.core.errors",
    "Note": "lyncarr.core.outcome",
    "Plan": "lyncarr.core.plan",
    "StepResult": "lyncarr.core.outcome",
    "open_job": "lyncarr.runs.job",
    "safe": "lyncarr.core.text",
}

__all__ = ["HostResult", "Job", "LyncarrError", "Note", "Plan", "StepResult", "__version__", "open_job", "safe"]


def __getattr__(name: str) -> Any:
    if name in _EXPORTS:
        return getattr(import_module(_EXPORTS[name]), name)
    raise AttributeError(f"module 'lyncarr' has no attribute '{name}'")
