# Installs the web server role by the command that an administrator would use.
$ErrorActionPreference = 'Stop'
$result = Install-WindowsFeature -Name Web-Server -IncludeManagementTools
if (-not $result.Success) { throw "Install-WindowsFeature ended with $($result.ExitCode)" }
'made'
