# How long ARR waits for the back end of a farm. webFarm/applicationRequestRouting/protocol/@timeout, a time span of 1 to 86400 s.

function Get-ProxyTimeoutState {
    param([System.Collections.IDictionary]$Desired, [System.Collections.IDictionary]$Parameters, [System.Collections.IDictionary]$Context)
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
    param([System.Collections.IDictionary]$Desired, [System.Collections.IDictionary]$Parameters, [System.Collections.IDictionary]$Context, [System.Collections.IDictionary]$Secrets)
    foreach ($name in $Desired.get_Keys()) {
        $farm = Get-LyncarrNeededFarm -Context $Context -Name $name
        $before = [int]$Context['Writes']
        Set-LyncarrAttribute -Element (Get-LyncarrFarmProtocol -Farm $farm) -Name 'timeout' -Value ([TimeSpan]::FromSeconds([int]$Desired[$name]['timeout_s'])) -Context $Context
        if ([int]$Context['Writes'] -gt $before) { $Context['RestartIis'] = $true }
    }
}
