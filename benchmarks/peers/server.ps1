# Creates an enabled server of a farm with its two ports. Prints 'changed' or 'ok'.
param([string]$Farm, [string]$Server, [int]$HttpPort, [int]$HttpsPort, [bool]$Check)
$ErrorActionPreference = 'Stop'
[void][Reflection.Assembly]::LoadFrom("$env:windir\System32\inetsrv\Microsoft.Web.Administration.dll")
$manager = New-Object Microsoft.Web.Administration.ServerManager
try {
    $parent = $null
    foreach ($each in $manager.GetApplicationHostConfiguration().GetSection('webFarms').GetCollection()) {
        if ($each.GetAttributeValue('name') -eq $Farm) { $parent = $each }
    }
    if ($null -eq $parent) { if ($Check) { return 'changed' } throw "there is no farm $Farm" }
    $servers = $parent.GetCollection()
    $element = $null
    foreach ($each in $servers) { if ($each.GetAttributeValue('address') -eq $Server) { $element = $each } }
    $missing = $null -eq $element
    if (-not $missing) {
        $routing = $element.GetChildElement('applicationRequestRouting')
        $same = $routing.GetAttributeValue('httpPort') -eq $HttpPort -and $routing.GetAttributeValue('httpsPort') -eq $HttpsPort
        if ($same -and $element.GetAttributeValue('enabled')) { return 'ok' }
    }
    if ($Check) { return 'changed' }
    if ($missing) {
        $element = $servers.CreateElement('server')
        $element.SetAttributeValue('address', $Server)
    }
    $element.SetAttributeValue('enabled', $true)
    $routing = $element.GetChildElement('applicationRequestRouting')
    $routing.SetAttributeValue('httpPort', $HttpPort)
    $routing.SetAttributeValue('httpsPort', $HttpsPort)
    if ($missing) { [void]$servers.AddAt($servers.Count, $element) }
    $manager.CommitChanges()
    'changed'
}
finally { $manager.Dispose() }
