# How long ARR waits for the servers of a farm. webFarm/applicationRequestRouting/protocol/@timeout, a time span of 1 to 86400 s.

function Get-ProxyTimeoutState {
    param([Collections.IDictionary]$Desired, [Collections.IDictionary]$Parameters, [Collections.IDictionary]$Context)
    $state = [ordered]@{}
    foreach ($name in $Desired.get_Keys()) {
        $farm = Get-LyncarrFarm -Context $Context -Name $name
        if ($null -eq $farm) { Add-LyncarrFarmNote -Context $Context -Farm $name; continue }
        $timeout = (Get-LyncarrFarmProtocol -Farm $farm).GetAttributeValue('timeout')
        $state[$name] = @{ timeout_s = [int]$timeout.TotalSeconds }
    }
    return $state
}

#:write

function Set-ProxyTimeoutState {
    param([Collections.IDictionary]$Desired, [Collections.IDictionary]$Parameters, [Collections.IDictionary]$Context, [Collections.IDictionary]$Secrets)
    foreach ($name in $Desired.get_Keys()) {
        $farm = Get-LyncarrRequiredFarm -Context $Context -Name $name
        $before = [int]$Context['Writes']
        Set-LyncarrAttribute -Element (Get-LyncarrFarmProtocol -Farm $farm) -Name 'timeout' -Value ([TimeSpan]::FromSeconds([int]$Desired[$name]['timeout_s'])) -Context $Context
        if ([int]$Context['Writes'] -gt $before) { $Context['RestartIis'] = $true }
    }
}
