# Opens WinRM over HTTPS on this server for the machine that lyncarr runs on. For an administrator, at the server's own console, in an
# elevated Windows PowerShell 4.0 or 5.1:
#
#   powershell -ExecutionPolicy Bypass -File lyncarr-bootstrap.ps1 -Controller 192.0.2.50
#
# It shows what it would change, old -> new, and asks. At the end it prints the table of this server for lyncarr's site file. A second run
# changes nothing and prints the table again.
#
#   -Controller                the address that lyncarr comes from, as this server sees it; several with commas between them
#   -Name                      what the site file calls this server; without it, its own name
#   -Port                      of the HTTPS listener; without it, 5986
#   -AllowLocalAdministrators  sets LocalAccountTokenFilterPolicy to 1 too; the script says whether that is needed, and what it costs
#   -Yes                       does not ask
#   -Remove                    takes away what this script made, and nothing else

# So that a parameter that is mistyped is an error, and -Remvoe does not set up what it was to remove.
[CmdletBinding(PositionalBinding = $false)]
param([string]$Controller = '', [string]$Name = '', [int]$Port = 5986, [switch]$AllowLocalAdministrators, [switch]$Yes, [switch]$Remove)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'

#:snippets

try {
    if ($Remove) { Invoke-LyncarrRemoval -Yes ([bool]$Yes) }
    else { Invoke-LyncarrBootstrap -Controller $Controller -Name $Name -Port $Port -Allow ([bool]$AllowLocalAdministrators) -Yes ([bool]$Yes) }
}
catch {
    "Stopped: $($_.Exception.GetBaseException().Message)"
    exit 1
}
