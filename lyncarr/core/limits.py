"""Limits in seconds that the command line, the public API and a run share. Imports nothing: `--help` loads it."""

PLAN_DEADLINE_S = 120.0
"""For reading the whole state of a host. A plan takes some seconds; a loaded or slow server may take a minute."""
MIN_TIMEOUT_S = 1.0
MAX_TIMEOUT_S = 3600.0
"""The limits of --timeout and of `timeout_s`."""
