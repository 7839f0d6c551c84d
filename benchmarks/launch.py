"""Runs a command and writes its duration and peak memory: launch.py RESULT COMMAND...

This is a separate, small process, because Linux adds the memory of the starting process to the peak of a program.
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
    # The usage of the process and of the processes that it waited for; the peak is that of the largest.
    _, status, usage = os.wait4(process, 0)
    seconds = time.monotonic() - begun
    with open(result, "w", encoding="ascii") as file:  # noqa: PTH123  (the import of pathlib takes longer than this program runs)
        json.dump({"seconds": seconds, "peak_kb": usage.ru_maxrss}, file)
    sys.exit(os.waitstatus_to_exitcode(status))
