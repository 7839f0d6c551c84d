# The disk cache of ARR for a farm, a child of the farm's protocol element: webFarm/applicationRequestRouting/protocol/cache/@enabled.

function Get-DiskCacheState {
    param([Collections.IDictionary]$Desired, [Collections.IDictionary]$Parameters, [Collections.IDictionary]$Context)
    $state = [ordered]@{}
    foreach ($name in $Desired.get_Keys()) {
        $farm = Get-LyncarrFarm -Context $Context -Name $name
        if ($null -eq $farm) { Add-LyncarrFarmNote -Context $Context -Farm $name; continue }
        $cache = (Get-LyncarrFarmProtocol -Farm $farm).GetChildElement('cache')
        $state[$name] = @{ enabled = [bool]$cache.GetAttributeValue('enabled') }
    }
    return $state
}

#:write

function Set-DiskCacheState {
    param([Collections.IDictionary]$Desired, [Collections.IDictionary]$Parameters, [Collections.IDictionary]$Context, [Collections.IDictionary]$Secrets)
    foreach ($name in $Desired.get_Keys()) {
        $farm = Get-LyncarrRequiredFarm -Context $Context -Name $name
        $before = [int]$Context['Writes']
        Set-LyncarrAttribute -Element (Get-LyncarrFarmProtocol -Farm $farm).GetChildElement('cache') -Name 'enabled' -Value ([bool]$Desired[$name]['enabled']) -Context $Context
        if ([int]$Context['Writes'] -gt $before) { $Context['RestartIis'] = $true }
    }
}
