"""The runbook: what is done to a bare Windows server, in the order in which it is done."""

from __future__ import annotations

from lyncarr.core.model import Stage, Step
from lyncarr.steps.disk_cache import DiskCache
from lyncarr.steps.farms import Farms
from lyncarr.steps.host_conditions import HostConditions
from lyncarr.steps.http_rules import HttpRules
from lyncarr.steps.proxy_timeout import ProxyTimeout
from lyncarr.steps.ssl_offload import SslOffload

RUNBOOK: tuple[Stage, ...] = (
    Stage(
        "farms",
        (Farms(), DiskCache(), ProxyTimeout(), SslOffload(), HttpRules(), HostConditions()),
        transaction=True,
    ),
)

STEPS: tuple[Step, ...] = tuple(step for stage in RUNBOOK for step in stage.steps)
