# Enables WinRM over HTTPS on this server for the computer that runs lyncarr (the controller). Run the script as an administrator at the
# console of the server, in an elevated Windows PowerShell 4.0 or 5.1:
#
#   powershell -ExecutionPolicy Bypass -File lyncarr-bootstrap.ps1 -Controller 192.0.2.50
#
# The script shows each change, old -> new, and asks before it applies them. At the end it prints the table of this server for the
# configuration file of lyncarr. A second run changes nothing and prints the table again.
#
#   -Controller                the IP address of the controller as this server sees it; separate several addresses with commas
#   -Name                      the name of this server in the configuration file; default: its computer name
#   -Port                      the port of the HTTPS listener; default: 5986
#   -AllowLocalAdministrators  also sets LocalAccountTokenFilterPolicy to 1; a note of the script explains when that is needed
#   -Yes                       applies the changes without a question
#   -Remove                    removes everything that this script created, and nothing else

# With this attribute a mistyped parameter is an error. Without it, -Remvoe would set up what it was to remove.
[CmdletBinding(PositionalBinding = $false)]
param([string]$Controller = '', [string]$Name = '', [int]$Port = 5986, [switch]$AllowLocalAdministrators, [switch]$Yes, [switch]$Remove)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'

#:snippets

try {
    if ($Remove) { Invoke-LyncarrRemoval -Yes ([bool]$Yes) }
    else { Invoke-LyncarrBootstrap -Controller $Controller -Name $Name -Port $Port -AllowLocalAdministrators ([bool]$AllowLocalAdministrators) -Yes ([bool]$Yes) }
}
catch {
    "Stopped: $($_.Exception.GetBaseException().Message)"
    exit 1
}
