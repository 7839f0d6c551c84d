"""Words that both the configuration file and the command line accept for a connection. Imports nothing heavy: `--help` loads it."""

from __future__ import annotations

from enum import StrEnum


class AuthMethod(StrEnum):
    """How lyncarr logs on to WinRM."""

    negotiate = "negotiate"
    ntlm = "ntlm"
    basic = "basic"
    certificate = "certificate"


class TransportKind(StrEnum):
    """What carries requests to PowerShell: `psrp` is PowerShell remoting, `winrs` is powershell.exe in a command shell."""

    psrp = "psrp"
    winrs = "winrs"
