# Stands behind the platform layer of the console script and takes its place: a server in memory, $Machine, which the driver fills for each case.

function Get-LyncarrAccount { return $Machine['account'] }

function Get-LyncarrAddress { $Machine['addresses'] }

function Get-LyncarrLocalAddress {
    param([string]$Controller)
    return [string]$Machine['facing'][$Controller]
}

function Get-LyncarrRegistryValue {
    param([string]$Key, [string]$Name)
    return $Machine['registry']["$Key\$Name"]
}

function Set-LyncarrRegistryValue {
    param([string]$Key, [string]$Name, [psobject]$Value)
    if ($null -eq $Value) { $Machine['registry'].Remove("$Key\$Name") } else { $Machine['registry']["$Key\$Name"] = $Value }
}

function Remove-LyncarrRegistryKey {
    param([string]$Key)
    foreach ($name in @($Machine['registry'].Keys)) { if ($name.StartsWith($Key)) { $Machine['registry'].Remove($name) } }
}

function Get-LyncarrWinrmService { return @{ Start = $Machine['service']['Start']; Running = $Machine['service']['Running'] } }

function Set-LyncarrWinrmService {
    param([string]$Start, [bool]$Running)
    $Machine['service'] = @{ Start = $Start; Running = $Running }
}

function Assert-Running { if (-not $Machine['service']['Running']) { throw 'the client cannot connect to the destination' } }

function Get-LyncarrListener {
    Assert-Running
    foreach ($listener in $Machine['listeners']) { $listener + @{ ListeningOn = @(if ($listener['Enabled'] -ne 'false') { $Machine['listening'] }) } }
}

function Add-LyncarrListener {
    param([string]$Name, [string]$Thumbprint, [int]$Port)
    Assert-Running
    if ($Machine['refused'] -eq $Thumbprint) { throw 'The WinRM client cannot process the request.' }
    if (@($Machine['listeners'] | Where-Object { $_['Transport'] -eq 'HTTPS' -and $_['Address'] -eq '*' }).Count -gt 0) { throw 'the listener exists already' }
    if (-not $Machine['certificates'].Contains($Thumbprint) -or $Name -ne (Get-LyncarrListenerCertificate -Thumbprint $Thumbprint)['Name']) { throw 'no certificate for that name' }
    $Machine['listeners'] += @{ Transport = 'HTTPS'; Address = '*'; Port = [string]$Port; Enabled = 'true'; CertificateThumbprint = $Thumbprint }
}

function Remove-LyncarrListener {
    Assert-Running
    $Machine['listeners'] = @($Machine['listeners'] | Where-Object { $_['Transport'] -ne 'HTTPS' -or $_['Address'] -ne '*' })
}

function Test-LyncarrServiceOption {
    param([string]$Part, [string]$Name)
    Assert-Running
    return (@($Machine['options']) -contains "$Part $Name")
}

function Get-LyncarrListenerCertificate {
    param([string]$Thumbprint)
    if (-not $Machine['certificates'].Contains($Thumbprint)) { return $null }
    $name = $Machine['names'][$Thumbprint]
    if ($null -eq $name) { $name = $Machine['account']['Computer'] }
    return @{ Name = $name; Sha256 = $Thumbprint.Substring(0, 8) * 8; Until = [datetime]$Machine['certificates'][$Thumbprint] }
}

function New-LyncarrListenerCertificate {
    param([string]$Computer)
    $Machine['number'] = [int]$Machine['number'] + 1
    $thumbprint = ([string]$Machine['number']).PadLeft(8, 'C') * 5
    $Machine['certificates'][$thumbprint] = [datetime]::UtcNow.AddYears(1)
    return $thumbprint
}

function Remove-LyncarrListenerCertificate {
    param([string]$Thumbprint)
    if (-not $Machine['certificates'].Contains($Thumbprint)) { throw 'no such certificate' }
    $Machine['certificates'].Remove($Thumbprint)
}

function Test-LyncarrFirewall { return $Machine['firewall'] }

function Assert-Firewall { if (-not $Machine['firewall']) { throw 'There are no more endpoints available from the endpoint mapper.' } }

function Get-LyncarrFirewallRule {
    Assert-Firewall
    return $Machine['rule']
}

function Set-LyncarrFirewallRule {
    param([string[]]$Addresses, [int]$Port)
    if (-not $Machine['deaf']) { $Machine['rule'] = @{ On = $true; Port = [string]$Port; Addresses = @($Addresses | ForEach-Object { if ($_.Contains(':')) { $_ } else { "$_/255.255.255.255" } }) } }
}

function Remove-LyncarrFirewallRule { $Machine['rule'] = $null }

function Get-LyncarrOtherFirewallRule {
    param([int]$Port)
    if ($Machine['others'].Contains([string]$Port)) { $Machine['others'][[string]$Port] }
}

function Get-LyncarrFirewallProfile {
    foreach ($name in 'Domain', 'Private', 'Public') { @{ Name = $name; On = $Machine['profile'][$name] -ne 'off'; Inbound = $Machine['profile'][$name] -ne 'blocked'; Local = $Machine['profile'][$name] -ne 'deaf' } }
}

function Read-LyncarrAnswer {
    param([string]$Question)
    "? $Question" | Out-Host
    if (@($Machine['answers']).Count -eq 0) { throw 'nobody was to be asked' }
    $first, $rest = @($Machine['answers'])
    $Machine['answers'] = @($rest | Where-Object { $null -ne $_ })
    return [string]$first
}
