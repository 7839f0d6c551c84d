"""Keeps the libraries below lyncarr silent in the process of the command line. Imports nothing heavy: it runs before each command."""

from __future__ import annotations

import logging
import os
import sys
import warnings

LOGGERS = ("pypsrp", "winrm", "spnego", "urllib3", "requests")
"""Their messages at level DEBUG hold scripts and secrets, whatever level the environment chose for the root logger."""


VARIABLES = ("LM_COMPAT_LEVEL", "PYSPNEGO_LOG_CFG", "KRB5_TRACE")
"""Variables that would make the libraries log on with NTLM version 1, or write tokens to a file."""


def quiet_libraries() -> None:
    """Change the environment, the log settings and the warning filters of this process.

    Warnings repeat what a host sent, in the libraries' words.
    Only the command line calls it, once. A program that uses lyncarr.runs keeps its own settings.
    """
    for name in VARIABLES:
        os.environ.pop(name, None)
    for name in LOGGERS:
        logger = logging.getLogger(name)
        logger.setLevel(max(logger.level, logging.WARNING))
        logger.propagate = False
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
