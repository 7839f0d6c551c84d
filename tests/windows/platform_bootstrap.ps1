# Checks of the platform layer of lyncarr bootstrap, on a simulated server. The commands of NetSecurity, WSMan and PKI come from console\.
param([string]$Snippets)
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
. ([System.IO.Path]::Combine($PSScriptRoot, 'checks.ps1'))
. ([System.IO.Path]::Combine($Snippets, '_layer.ps1'))
$script:LyncarrState = @{ Failure = $null }
Import-Module -Name ([System.IO.Path]::Combine($PSScriptRoot, 'console', 'LyncarrConsole.psd1'))

function Read-Host { param([string]$Prompt) return "answer to $Prompt" }

# Who, and where.
$account = Get-LyncarrAccount
Test-That 'account: computer' ([Environment]::MachineName) { $account['Computer'] }
Test-That 'account: a local one' $true { $account['Name'].StartsWith([Environment]::MachineName + '\') }
Test-That 'account: SID' $true { $account['Sid'] -cmatch '^S-1-5-21-' }
Test-That 'account: elevated' $true { $account['Elevated'] }
Test-That 'account: not from the network' $false { $account['Network'] }
Test-That 'addresses: none of the loopback' $true { @(Get-LyncarrAddress | Where-Object { $_.StartsWith('127.') -or $_ -eq '::1' -or $_.StartsWith('fe80') }).Count -eq 0 }
Test-That 'addresses: of this server' $true { @(Get-LyncarrAddress).Count -gt 0 }
Test-That 'address: facing' '127.0.0.1 ::1' { "$(Get-LyncarrLocalAddress -Controller '127.0.0.1') $(Get-LyncarrLocalAddress -Controller '::1')" }
Test-That 'address: facing nobody' '' { Get-LyncarrLocalAddress -Controller '255.255.255.255' }
Test-That 'answer' 'answer to Change it?' { Read-LyncarrAnswer -Question 'Change it?' }

# The registry.
$key = 'SOFTWARE\lyncarr\test'
Test-That 'registry: no key' $true { $null -eq (Get-LyncarrRegistryValue -Key $key -Name 'Text') }
Set-LyncarrRegistryValue -Key $key -Name 'Text' -Value 'some text'
Set-LyncarrRegistryValue -Key $key -Name 'Number' -Value 1
Test-That 'registry: text' 'some text' { Get-LyncarrRegistryValue -Key $key -Name 'Text' }
Test-That 'registry: number' 'DWord' { $opened = [Microsoft.Win32.Registry]::LocalMachine.OpenSubKey($key); [string]$opened.GetValueKind('Number'); $opened.Close() }
Set-LyncarrRegistryValue -Key $key -Name 'Text' -Value $null
Test-That 'registry: removed' $true { $null -eq (Get-LyncarrRegistryValue -Key $key -Name 'Text') }
Set-LyncarrRegistryValue -Key $key -Name 'Text' -Value $null
Remove-LyncarrRegistryKey -Key $key
Test-That 'registry: key removed' $true { $null -eq [Microsoft.Win32.Registry]::LocalMachine.OpenSubKey($key) }
Test-That 'registry: no key to remove' 'nothing' { Get-Failure { Remove-LyncarrRegistryKey -Key $key } }

# The service.
Test-That 'service: as made' 'Manual False' { $seen = Get-LyncarrWinrmService; "$($seen['Start']) $($seen['Running'])" }
Test-That 'listeners: not while the service is stopped' 'RuntimeException' { Get-Failure { Get-LyncarrListener } }
Set-LyncarrWinrmService -Start 'Automatic' -Running $true
Test-That 'service: started' 'Automatic True' { $seen = Get-LyncarrWinrmService; "$($seen['Start']) $($seen['Running'])" }
Set-LyncarrWinrmService -Start 'Disabled' -Running $false
Test-That 'service: stopped' 'Disabled False' { $seen = Get-LyncarrWinrmService; "$($seen['Start']) $($seen['Running'])" }
Set-LyncarrWinrmService -Start 'Automatic' -Running $true

# The certificate: a real one in the real store.
$thumbprint = New-LyncarrListenerCertificate -Computer $account['Computer']
Test-That 'certificate: made' $true { $thumbprint -cmatch '^[0-9A-F]{40}$' }
Test-That 'certificate: as long as the command can' $true { (Get-LyncarrListenerCertificate -Thumbprint $thumbprint)['Until'] -gt [datetime]::UtcNow.AddYears(9) }
Test-That 'certificate: its name' $account['Computer'] { (Get-LyncarrListenerCertificate -Thumbprint $thumbprint)['Name'] }
Test-That 'certificate: SHA-256 of its DER' $true {
    (Get-LyncarrListenerCertificate -Thumbprint $thumbprint)['Sha256'] -ceq [System.IO.File]::ReadAllText('C:\windows\lab\console.sha256')
}
Test-That 'certificate: unknown' $true { $null -eq (Get-LyncarrListenerCertificate -Thumbprint ('AB' * 20)) }

# Listeners.
Test-That 'listener: http alone' 'HTTP * 5985 true ' { foreach ($one in Get-LyncarrListener) { "$($one['Transport']) $($one['Address']) $($one['Port']) $($one['Enabled']) $($one['CertificateThumbprint'])" } }
Add-LyncarrListener -Name (Get-LyncarrListenerCertificate -Thumbprint $thumbprint)['Name'] -Thumbprint $thumbprint -Port 5986
Test-That 'listener: made' "HTTPS * 5986 true $thumbprint" {
    foreach ($one in Get-LyncarrListener) { if ($one['Transport'] -eq 'HTTPS') { "$($one['Transport']) $($one['Address']) $($one['Port']) $($one['Enabled']) $($one['CertificateThumbprint'])" } }
}
Test-That 'listener: listens on' 'HTTP: / HTTPS: 127.0.0.1 192.0.2.10' { @(foreach ($one in Get-LyncarrListener) { "$($one['Transport']): $($one['ListeningOn'])".Trim() }) -join ' / ' }
Remove-LyncarrListener
Test-That 'listener: removed' 'HTTP' { foreach ($one in Get-LyncarrListener) { $one['Transport'] } }
Remove-LyncarrListenerCertificate -Thumbprint $thumbprint
Test-That 'certificate: removed' $true { $null -eq (Get-LyncarrListenerCertificate -Thumbprint $thumbprint) }
Test-That 'option: on' $true { Test-LyncarrServiceOption -Part '/auth' -Name 'Basic' }
Test-That 'option: off' $false { Test-LyncarrServiceOption -Part '' -Name 'AllowUnencrypted' }
Test-That 'option: unknown' $false { Test-LyncarrServiceOption -Part '' -Name 'NoSuchOption' }

# The firewall.
Test-That 'firewall: runs' $true { Test-LyncarrFirewall }
Stop-Service -Name 'MpsSvc'
Test-That 'firewall: stopped' $false { Test-LyncarrFirewall }
Test-That 'rule: none' $true { $null -eq (Get-LyncarrFirewallRule) }
Set-LyncarrFirewallRule -Addresses @('192.0.2.50') -Port 5986
Test-That 'rule: one address' 'True 5986 192.0.2.50' { $seen = Get-LyncarrFirewallRule; "$($seen['On']) $($seen['Port']) $($seen['Addresses'] -join '+')" }
Set-LyncarrFirewallRule -Addresses @('192.0.2.50', '2001:db8::5') -Port 5999
Test-That 'rule: made anew' 'True 5999 192.0.2.50+2001:db8::5' { $seen = Get-LyncarrFirewallRule; "$($seen['On']) $($seen['Port']) $($seen['Addresses'] -join '+')" }
Test-That 'other rules: none' 0 { @(Get-LyncarrOtherFirewallRule -Port 5999).Count }
[void](New-NetFirewallRule -Name 'other' -DisplayName 'For all' -Enabled 'True' -Direction 'Inbound' -Action 'Allow' -LocalPort 5999 -RemoteAddress 'Any')
[void](New-NetFirewallRule -Name 'off' -DisplayName 'Switched off' -Enabled 'False' -Direction 'Inbound' -Action 'Allow' -LocalPort 5999 -RemoteAddress 'Any')
[void](New-NetFirewallRule -Name 'port' -DisplayName 'Another port' -Enabled 'True' -Direction 'Inbound' -Action 'Allow' -LocalPort 5985 -RemoteAddress 'Any')
[void](New-NetFirewallRule -Name 'policy' -DisplayName 'Of a policy' -Enabled 'True' -Direction 'Inbound' -Action 'Allow' -LocalPort '80', '5000-6000' -RemoteAddress 'Any')
[void](New-NetFirewallRule -Name 'any' -DisplayName 'A program' -Enabled 'True' -Direction 'Inbound' -Action 'Allow' -LocalPort 'Any' -RemoteAddress 'Any')
Test-That 'other rules: some' 'For all, Of a policy' { @(Get-LyncarrOtherFirewallRule -Port 5999) -join ', ' }
Test-That 'other rules: the ends of a range' '1 1 0' { @(foreach ($port in 5000, 6000, 6001) { @(Get-LyncarrOtherFirewallRule -Port $port).Count }) -join ' ' }
Remove-LyncarrFirewallRule
Test-That 'rule: removed' $true { $null -eq (Get-LyncarrFirewallRule) }
Test-That 'rule: removed twice' 'nothing' { Get-Failure { Remove-LyncarrFirewallRule } }
Test-That 'firewall: profiles' 'Domain True False True, Private False True True, Public True True False' {
    @(foreach ($one in Get-LyncarrFirewallProfile) { "$($one['Name']) $($one['On']) $($one['Inbound']) $($one['Local'])" }) -join ', '
}
