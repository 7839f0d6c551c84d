# Commands of NetSecurity, Microsoft.WSMan.Management and PKI, Set-Service and the provider of Cert:, that the engine's host does not have, as far as lyncarr bootstrap
# calls them. They keep what they are told in C:\windows\lab\console.json. Certificate and service are real ones.

$file = 'C:\windows\lab\console.json'
$certificates = [System.Security.Cryptography.X509Certificates.X509Store]::new('My', 'LocalMachine')

function Read-Store {
    if (-not [System.IO.File]::Exists($file)) { return @{ rules = @(); listeners = @(@{ Transport = 'HTTP'; Address = '*'; Port = '5985' }) } }
    return ConvertFrom-Json -InputObject ([System.IO.File]::ReadAllText($file)) -AsHashtable
}

function Write-Store { param($Store) [System.IO.File]::WriteAllText($file, (ConvertTo-Json -InputObject $Store -Depth 5)) }

# The store that holds the rules of group policies too: without it a command does not see those.
function Test-Store { param([string]$PolicyStore, $Entry) return $PolicyStore -eq 'ActiveStore' -or -not $Entry['Name'].StartsWith('policy') }

function ConvertTo-Rule { param($Entry) $made = [pscustomobject]$Entry; $made.PSTypeNames.Insert(0, 'Rule'); $made }

function Get-NetFirewallRule {
    [CmdletBinding()]
    param([string]$Name = '*', [string]$PolicyStore)
    foreach ($entry in (Read-Store)['rules']) { if ($entry['Name'] -like $Name -and (Test-Store $PolicyStore $entry)) { ConvertTo-Rule $entry } }
}

function Get-NetFirewallPortFilter {
    [CmdletBinding()]
    param([string]$PolicyStore, [string]$Protocol, [Parameter(ValueFromPipeline = $true)][psobject]$AssociatedNetFirewallRule)
    process {
        foreach ($entry in (Read-Store)['rules']) {
            if (-not (Test-Store $PolicyStore $entry)) { continue }
            if ($null -ne $AssociatedNetFirewallRule -and $entry['Name'] -ne $AssociatedNetFirewallRule.Name) { continue }
            [pscustomobject]@{ InstanceID = $entry['Name']; Protocol = 'TCP'; LocalPort = $entry['LocalPort'] }
        }
    }
}

function Get-NetFirewallAddressFilter {
    [CmdletBinding()]
    param([Parameter(ValueFromPipeline = $true)][psobject]$AssociatedNetFirewallRule)
    process { [pscustomobject]@{ RemoteAddress = $AssociatedNetFirewallRule.RemoteAddress } }
}

function New-NetFirewallRule {
    [CmdletBinding()]
    param([string]$Name, [string]$DisplayName, [string]$Enabled, [string]$Profile, [string]$Direction, [string]$Action, [string]$Protocol, [string[]]$LocalPort, [string[]]$RemoteAddress)
    $store = Read-Store
    if (@($store['rules'] | Where-Object { $_['Name'] -eq $Name }).Count -gt 0) { throw 'Cannot create a file when that file already exists.' }
    $addresses = $RemoteAddress
    if ($addresses.Count -eq 1) { $addresses = $addresses[0] }
    $entry = @{ Name = $Name; InstanceID = $Name; DisplayName = $DisplayName; Enabled = $Enabled; Direction = $Direction; Action = $Action; LocalPort = @($LocalPort, $LocalPort[0])[[int]($LocalPort.Count -eq 1)]; RemoteAddress = $addresses }
    $store['rules'] = @($store['rules']) + $entry
    Write-Store $store
    ConvertTo-Rule $entry
}

function Remove-NetFirewallRule {
    [CmdletBinding()]
    param([string]$Name)
    $store = Read-Store
    if (@($store['rules'] | Where-Object { $_['Name'] -eq $Name }).Count -eq 0) { throw 'No MSFT_NetFirewallRule objects found' }
    $store['rules'] = @($store['rules'] | Where-Object { $_['Name'] -ne $Name })
    Write-Store $store
}

function Get-NetFirewallProfile {
    [CmdletBinding()]
    param([string]$PolicyStore)
    foreach ($name in 'Domain', 'Private', 'Public') {
        [pscustomobject]@{
            Name = $name; Enabled = @('True', 'False')[[int]($name -eq 'Private')]; AllowInboundRules = @('NotConfigured', 'False')[[int]($name -eq 'Domain')]
            AllowLocalFirewallRules = @('True', 'False')[[int]($name -eq 'Public' -and $PolicyStore -eq 'ActiveStore')]
        }
    }
}

function ConvertTo-Element {
    # An element of WS-Management: its children have a prefix.
    param([string]$Name, $Members)
    $document = [xml]"<cfg:$Name xmlns:cfg=`"http://schemas.microsoft.com/wbem/wsman/1/config`" />"
    foreach ($member in $Members.Keys) {
        foreach ($value in @($Members[$member])) { [void]$document.DocumentElement.AppendChild($document.CreateElement('cfg', $member, $document.DocumentElement.NamespaceURI)).AppendChild($document.CreateTextNode($value)) }
    }
    return , $document.DocumentElement
}

function Assert-Service { if ((Get-Service -Name 'WinRM').Status -ne 'Running') { throw 'The client cannot connect to the destination specified in the request.' } }

function Get-WSManInstance {
    [CmdletBinding()]
    param([string]$ResourceURI, [switch]$Enumerate)
    Assert-Service
    switch ($ResourceURI) {
        'winrm/config/Listener' { foreach ($entry in (Read-Store)['listeners']) { ConvertTo-Element 'Listener' (@{ Enabled = 'true'; ListeningOn = @{ HTTP = ''; HTTPS = '127.0.0.1', '192.0.2.10' }[$entry['Transport']] } + $entry) } }
        'winrm/config/service' { ConvertTo-Element 'Service' @{ AllowUnencrypted = 'false' } }
        'winrm/config/service/auth' { ConvertTo-Element 'Auth' @{ Basic = 'true' } }
        default { throw "no resource $ResourceURI" }
    }
}

function New-WSManInstance {
    [CmdletBinding()]
    param([string]$ResourceURI, [hashtable]$SelectorSet, [hashtable]$ValueSet)
    Assert-Service
    $store = Read-Store
    if (@($store['listeners'] | Where-Object { $_['Transport'] -eq $SelectorSet['Transport'] }).Count -gt 0) { throw 'The WS-Management service cannot create the resource because it already exists.' }
    $certificates.Open('ReadOnly')
    $shown = $certificates.Certificates.Find('FindByThumbprint', $ValueSet['CertificateThumbprint'], $false)[0]
    $certificates.Close()
    if ($shown.Subject -ne "CN=$($ValueSet['Hostname'])") { throw 'The certificate does not name this host.' }
    # As somebody might have typed it.
    $thumbprint = [regex]::Replace($ValueSet['CertificateThumbprint'].ToLowerInvariant(), '(..)(?!$)', '$1 ')
    $store['listeners'] = @($store['listeners']) + @{ Transport = 'HTTPS'; Address = '*'; Port = $ValueSet['Port']; CertificateThumbprint = $thumbprint }
    Write-Store $store
    ConvertTo-Element 'ResourceCreated' @{}
}

function Remove-WSManInstance {
    [CmdletBinding()]
    param([string]$ResourceURI, [hashtable]$SelectorSet)
    Assert-Service
    $store = Read-Store
    $store['listeners'] = @($store['listeners'] | Where-Object { $_['Transport'] -ne $SelectorSet['Transport'] })
    Write-Store $store
}

function New-SelfSignedCertificate {
    # With the parameters of 2012 R2, and two of those that came later. The engine's host cannot make a certificate: it lies in console.pfx.
    [CmdletBinding()]
    param([string[]]$DnsName, [string]$CertStoreLocation, [datetime]$NotAfter, [string]$HashAlgorithm)
    if ($NotAfter -lt [datetime]::Now.AddYears(9) -or $HashAlgorithm -ne 'SHA256') { throw 'these parameters are known and were not given' }
    $made = [System.Security.Cryptography.X509Certificates.X509Certificate2]::new('C:\windows\lab\console.pfx', '', 'MachineKeySet,PersistKeySet')
    if ($made.Subject -ne "CN=$($DnsName[0])") { throw "the certificate is for $($made.Subject)" }
    $certificates.Open('ReadWrite')
    $certificates.Add($made)
    $certificates.Close()
    $made
}

function Remove-Item {
    # The provider of Cert:, which the engine's host does not have either.
    [CmdletBinding()]
    param([string]$LiteralPath, [switch]$DeleteKey)
    if (-not $LiteralPath.StartsWith('Cert:\LocalMachine\My\') -or -not $DeleteKey) { throw "not for $LiteralPath" }
    # Wine's own way to remove a certificate leaves it there.
    [Microsoft.Win32.Registry]::LocalMachine.DeleteSubKeyTree("SOFTWARE\Microsoft\SystemCertificates\My\Certificates\$($LiteralPath.Split('\')[-1])")
}

function Set-Service {
    [CmdletBinding()]
    param([string]$Name, [string]$StartupType)
    # Wine's sc.exe cannot change a service; its own keeper reads the registry when it starts.
    [Microsoft.Win32.Registry]::SetValue("HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\$Name", 'Start', @{ Automatic = 2; Manual = 3; Disabled = 4 }[$StartupType])
}
