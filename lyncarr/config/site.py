"""`Site`: what the rest of the program reads of a configuration file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lyncarr.config.farms import Farm
from lyncarr.config.tables import Certificates, HostConfig, Installers, Website


@dataclass(frozen=True)
class Hosts:
    """The hosts of a configuration file.

    `path` is the file as the user named it, for messages; every path inside the tables is absolute. `text` is its content, in which
    the lines of problems are found.
    """

    path: Path
    hosts: Mapping[str, HostConfig]
    text: str = field(default="", repr=False, compare=False, kw_only=True)

    @property
    def folder(self) -> Path:
        """The folder at which relative paths of the file start."""
        return self.path.absolute().parent


@dataclass(frozen=True)
class Site(Hosts):
    """A valid configuration file.

    `warnings` are shown in every run, `notes` by `lyncarr check` only. Each is one sentence.
    """

    certificates: Certificates
    website: Website
    installers: Installers
    farms: tuple[Farm, ...]
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
