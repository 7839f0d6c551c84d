"""Runs a command and writes what it cost: launch.py RESULT COMMAND...

A process of its own, and a small one: Linux counts the memory of whoever starts a program towards that program's peak.
"""

from __future__ import annotations

import json
import os
import sys
import time

if __name__ == "__main__":
    result, command = sys.argv[1], sys.argv[2:]
    begun = time.monotonic()
    process = os.posix_spawnp(command[0], command, os.environ)
    # The usage of the process and of those that it waited for: the peak is that of the largest one.
    _, status, usage = os.wait4(process, 0)
    seconds = time.monotonic() - begun
    with open(result, "w", encoding="ascii") as file:  # noqa: PTH123  (pathlib would take longer to import than this takes to run)
        json.dump({"seconds": seconds, "peak_kb": usage.ru_maxrss}, file)
    sys.exit(os.waitstatus_to_exitcode(status))
