"""Words that both the configuration file and the command line accept for a connection. Imports nothing heavy: `--help` loads it."""

from __future__ import annotations

from enum import StrEnum


class AuthMethod(StrEnum):
    """How lyncarr logs on to WinRM.

    `negotiate` and `ntlm` are NTLM by pyspnego on every system. `kerberos` and `sspi` use libraries of the system: `sspi` is the account
    that is logged on to this Windows machine.
    """

    negotiate = "negotiate"
    ntlm = "ntlm"
    kerberos = "kerberos"
    sspi = "sspi"
    basic = "basic"
    certificate = "certificate"


class TransportKind(StrEnum):
    """What carries requests to PowerShell: `psrp` is PowerShell remoting, `winrs` is powershell.exe in a command shell."""

    psrp = "psrp"
    winrs = "winrs"
