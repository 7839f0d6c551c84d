"""`Site`: what the rest of the program reads of a configuration file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lyncarr.config.farms import Farm
from lyncarr.config.tables import Certificates, HostConfig, Installers, Website


@dataclass(frozen=True)
class Hosts:
    """The hosts of a site file. `path` is as it was named, for messages; every path inside the tables is absolute."""

    path: Path
    hosts: Mapping[str, HostConfig]

    @property
    def folder(self) -> Path:
        """Where relative paths of the site file start."""
        return self.path.absolute().parent


@dataclass(frozen=True)
class Site(Hosts):
    """A site file that holds together.

    `warnings` must be told in every run; `notes` are what `lyncarr check` says besides.
    """

    certificates: Certificates
    website: Website
    installers: Installers
    farms: tuple[Farm, ...]
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
