# Sets the proxy timeout of a farm in seconds. Prints 'changed' or 'ok'.
param([string]$Farm, [int]$Seconds, [bool]$Check)
$ErrorActionPreference = 'Stop'
[void][Reflection.Assembly]::LoadFrom("$env:windir\System32\inetsrv\Microsoft.Web.Administration.dll")
$manager = New-Object Microsoft.Web.Administration.ServerManager
try {
    $element = $null
    foreach ($each in $manager.GetApplicationHostConfiguration().GetSection('webFarms').GetCollection()) {
        if ($each.GetAttributeValue('name') -eq $Farm) { $element = $each }
    }
    if ($null -eq $element) { if ($Check) { return 'changed' } throw "there is no farm $Farm" }
    $protocol = $element.GetChildElement('applicationRequestRouting').GetChildElement('protocol')
    $timeout = [TimeSpan]::FromSeconds($Seconds)
    if ($protocol.GetAttributeValue('timeout') -eq $timeout) { return 'ok' }
    if ($Check) { return 'changed' }
    $protocol.SetAttributeValue('timeout', $timeout)
    $manager.CommitChanges()
    'changed'
}
finally { $manager.Dispose() }
