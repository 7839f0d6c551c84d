# Disables the disk cache of a farm. Prints 'changed' or 'ok'.
param([string]$Farm, [bool]$Check)
$ErrorActionPreference = 'Stop'
[void][Reflection.Assembly]::LoadFrom("$env:windir\System32\inetsrv\Microsoft.Web.Administration.dll")
$manager = New-Object Microsoft.Web.Administration.ServerManager
try {
    $element = $null
    foreach ($each in $manager.GetApplicationHostConfiguration().GetSection('webFarms').GetCollection()) {
        if ($each.GetAttributeValue('name') -eq $Farm) { $element = $each }
    }
    if ($null -eq $element) { if ($Check) { return 'changed' } throw "there is no farm $Farm" }
    $cache = $element.GetChildElement('applicationRequestRouting').GetChildElement('protocol').GetChildElement('cache')
    if (-not $cache.GetAttributeValue('enabled')) { return 'ok' }
    if ($Check) { return 'changed' }
    $cache.SetAttributeValue('enabled', $false)
    $manager.CommitChanges()
    'changed'
}
finally { $manager.Dispose() }
