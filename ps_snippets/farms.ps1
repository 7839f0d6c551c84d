# One server farm for each published name, with its servers and their ports. Items: "<farm>", "<farm>/<server>" and "iisreset" (a restart of IIS
# that an earlier run did not complete). The rules are not created here: a rule without its host condition takes all requests.

function Add-LyncarrUnresolvedNote {
    # Reports the server names that this host cannot resolve.
    param([Collections.IDictionary]$Desired)
    $names = New-Object System.Collections.ArrayList
    foreach ($item in $Desired.get_Keys()) {
        $parts = $item.Split([char[]]'/')
        $address = $null
        if ($parts.Length -eq 2 -and -not [System.Net.IPAddress]::TryParse($parts[1], [ref]$address) -and -not $names.Contains($parts[1])) { [void]$names.Add($parts[1]) }
    }
    foreach ($name in @(Select-LyncarrUnresolvedName -Names ([string[]]$names.ToArray()))) {
        Add-LyncarrNote -Kind 'unresolved' -Item $name -Text "the host cannot resolve ${name}: add the name to its hosts file, or set a DNS server that knows it"
    }
}

function Get-FarmsState {
    param([Collections.IDictionary]$Desired, [Collections.IDictionary]$Parameters, [Collections.IDictionary]$Context)
    if ([bool]$Context['ReadOnly']) { Add-LyncarrUnresolvedNote -Desired $Desired }
    $state = [ordered]@{}
    foreach ($item in $Desired.get_Keys()) {
        if ($item -ceq 'iisreset') {
            $state[$item] = @{ pending = [bool](Test-LyncarrRestartPending) }
            continue
        }
        $names = $item.Split([char[]]'/')
        $farm = Get-LyncarrFarm -Context $Context -Name $names[0]
        if ($null -eq $farm) { continue }
        if ($names.Length -eq 1) {
            $addresses = New-Object System.Collections.ArrayList
            foreach ($server in $farm.GetCollection()) { [void]$addresses.Add([string]$server.GetAttributeValue('address')) }
            $servers = [string[]]@($Desired[$item]['servers'])
            $seen = [string[]]$addresses.ToArray()
            # ARR ignores the order of the servers.
            if (Test-LyncarrSameSet -Left $seen -Right $servers) { $seen = $servers }
            $state[$item] = @{
                enabled = [bool]$farm.GetAttributeValue('enabled'); servers = $seen
                preserve_host_header = [bool](Get-LyncarrFarmProtocol -Farm $farm).GetAttributeValue('preserveHostHeader')
            }
            continue
        }
        $server = Find-LyncarrElement -Collection $farm.GetCollection() -Attribute 'address' -Value $names[1]
        if ($null -eq $server) { continue }
        $routing = $server.GetChildElement('applicationRequestRouting')
        $state[$item] = @{
            enabled = [bool]$server.GetAttributeValue('enabled')
            http_port = [int]$routing.GetAttributeValue('httpPort'); https_port = [int]$routing.GetAttributeValue('httpsPort')
        }
    }
    return $state
}

#:write

function Set-LyncarrFarm {
    param([Microsoft.Web.Administration.ConfigurationElementCollection]$Farms, [string]$Name, [Collections.IDictionary]$Attributes, [Collections.IDictionary]$Context)
    $farm = Find-LyncarrElement -Collection $Farms -Attribute 'name' -Value $Name
    if ($null -eq $farm) {
        $farm = $Farms.CreateElement('webFarm')
        $farm.SetAttributeValue('name', $Name)
        # IIS Manager writes this default too, so the farm looks like one that was created there.
        $farm.SetAttributeValue('enabled', $true)
        [void]$Farms.AddAt($Farms.get_Count(), $farm)
        $Context['Writes'] = [int]$Context['Writes'] + 1
    }
    Set-LyncarrAttribute -Element $farm -Name 'enabled' -Value ([bool]$Attributes['enabled']) -Context $Context
    Set-LyncarrAttribute -Element (Get-LyncarrFarmProtocol -Farm $farm) -Name 'preserveHostHeader' -Value ([bool]$Attributes['preserve_host_header']) -Context $Context
    $servers = $farm.GetCollection()
    $extra = New-Object System.Collections.ArrayList
    foreach ($server in $servers) {
        $address = [string]$server.GetAttributeValue('address')
        if (@($Attributes['servers']) -inotcontains $address) { [void]$extra.Add($address) }
    }
    foreach ($address in $extra) { Remove-LyncarrElement -Collection $servers -Attribute 'address' -Value $address -Context $Context }
}

function Set-LyncarrServer {
    param([Microsoft.Web.Administration.ConfigurationElementCollection]$Farms, [string]$Farm, [string]$Address, [Collections.IDictionary]$Attributes, [Collections.IDictionary]$Context)
    $servers = (Find-LyncarrElement -Collection $Farms -Attribute 'name' -Value $Farm).GetCollection()
    $server = Find-LyncarrElement -Collection $servers -Attribute 'address' -Value $Address
    if ($null -eq $server) {
        $server = $servers.CreateElement('server')
        $server.SetAttributeValue('address', $Address)
        $server.SetAttributeValue('enabled', $true)
        [void]$servers.AddAt($servers.get_Count(), $server)
        $Context['Writes'] = [int]$Context['Writes'] + 1
    }
    Set-LyncarrAttribute -Element $server -Name 'enabled' -Value ([bool]$Attributes['enabled']) -Context $Context
    $routing = $server.GetChildElement('applicationRequestRouting')
    Set-LyncarrAttribute -Element $routing -Name 'httpPort' -Value ([int]$Attributes['http_port']) -Context $Context
    Set-LyncarrAttribute -Element $routing -Name 'httpsPort' -Value ([int]$Attributes['https_port']) -Context $Context
}

function Set-FarmsState {
    param([Collections.IDictionary]$Desired, [Collections.IDictionary]$Parameters, [Collections.IDictionary]$Context, [Collections.IDictionary]$Secrets)
    $farms = Get-LyncarrRequiredCollection -Context $Context -Section 'webFarms'
    $before = [int]$Context['Writes']
    foreach ($item in $Desired.get_Keys()) {
        if (-not $item.Contains('/') -and $item -cne 'iisreset') { Set-LyncarrFarm -Farms $farms -Name $item -Attributes $Desired[$item] -Context $Context }
    }
    foreach ($item in $Desired.get_Keys()) {
        $names = $item.Split([char[]]'/')
        if ($names.Length -eq 2) { Set-LyncarrServer -Farms $farms -Farm $names[0] -Address $names[1] -Attributes $Desired[$item] -Context $Context }
    }
    if ([int]$Context['Writes'] -gt $before -or (Test-LyncarrRestartPending)) { $Context['RestartIis'] = $true }
}
