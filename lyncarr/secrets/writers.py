"""Who else can change what `command:` runs: the configuration file that names a program, and the program itself.

A file can be changed by whoever can write it, and replaced by whoever can write a folder above it, also one of a symbolic link.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from lyncarr.core.errors import ConfigurationError
from lyncarr.core.text import safe
from lyncarr.secrets import acl
from lyncarr.secrets.words import join

_SYSTEM_USERS = frozenset({0, 65534})
"""root, and the number that Linux shows in a container for users outside of it, of whom nothing is known."""
_ADMINISTRATORS = frozenset({0, 80} if sys.platform == "darwin" else {0})
"""Groups whose members can become root: root or wheel, and admin of macOS, to which the folders of Homebrew belong."""
_FIRST_GROUP_OF_USERS = 100
"""Groups below are assigned by the distribution: https://www.debian.org/doc/debian-policy/ch-opersys.html#uid-and-gid-classes"""
_MOUNTS = Path("/proc/self/mounts")
_WRITE_BITS = {stat.S_IWGRP: "g-w", stat.S_IWOTH: "o-w"}


def refuse_changeable(path: Path, what: str, *, program: bool = False) -> None:
    """Raise ConfigurationError (exit 78) where other accounts can change the file at `path`, or replace it.

    `what` names the file in the message. Administrators are not others. Does nothing where the system does not show who can write.
    """
    for place in places(path.absolute()):
        found = _windows_writers(place, path, program) if sys.platform == "win32" else _posix_writers(place)
        if not found:
            continue
        who, command = found
        on = "it" if place == path.absolute() else f"the folder {place}" if _is_folder(place) else str(place)
        hint = f"command: runs a program as you, so only you and administrators may have write access. Check {path.name}"
        raise ConfigurationError(
            f"Other accounts can change {what} {path}: {safe(who)} can write {on}.",
            hint=f"{hint}, and run:\n  {command}" if command else f"{hint}, and move it into a folder that only you can write.",
        )


def places(path: Path) -> Iterator[Path]:
    """`path` and all folders above it, and the same for each symbolic link on the way; each place once."""
    seen: set[Path] = set()
    pending = [path]
    while pending:
        current = pending.pop()
        for place in (current, *current.parents):
            if place in seen:
                continue
            seen.add(place)
            yield place
            if os.path.islink(place):  # noqa: PTH114  Path.is_symlink raises where a folder above cannot be entered
                pending.append(place.parent / place.readlink())


def _is_folder(place: Path) -> bool:
    return os.path.isdir(place)  # noqa: PTH112  Path.is_dir raises where a folder above cannot be entered


def _posix_writers(place: Path) -> tuple[str, str] | None:
    """Who else can write there, and the command that ends it, "" where there is none. None if no other account can."""
    if sys.platform == "win32":
        return None
    try:
        status = place.lstat()
        mounts = _MOUNTS.read_bytes().decode("utf-8", "surrogateescape") if _MOUNTS.exists() else ""
    except OSError:
        return None
    if modes_are_made_up(place, mounts):
        return None
    who, bits = writers_by_mode(status, os.geteuid(), has_acl=_has_acl(place), is_private=_is_private, names=(_user_name, _group_name))
    if not who:
        return None
    return who, join(["chmod", ",".join(_WRITE_BITS[bit] for bit in bits), str(place)], windows=False) if bits else ""


def writers_by_mode(
    status: os.stat_result,
    user: int,
    *,
    has_acl: bool,
    is_private: Callable[[int, int], bool],
    names: tuple[Callable[[int], str], Callable[[int], str]],
) -> tuple[str, tuple[int, ...]]:
    """Who else can write by owner and mode, "" if no other account can, and the bits of the mode that allow it.

    `is_private` says whether a group has no other member than `user`. `has_acl`: the group bits of the mode are the limit of an access
    list, so they may stand for any account. `names` are the functions for the names of users and groups.
    """
    user_name, group_name = names
    mode = status.st_mode
    if status.st_uid not in _SYSTEM_USERS and status.st_uid != user:
        return user_name(status.st_uid), ()
    # In a folder with the sticky bit, such as /tmp, the others can neither remove nor rename what is not their own.
    if stat.S_ISLNK(mode) or (stat.S_ISDIR(mode) and mode & stat.S_ISVTX):
        return "", ()
    group_is_other = has_acl or (status.st_gid not in _ADMINISTRATORS and not is_private(status.st_gid, user))
    bits = tuple(bit for bit in _WRITE_BITS if mode & bit and (bit == stat.S_IWOTH or group_is_other))
    if not bits:
        return "", ()
    if stat.S_IWOTH in bits:
        return "every user", bits
    return "an account of its access list" if has_acl else f"the group {group_name(status.st_gid)}", bits


def modes_are_made_up(place: Path, mounts: str) -> bool:
    """Whether `place` is on a disk of Windows in WSL. It shows everything as writable for all; Windows decides by its own lists.

    `mounts` is the text of /proc/self/mounts. https://learn.microsoft.com/windows/wsl/file-permissions
    """
    best, made_up = 0, False
    for line in mounts.splitlines():
        _, folder, kind, options, *_ = [*line.split(" "), "", "", "", ""]
        folder = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), folder)
        if folder and place.is_relative_to(folder) and len(folder) >= best:
            best, made_up = len(folder), kind == "drvfs" or (kind == "9p" and "aname=drvfs" in options)
    return made_up


def _has_acl(place: Path) -> bool:
    if sys.platform != "linux":
        return False
    try:
        return "system.posix_acl_access" in os.listxattr(place)
    except OSError:
        return False


def _is_private(group: int, user: int) -> bool:
    """Whether the group has no member but the user and root: the group of the same name that many systems create for each user, or one
    that is reserved for the system, such as staff of Debian, to which /usr/local belongs.

    Not any other group: a directory service need not list the accounts that have it as their primary group.
    """
    if sys.platform == "win32":
        return False
    import grp
    import pwd

    try:
        name, entry = pwd.getpwuid(user).pw_name, grp.getgrgid(group)
    except KeyError:
        return False
    if entry.gr_name != name and group >= _FIRST_GROUP_OF_USERS:
        return False
    members = set(entry.gr_mem) | {account.pw_name for account in pwd.getpwall() if account.pw_gid == group}
    return members <= {name, "root"}


def _user_name(user: int) -> str:
    if sys.platform == "win32":
        return ""
    import pwd

    try:
        return f"the user {pwd.getpwuid(user).pw_name}"
    except KeyError:
        return f"the user with the number {user}"


def _group_name(group: int) -> str:
    if sys.platform == "win32":
        return ""
    import grp

    try:
        return grp.getgrgid(group).gr_name
    except KeyError:
        return f"with the number {group}"


def _windows_writers(place: Path, path: Path, program: bool) -> tuple[str, str] | None:
    """As _posix_writers, by access list."""
    if not _is_folder(place):
        rights = acl.WRITE
    elif place == place.parent:
        rights = acl.REPLACE_IN_ROOT
    else:
        rights = acl.ADD if program and place == path.absolute().parent else acl.REPLACE
    others = acl.writers_of(place, rights)
    return (", ".join(others), "") if others else None
