# Creates an enabled server farm for a published name that preserves the host header. Prints 'changed' or 'ok'.
param([string]$Farm, [bool]$Check)
$ErrorActionPreference = 'Stop'
[void][Reflection.Assembly]::LoadFrom("$env:windir\System32\inetsrv\Microsoft.Web.Administration.dll")
$manager = New-Object Microsoft.Web.Administration.ServerManager
try {
    $farms = $manager.GetApplicationHostConfiguration().GetSection('webFarms').GetCollection()
    $element = $null
    foreach ($each in $farms) { if ($each.GetAttributeValue('name') -eq $Farm) { $element = $each } }
    if ($null -eq $element) {
        if ($Check) { return 'changed' }
        $element = $farms.CreateElement('webFarm')
        $element.SetAttributeValue('name', $Farm)
        $element.SetAttributeValue('enabled', $true)
        [void]$farms.AddAt($farms.Count, $element)
        $manager.CommitChanges()
        return 'changed'
    }
    $protocol = $element.GetChildElement('applicationRequestRouting').GetChildElement('protocol')
    if ($element.GetAttributeValue('enabled') -and $protocol.GetAttributeValue('preserveHostHeader')) { return 'ok' }
    if ($Check) { return 'changed' }
    $element.SetAttributeValue('enabled', $true)
    $protocol.SetAttributeValue('preserveHostHeader', $true)
    $manager.CommitChanges()
    'changed'
}
finally { $manager.Dispose() }
