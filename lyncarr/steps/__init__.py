"""The steps that turn a bare Windows server into the reverse proxy, in the order in which lyncarr applies them."""

from __future__ import annotations

from lyncarr.core.model import Stage, Step
from lyncarr.steps.arr import Arr
from lyncarr.steps.certificate import Certificate
from lyncarr.steps.disk_cache import DiskCache
from lyncarr.steps.farms import Farms
from lyncarr.steps.host_conditions import HostConditions
from lyncarr.steps.http_rules import HttpRules
from lyncarr.steps.https_binding import HttpsBinding
from lyncarr.steps.iis import Iis
from lyncarr.steps.proxy_timeout import ProxyTimeout
from lyncarr.steps.ssl_offload import SslOffload
from lyncarr.steps.trusted_roots import TrustedRoots

STAGES: tuple[Stage, ...] = (
    # The packages extend the schema of IIS, which a process that started earlier does not see. So a new shell is required.
    Stage("install", (Iis(), Arr()), fresh_shell_after=True, may_reboot=True),
    Stage("certificates", (TrustedRoots(), Certificate())),
    Stage("binding", (HttpsBinding(),)),
    Stage(
        "farms",
        (Farms(), DiskCache(), ProxyTimeout(), SslOffload(), HttpRules(), HostConditions()),
        transaction=True,
    ),
)

STEPS: tuple[Step, ...] = tuple(step for stage in STAGES for step in stage.steps)
