"""What pip on a Windows machine without an index would miss in a set of wheels, by the metadata of the wheels.

The set comes from another resolver (uv), for a machine that is not this one, so it is checked before it is shipped.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import Version

PLATFORM = "win_amd64"


def metadata(wheel: Path) -> Message:
    """The core metadata of a wheel. https://packaging.python.org/specifications/core-metadata/"""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.count("/") == 1 and name.endswith(".dist-info/METADATA"))
        return HeaderParser().parsestr(archive.read(name).decode("utf-8"))


def problems(wheels: Iterable[Path], root: str, extras: Iterable[str], python: str) -> list[str]:
    """One sentence for each requirement of `root` with `extras`, and of what it requires, that the wheels do not meet on this Python."""
    environment, tags = _markers(python), _tags(python)
    usable = {canonicalize_name(str(head["Name"])): head for wheel, head in _heads(wheels) if not tags.isdisjoint(_tags_of(wheel))}
    found: dict[str, None] = {}
    pending = [(canonicalize_name(root), frozenset(extras))]
    done = set()
    while pending:
        name, wanted = pending.pop()
        if (name, wanted) in done:
            continue
        done.add((name, wanted))
        head = usable[name]
        if not SpecifierSet(str(head["Requires-Python"] or "")).contains(environment["python_full_version"]):
            found[f"{name} {head['Version']} does not support Python {python}"] = None
        for line in head.get_all("Requires-Dist") or []:
            needed = Requirement(line)
            if needed.marker and not any(needed.marker.evaluate(environment | {"extra": extra}) for extra in ("", *wanted)):
                continue
            other = canonicalize_name(needed.name)
            if other not in usable:
                found[f"{name} requires {needed.name}, for which there is no wheel for Python {python}"] = None
            elif not needed.specifier.contains(Version(str(usable[other]["Version"])), prereleases=True):
                found[f"{name} requires {needed.name} {needed.specifier}, not {usable[other]['Version']}"] = None
            else:
                pending.append((other, frozenset(needed.extras)))
    return sorted(found)


def _heads(wheels: Iterable[Path]) -> Iterator[tuple[Path, Message]]:
    for wheel in wheels:
        yield wheel, metadata(wheel)


def _tags_of(wheel: Path) -> frozenset[Tag]:
    return parse_wheel_filename(wheel.name)[3]


def _tags(python: str) -> frozenset[Tag]:
    """The tags of wheels that CPython on Windows can use."""
    major, minor = map(int, python.split("."))
    version = (major, minor)
    own = cpython_tags(version, platforms=[PLATFORM])
    return frozenset((*own, *compatible_tags(version, interpreter=f"cp{major}{minor}", platforms=[PLATFORM])))


def _markers(python: str) -> dict[str, str]:
    """The variables of environment markers on the oldest Windows that is supported, with the first release of this Python."""
    return {
        "os_name": "nt",
        "sys_platform": "win32",
        "platform_system": "Windows",
        "platform_machine": "AMD64",
        "platform_release": "10",
        "platform_version": "10.0.14393",
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
        "implementation_version": f"{python}.0",
        "python_version": python,
        "python_full_version": f"{python}.0",
    }
