"""The configuration files of the benchmark, and the settings of each in the form that a script of an administrator would use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lyncarr.config.loader import load_site
from lyncarr.materials.prepare import Prepared, prepare
from lyncarr.steps.rules import https_rules

DOMAIN = "contoso.com"
PASSWORD_VARIABLE = "LYNCARR_BENCH_PASSWORD"
# Addresses, not names: the duration of a failed name lookup is not a property of the tools.
LYNC, OFFICE = "192.0.2.20", ("192.0.2.30", "192.0.2.31")
# Number of settings -> farm and its servers. Each farm has four settings, and one more for each of its servers.
SITES: dict[int, Mapping[str, tuple[str, ...]]] = {
    11: {"meet": (LYNC,), "wac": OFFICE},
    40: {
        **dict.fromkeys(("meet", "dialin", "lyncdiscover", "lyncwebext", "admin", "scheduler", "webext-emea"), (LYNC,)),
        "wac": OFFICE[:1],
    },
}


@dataclass(frozen=True)
class Endpoint:
    """The HTTPS address of the host, the user, and the PEM file of the certificate authority."""

    address: str
    port: int
    user: str
    ca: Path


@dataclass(frozen=True)
class Setting:
    """One thing to read and set: `script` is a file of peers/, `values` are its parameters."""

    script: str
    values: Mapping[str, str | int]


def write_site(folder: Path, settings: int, host: Endpoint) -> Path:
    """Write a configuration file with `settings` settings beside the certificate authority. $LYNCARR_BENCH_PASSWORD has the password."""
    farms = "".join(
        f'\n[[farms]]\nname = "{label}.{DOMAIN}"\nservers = [{", ".join(f"{server!r}" for server in servers)}]\n'
        + ('kind = "office-web-apps"\n' if label == "wac" else "")
        for label, servers in SITES[settings].items()
    )
    path = folder / "lyncarr.toml"
    path.write_text(
        f'[hosts.rp01]\naddress = "{host.address}"\nport = {host.port}\nuser = "{host.user}"\nauth = "ntlm"\ntls = "ca:{host.ca.name}"\n'
        f'password = "env:{PASSWORD_VARIABLE}"\n{farms}',
        encoding="utf-8",
    )
    return path


def read_site(path: Path) -> Prepared:
    return prepare(load_site(path), None)


def settings_of(site: Prepared) -> list[Setting]:
    """The settings of a configuration file in a valid order: a farm before its servers and its rule."""
    found = []
    for farm, rule in zip(site.farms, https_rules(site), strict=True):
        found.append(Setting("farm", {"Farm": farm.name}))
        for server in farm.servers:
            ports: dict[str, str | int] = {"HttpPort": farm.http_port, "HttpsPort": farm.https_port}
            found.append(Setting("server", {"Farm": farm.name, "Server": server, **ports}))
        found.append(Setting("disk_cache", {"Farm": farm.name}))
        found.append(Setting("proxy_timeout", {"Farm": farm.name, "Seconds": farm.timeout_s}))
        found.append(Setting("rule", {"Name": rule.name, "Farm": farm.name, "Pattern": rule.pattern}))
    return found
