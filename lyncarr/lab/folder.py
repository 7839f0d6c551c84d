"""The folder of a lab: one running lab uses it, and a later one may use it again."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from lyncarr.core.errors import SiteError, UsageError
from lyncarr.core.files import is_reserved
from lyncarr.lab.site import MARK, SITE_NAME

STATE_NAME = "state.json"
LOCK_NAME = "lab.lock"
PROCESS_NAME = "lab.pid"
WRITTEN = (SITE_NAME, STATE_NAME, "ca.pem", "password.txt", "certs", "media")
"""What a lab writes into its folder: files, and folders with files of its own."""
EDITED = (SITE_NAME, STATE_NAME)
"""The files that a person may have changed. A lab that replaces them keeps each under its name with PREVIOUS behind it."""
PREVIOUS = ".previous"
ANOTHER = "Name another folder with --folder."


@contextmanager
def used_by_this_lab(folder: Path) -> Iterator[tuple[str, ...]]:
    """Hold `folder` for this process, and give the names of what an earlier lab left there and this one replaces.

    The lock belongs to the process: it is free again when the process ends, however it ends. The folder is made where it is missing.
    Raises UsageError where a running lab uses the folder or it cannot be made, SiteError where it holds files that no lab wrote.
    """
    if is_reserved(folder):
        raise UsageError(f"The folder {folder} cannot be used: it is the name of a Windows device.", hint=ANOTHER)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK_NAME)
        lock.acquire(blocking=False)
    except Timeout:
        raise UsageError(
            f"The folder {folder} is in use by a running lab{_process(folder)}.",
            hint="Press Ctrl-C in the terminal of that lab, or name another folder with --folder.",
        ) from None
    except OSError as error:
        raise UsageError(f"The folder {folder} cannot be used: {error.strerror}.", hint=ANOTHER) from error
    try:
        replaced = _replaced(folder)
        (folder / PROCESS_NAME).write_text(f"{os.getpid()}\n", encoding="ascii")
        for name in EDITED:
            if name in replaced:
                shutil.copyfile(folder / name, folder / f"{name}{PREVIOUS}")
        yield replaced
    finally:
        # Where the folder was removed while the lab ran, nothing is left to remove.
        (folder / PROCESS_NAME).unlink(missing_ok=True)
        lock.release()


def _process(folder: Path) -> str:
    """The number of the process that uses the folder, as a part of a sentence; "" while that lab has not written it yet."""
    with contextlib.suppress(OSError, ValueError):
        return f" (process {int((folder / PROCESS_NAME).read_text(encoding='ascii'))})"
    return ""


def _replaced(folder: Path) -> tuple[str, ...]:
    present = tuple(name for name in WRITTEN if (folder / name).exists())
    site = folder / SITE_NAME
    if present and not (site.is_file() and site.read_text(encoding="utf-8-sig", errors="replace").startswith(MARK)):
        raise SiteError(f"{folder / present[0]} was not written by lyncarr lab and is not replaced.", hint=ANOTHER)
    return present
