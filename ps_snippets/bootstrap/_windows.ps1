# The platform layer of the console script: every function that uses Windows itself. All results are text, numbers and tables.

function Get-LyncarrAccount {
    # The account that runs the script. A local account has the computer name before the backslash. The SID identifies the built-in
    # Administrator, because its name depends on the language. A network logon has S-1-5-2 in its token.
    # https://learn.microsoft.com/windows-server/identity/ad-ds/manage/understand-security-identifiers
    $identity = [System.Security.Principal.WindowsIdentity]::GetCurrent()
    $principal = New-Object System.Security.Principal.WindowsPrincipal $identity
    return @{
        Computer = [Environment]::MachineName; Name = $identity.get_Name(); Sid = $identity.get_User().get_Value()
        Elevated = $principal.IsInRole([System.Security.Principal.WindowsBuiltInRole]::Administrator)
        Network = $principal.IsInRole((New-Object System.Security.Principal.SecurityIdentifier 'S-1-5-2'))
    }
}

function Get-LyncarrAddress {
    # The addresses of this server that other computers can reach.
    foreach ($interface in [System.Net.NetworkInformation.NetworkInterface]::GetAllNetworkInterfaces()) {
        if ($interface.get_OperationalStatus() -ne [System.Net.NetworkInformation.OperationalStatus]::Up) { continue }
        foreach ($entry in $interface.GetIPProperties().get_UnicastAddresses()) {
            $address = $entry.get_Address()
            if ([System.Net.IPAddress]::IsLoopback($address) -or $address.get_IsIPv6LinkLocal()) { continue }
            [string]$address
        }
    }
}

function Get-LyncarrLocalAddress {
    # The source address of packets to the controller, '' where no route leads there. Nothing is sent: connecting a UDP socket only reads the
    # routing table.
    # https://learn.microsoft.com/dotnet/api/system.net.sockets.socket.connect
    param([string]$Controller)
    $address = [System.Net.IPAddress]::Parse($Controller)
    $socket = New-Object System.Net.Sockets.Socket $address.get_AddressFamily(), ([System.Net.Sockets.SocketType]::Dgram), ([System.Net.Sockets.ProtocolType]::Udp)
    try {
        [void]$socket.Connect($address, 5986)
        return [string]$socket.get_LocalEndPoint().get_Address()
    }
    catch [System.Net.Sockets.SocketException] { return '' }
    finally { $socket.Close() }
}

function Get-LyncarrRegistryValue {
    # A value of HKEY_LOCAL_MACHINE, or null where the key or the value is missing.
    param([string]$Key, [string]$Name)
    $base = [Microsoft.Win32.RegistryKey]::OpenBaseKey([Microsoft.Win32.RegistryHive]::LocalMachine, [Microsoft.Win32.RegistryView]::Registry64)
    try {
        $opened = $base.OpenSubKey($Key)
        if ($null -eq $opened) { return $null }
        try { return $opened.GetValue($Name) } finally { $opened.Close() }
    }
    finally { $base.Close() }
}

function Set-LyncarrRegistryValue {
    # Writes text as REG_SZ and a number as REG_DWORD; null removes the value.
    param([string]$Key, [string]$Name, [psobject]$Value)
    $base = [Microsoft.Win32.RegistryKey]::OpenBaseKey([Microsoft.Win32.RegistryHive]::LocalMachine, [Microsoft.Win32.RegistryView]::Registry64)
    try {
        $opened = $base.CreateSubKey($Key)
        try {
            if ($null -eq $Value) { $opened.DeleteValue($Name, $false) }
            else { $opened.SetValue($Name, $Value.PSObject.BaseObject) }
        }
        finally { $opened.Close() }
    }
    finally { $base.Close() }
}

function Remove-LyncarrRegistryKey {
    param([string]$Key)
    $base = [Microsoft.Win32.RegistryKey]::OpenBaseKey([Microsoft.Win32.RegistryHive]::LocalMachine, [Microsoft.Win32.RegistryView]::Registry64)
    try { $base.DeleteSubKeyTree($Key, $false) } finally { $base.Close() }
}

function Get-LyncarrWinrmService {
    # The service WinRM. The start type comes from the registry, because Get-Service of 4.0 does not return it.
    # https://learn.microsoft.com/windows-hardware/drivers/install/hklm-system-currentcontrolset-services-registry-tree
    $start = [int](Get-LyncarrRegistryValue -Key 'SYSTEM\CurrentControlSet\Services\WinRM' -Name 'Start')
    $words = @{ 2 = 'Automatic'; 3 = 'Manual'; 4 = 'Disabled' }
    return @{ Start = [string]$words[$start]; Running = ([int](Get-Service -Name 'WinRM').Status -eq 4) }
}

function Set-LyncarrWinrmService {
    param([string]$Start, [bool]$Running)
    # Windows sets a delayed start; setting Automatic again could remove the delay.
    if ((Get-LyncarrWinrmService)['Start'] -ne $Start) { Set-Service -Name 'WinRM' -StartupType $Start }
    if ($Running) { Start-Service -Name 'WinRM' } else { Stop-Service -Name 'WinRM' -Force }
}

function Get-LyncarrListener {
    # https://learn.microsoft.com/windows/win32/winrm/installation-and-configuration-for-windows-remote-management
    foreach ($listener in @(Get-WSManInstance -ResourceURI 'winrm/config/Listener' -Enumerate)) {
        $found = @{}
        foreach ($name in @('Transport', 'Address', 'Port', 'Enabled', 'CertificateThumbprint')) {
            $node = $listener.SelectSingleNode("*[local-name()='$name']")
            $found[$name] = ''
            if ($null -ne $node) { $found[$name] = $node.get_InnerText() }
        }
        # One element for each address. Without an address Windows may return an empty element.
        $found['ListeningOn'] = @(foreach ($node in $listener.SelectNodes("*[local-name()='ListeningOn']")) { $text = $node.get_InnerText(); if ($text -ne '') { $text } })
        # The value is as an administrator entered it: Windows shows thumbprints with spaces.
        $found['CertificateThumbprint'] = $found['CertificateThumbprint'].Replace(' ', '').ToUpperInvariant()
        $found
    }
}

function Add-LyncarrListener {
    # Windows requires the name in the certificate; the computer may have been renamed since.
    # https://learn.microsoft.com/powershell/module/microsoft.wsman.management/new-wsmaninstance
    param([string]$Name, [string]$Thumbprint, [int]$Port)
    [void](New-WSManInstance -ResourceURI 'winrm/config/Listener' -SelectorSet @{ Address = '*'; Transport = 'HTTPS' } -ValueSet @{ Hostname = $Name; CertificateThumbprint = $Thumbprint; Port = [string]$Port })
}

function Remove-LyncarrListener {
    Remove-WSManInstance -ResourceURI 'winrm/config/Listener' -SelectorSet @{ Address = '*'; Transport = 'HTTPS' }
}

function Test-LyncarrServiceOption {
    # Whether an option of winrm/config/service is enabled: AllowUnencrypted, or Basic of its part auth.
    param([string]$Part, [string]$Name)
    $node = (Get-WSManInstance -ResourceURI "winrm/config/service$Part").SelectSingleNode("*[local-name()='$Name']")
    return ($null -ne $node -and [string]::Equals($node.get_InnerText(), 'true', [StringComparison]::OrdinalIgnoreCase))
}

function Get-LyncarrListenerCertificate {
    # A certificate of this computer with its private key: its name, the SHA-256 of its DER form and its end (UTC). Null where it is missing.
    param([string]$Thumbprint)
    $store = New-Object System.Security.Cryptography.X509Certificates.X509Store ([System.Security.Cryptography.X509Certificates.StoreName]::My), ([System.Security.Cryptography.X509Certificates.StoreLocation]::LocalMachine)
    $store.Open([System.Security.Cryptography.X509Certificates.OpenFlags]::ReadOnly)
    try {
        $found = $store.get_Certificates().Find([System.Security.Cryptography.X509Certificates.X509FindType]::FindByThumbprint, $Thumbprint, $false)
        if ($found.get_Count() -eq 0 -or -not $found[0].get_HasPrivateKey()) { return $null }
        $hash = (New-Object System.Security.Cryptography.SHA256CryptoServiceProvider).ComputeHash($found[0].get_RawData())
        $name = $found[0].GetNameInfo([System.Security.Cryptography.X509Certificates.X509NameType]::SimpleName, $false)
        return @{ Name = $name; Sha256 = [BitConverter]::ToString($hash).Replace('-', ''); Until = $found[0].get_NotAfter().ToUniversalTime() }
    }
    finally { $store.Close() }
}

function New-LyncarrListenerCertificate {
    # Creates a self-signed server certificate with its private key; returns the thumbprint. On 2012 R2 the command has the first two
    # parameters only, with every version of PowerShell, and the certificate is valid for a year. Newer commands get all parameters.
    # https://learn.microsoft.com/powershell/module/pki/new-selfsignedcertificate
    param([string]$Computer)
    $parameters = @{ DnsName = $Computer; CertStoreLocation = 'Cert:\LocalMachine\My' }
    $optional = @{ NotAfter = [datetime]::Now.AddYears(10); KeyExportPolicy = 'NonExportable'; KeyLength = 3072; HashAlgorithm = 'SHA256' }
    $known = (Get-Command -Name 'New-SelfSignedCertificate').Parameters
    foreach ($name in $optional.get_Keys()) { if ($known.ContainsKey($name)) { $parameters[$name] = $optional[$name] } }
    return [string](New-SelfSignedCertificate @parameters).Thumbprint
}

function Remove-LyncarrListenerCertificate {
    # https://learn.microsoft.com/powershell/module/microsoft.powershell.security/about/about_certificate_provider
    param([string]$Thumbprint)
    Remove-Item -LiteralPath "Cert:\LocalMachine\My\$Thumbprint" -DeleteKey
}

function Test-LyncarrFirewall {
    # Whether the service of Windows Firewall is running.
    return ([int](Get-Service -Name 'MpsSvc').Status -eq 4)
}

function Get-LyncarrFirewallRuleName { return 'WinRM over HTTPS from the lyncarr controller' }

function Get-LyncarrFirewallRule {
    # The firewall rule of this script, or null.
    # https://learn.microsoft.com/powershell/module/netsecurity/get-netfirewallrule
    # With a wildcard a missing rule is not an error, and every other error is still reported.
    $rule = @(Get-NetFirewallRule -Name 'lyncarr-winrm-https*')
    if ($rule.Count -eq 0) { return $null }
    return @{
        On = ([string]$rule[0].Enabled -eq 'True' -and [string]$rule[0].Direction -eq 'Inbound' -and [string]$rule[0].Action -eq 'Allow')
        Port = [string]($rule[0] | Get-NetFirewallPortFilter).LocalPort; Addresses = @(($rule[0] | Get-NetFirewallAddressFilter).RemoteAddress)
    }
}

function Set-LyncarrFirewallRule {
    # https://learn.microsoft.com/powershell/module/netsecurity/new-netfirewallrule
    param([string[]]$Addresses, [int]$Port)
    Remove-LyncarrFirewallRule
    [void](New-NetFirewallRule -Name 'lyncarr-winrm-https' -DisplayName (Get-LyncarrFirewallRuleName) -Enabled 'True' -Profile 'Any' -Direction 'Inbound' -Action 'Allow' -Protocol 'TCP' -LocalPort $Port -RemoteAddress $Addresses)
}

function Remove-LyncarrFirewallRule {
    if ($null -ne (Get-LyncarrFirewallRule)) { Remove-NetFirewallRule -Name 'lyncarr-winrm-https' }
}

function Get-LyncarrOtherFirewallRule {
    # The names of the other enabled rules that allow connections to this port, also those of Group Policy. A port filter has the InstanceID
    # of its rule.
    # https://learn.microsoft.com/powershell/module/netsecurity/get-netfirewallportfilter
    param([int]$Port)
    $opening = @{}
    foreach ($filter in @(Get-NetFirewallPortFilter -PolicyStore 'ActiveStore' -Protocol 'TCP')) {
        foreach ($range in @($filter.LocalPort)) {
            $match = [regex]::Match([string]$range, '^([0-9]+)(?:-([0-9]+))?$')
            if (-not $match.get_Success()) { continue }
            $first = [int]$match.get_Groups()[1].get_Value()
            $last = $first
            if ($match.get_Groups()[2].get_Success()) { $last = [int]$match.get_Groups()[2].get_Value() }
            if ($first -le $Port -and $Port -le $last) { $opening[[string]$filter.InstanceID] = $true }
        }
    }
    $own = Get-LyncarrFirewallRuleName
    foreach ($rule in @(Get-NetFirewallRule -PolicyStore 'ActiveStore')) {
        if (-not $opening.ContainsKey([string]$rule.InstanceID) -or $rule.Name -eq 'lyncarr-winrm-https' -or $rule.DisplayName -eq $own) { continue }
        if ([string]$rule.Enabled -eq 'True' -and [string]$rule.Direction -eq 'Inbound' -and [string]$rule.Action -eq 'Allow') { [string]$rule.DisplayName }
    }
}

function Get-LyncarrFirewallProfile {
    # The effective firewall profiles: whether each is enabled, uses rules for incoming connections, and uses the local rules of this server.
    # A setting that is not configured means yes.
    # https://learn.microsoft.com/powershell/module/netsecurity/set-netfirewallprofile
    foreach ($entry in @(Get-NetFirewallProfile -PolicyStore 'ActiveStore')) {
        @{
            Name = [string]$entry.Name; On = [string]$entry.Enabled -eq 'True'
            Inbound = [string]$entry.AllowInboundRules -ne 'False'; Local = [string]$entry.AllowLocalFirewallRules -ne 'False'
        }
    }
}

function Read-LyncarrAnswer {
    param([string]$Question)
    return [string](Read-Host -Prompt $Question)
}
