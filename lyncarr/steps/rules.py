"""What the three rule steps derive from a farm. Names are IIS Manager's own, so that a hand-made host can be adopted."""

from __future__ import annotations

from typing import Any


def rule_name(farm: Any) -> str:
    """The name of the farm's only rule."""
    return f"ARR_{farm.name}_loadbalance" if farm.ssl_offload else f"ARR_{farm.name}_loadbalance_SSL"


def rule_action(farm: Any) -> str:
    """Where the rule leads: IIS keeps 'Route to Server Farm' as a rewrite to the farm's name."""
    scheme = "http" if farm.ssl_offload else "https"
    return f"{scheme}://{farm.name}/{{R:0}}"


def rule_conditions(farm: Any) -> tuple[str, ...]:
    """Canonical text of the conditions, all of which must hold."""
    return ("{HTTPS}=On", f"{{HTTP_HOST}}={farm.host_pattern}")


def host_header(site: Any, farm: Any) -> str:
    """What a browser sends as Host for this name: with the port where it is not 443."""
    port = site.website.port
    return farm.name if port == 443 else f"{farm.name}:{port}"
