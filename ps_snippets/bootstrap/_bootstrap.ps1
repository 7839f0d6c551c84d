# The work of the script: it reads the state of the server, shows the changes, asks, applies them and reads the state again; -Remove undoes them.

function Get-LyncarrStateKey { return 'SOFTWARE\lyncarr\bootstrap' }

function Get-LyncarrPolicyKey { return 'SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System' }

function Get-LyncarrSavedValue {
    # A value that this script saved for -Remove: Certificates, the thumbprints of its own certificates, newest first; Service and TokenFilter,
    # the settings before the first change.
    param([string]$Name)
    return [string](Get-LyncarrRegistryValue -Key (Get-LyncarrStateKey) -Name $Name)
}

function Set-LyncarrSavedValue {
    # The first value stays: it is the setting before the first change.
    param([string]$Name, [string]$Value)
    if ((Get-LyncarrSavedValue -Name $Name) -eq '') { Set-LyncarrRegistryValue -Key (Get-LyncarrStateKey) -Name $Name -Value $Value }
}

function Get-LyncarrOwnThumbprint {
    foreach ($thumbprint in (Get-LyncarrSavedValue -Name 'Certificates').Split(',')) { if ($thumbprint -ne '') { $thumbprint } }
}

function Set-LyncarrOwnThumbprint {
    param([string[]]$Thumbprints)
    Set-LyncarrRegistryValue -Key (Get-LyncarrStateKey) -Name 'Certificates' -Value ([string]::Join(',', $Thumbprints))
}

function Get-LyncarrTokenFilter {
    # LocalAccountTokenFilterPolicy as text; '' where it is not set, which means 0.
    return [string](Get-LyncarrRegistryValue -Key (Get-LyncarrPolicyKey) -Name 'LocalAccountTokenFilterPolicy')
}

function ConvertTo-LyncarrAddress {
    # The addresses of -Controller in the form that Windows writes, sorted.
    param([string]$Text)
    $found = New-Object System.Collections.ArrayList
    foreach ($part in $Text.Split(',')) {
        $entered = $part.Trim()
        $address = $null
        # TryParse accepts 10.1 as 10.0.0.1, which hides a typing error.
        $valid = [System.Net.IPAddress]::TryParse($entered, [ref]$address)
        if ($valid -and -not $entered.Contains(':')) { $valid = [regex]::IsMatch($entered, '^[0-9]+(\.[0-9]+){3}$') -and $address.ToString() -eq $entered }
        if (-not $valid -or $address.Equals([System.Net.IPAddress]::Any) -or $address.Equals([System.Net.IPAddress]::IPv6Any)) {
            throw "-Controller '$entered' is not the IP address of one computer. Enter the address that lyncarr connects from, such as 192.0.2.50."
        }
        if (-not $found.Contains($address.ToString())) { [void]$found.Add($address.ToString()) }
    }
    $sorted = [string[]]$found.ToArray()
    [array]::Sort($sorted, [StringComparer]::Ordinal)
    return $sorted
}

function Get-LyncarrServerState {
    # The present state of the server. Https and Http are null while the service is stopped, because it reports the listeners.
    param([int]$Port)
    # Without this service every firewall command fails, with an error about an endpoint mapper.
    if (-not (Test-LyncarrFirewall)) { throw 'The service MpsSvc (Windows Firewall) is not running, so firewall rules cannot be read or set. Start it with Start-Service MpsSvc, then run this script again. If the service is disabled, set it to start automatically first.' }
    $state = @{
        Service = Get-LyncarrWinrmService; OwnThumbprints = @(Get-LyncarrOwnThumbprint); Certificate = $null; Https = $null; Http = $null; Foreign = $false; Port = $Port
        TokenFilter = Get-LyncarrTokenFilter; Rule = Get-LyncarrFirewallRule
    }
    if (-not $state['Service']['Running']) { return $state }
    foreach ($listener in @(Get-LyncarrListener)) {
        if ($listener['Transport'] -eq 'HTTP') { $state['Http'] = $listener }
        # Of several listeners the one for all addresses counts: this script creates, changes and removes that one.
        elseif ($null -eq $state['Https'] -or $listener['Address'] -eq '*') { $state['Https'] = $listener }
    }
    $thumbprint = ''
    if (@($state['OwnThumbprints']).Count -gt 0) { $thumbprint = [string]$state['OwnThumbprints'][0] }
    if ($null -ne $state['Https'] -and ($state['Https']['Address'] -ne '*' -or $state['OwnThumbprints'] -notcontains $state['Https']['CertificateThumbprint'])) {
        $state['Foreign'] = $true
        $state['Port'] = [int]$state['Https']['Port']
        $thumbprint = [string]$state['Https']['CertificateThumbprint']
    }
    if ($thumbprint -ne '') { $state['Certificate'] = Get-LyncarrListenerCertificate -Thumbprint $thumbprint }
    return $state
}

function New-LyncarrChange {
    param([string]$Subject, [string]$Old, [string]$New)
    return @{ Subject = $Subject; Old = $Old; New = $New }
}

function Get-LyncarrServiceText {
    param([Collections.IDictionary]$Service)
    $running = 'stopped'
    if ($Service['Running']) { $running = 'running' }
    return "$($Service['Start']), $running"
}

function Get-LyncarrListenerText {
    param([Collections.IDictionary]$Listener)
    $text = "port $($Listener['Port']), certificate $($Listener['CertificateThumbprint'])"
    if ($Listener['Enabled'] -eq 'false') { $text = $text + ', disabled' }
    return $text
}

function Get-LyncarrFirewallRuleText {
    param([Collections.IDictionary]$Rule)
    if ($null -eq $Rule) { return 'none' }
    $addresses = New-Object System.Collections.ArrayList
    # Windows may return a single address with its mask.
    foreach ($address in $Rule['Addresses']) { [void]$addresses.Add([regex]::Replace([string]$address, '/(255\.255\.255\.255|32|128)$', '')) }
    $sorted = [string[]]$addresses.ToArray()
    [array]::Sort($sorted, [StringComparer]::Ordinal)
    $text = "TCP $($Rule['Port']) from $([string]::Join(', ', $sorted))"
    if (-not $Rule['On']) { $text = $text + ', disabled' }
    return $text
}

function Get-LyncarrChange {
    # The differences from the desired state, in the order in which they are applied.
    param([Collections.IDictionary]$State, [string[]]$Controllers, [bool]$AllowLocalAdministrators)
    if ($State['Service']['Start'] -ne 'Automatic' -or -not $State['Service']['Running']) {
        New-LyncarrChange -Subject 'service WinRM' -Old (Get-LyncarrServiceText -Service $State['Service']) -New 'Automatic, running'
    }
    # The rest can be read only while the service runs.
    if (-not $State['Service']['Running']) { return }
    if ($AllowLocalAdministrators -and $State['TokenFilter'] -ne '1') {
        $old = $State['TokenFilter']
        if ($old -eq '') { $old = 'not set' }
        New-LyncarrChange -Subject 'LocalAccountTokenFilterPolicy' -Old $old -New '1'
    }
    if (-not $State['Foreign']) {
        $usable = $null -ne $State['Certificate'] -and $State['Certificate']['Until'] -gt [datetime]::UtcNow.AddDays(30)
        if (-not $usable) {
            $old = 'none'
            if ($null -ne $State['Certificate']) { $old = 'valid until ' + (ConvertTo-LyncarrDate -Moment $State['Certificate']['Until']) }
            New-LyncarrChange -Subject 'certificate for WinRM' -Old $old -New 'a new self-signed certificate, with a new pin for the configuration file'
        }
        $old = 'none'
        $listener = $State['Https']
        if ($null -ne $listener) { $old = Get-LyncarrListenerText -Listener $listener }
        $unchanged = $usable -and $old -eq "port $($State['Port']), certificate $($State['OwnThumbprints'][0])"
        if (-not $unchanged) { New-LyncarrChange -Subject 'HTTPS listener' -Old $old -New "port $($State['Port']), with this certificate" }
    }
    $old = Get-LyncarrFirewallRuleText -Rule $State['Rule']
    $new = Get-LyncarrFirewallRuleText -Rule @{ On = $true; Port = $State['Port']; Addresses = $Controllers }
    if ($old -ne $new) { New-LyncarrChange -Subject 'firewall rule' -Old $old -New $new }
}

function ConvertTo-LyncarrDate {
    param([datetime]$Moment)
    return $Moment.ToString('yyyy-MM-dd', [cultureinfo]::InvariantCulture)
}

function Invoke-LyncarrChange {
    param([string]$Subject, [Collections.IDictionary]$State, [string]$Computer, [string[]]$Controllers)
    switch ($Subject) {
        'service WinRM' {
            Set-LyncarrSavedValue -Name 'Service' -Value (Get-LyncarrServiceText -Service $State['Service'])
            Set-LyncarrWinrmService -Start 'Automatic' -Running $true
        }
        'LocalAccountTokenFilterPolicy' {
            $before = $State['TokenFilter']
            if ($before -eq '') { $before = 'not set' }
            Set-LyncarrSavedValue -Name 'TokenFilter' -Value $before
            Set-LyncarrRegistryValue -Key (Get-LyncarrPolicyKey) -Name 'LocalAccountTokenFilterPolicy' -Value 1
        }
        'certificate for WinRM' {
            # Saved together with the older ones: until the listener uses the new certificate, an older one still belongs to this script.
            $State['OwnThumbprints'] = @(New-LyncarrListenerCertificate -Computer $Computer) + $State['OwnThumbprints']
            Set-LyncarrOwnThumbprint -Thumbprints $State['OwnThumbprints']
        }
        'HTTPS listener' {
            $current, $older = $State['OwnThumbprints']
            Set-LyncarrListener -Old $State['Https'] -Thumbprint $current -Port $State['Port']
            foreach ($thumbprint in @($older)) { if ($null -ne $thumbprint -and $null -ne (Get-LyncarrListenerCertificate -Thumbprint $thumbprint)) { Remove-LyncarrListenerCertificate -Thumbprint $thumbprint } }
            Set-LyncarrOwnThumbprint -Thumbprints @($current)
        }
        'firewall rule' { Set-LyncarrFirewallRule -Addresses $Controllers -Port $State['Port'] }
    }
}

function Set-LyncarrListener {
    # Windows allows one listener for all addresses, so the old one is removed first, and restored where Windows refuses the new one.
    param([Collections.IDictionary]$Old, [string]$Thumbprint, [int]$Port)
    $before = $null
    if ($null -ne $Old) {
        $before = Get-LyncarrListenerCertificate -Thumbprint $Old['CertificateThumbprint']
        Remove-LyncarrListener
    }
    try { Add-LyncarrListener -Name (Get-LyncarrListenerCertificate -Thumbprint $Thumbprint)['Name'] -Thumbprint $Thumbprint -Port $Port }
    catch {
        if ($null -ne $before) { Add-LyncarrListener -Name $before['Name'] -Thumbprint $Old['CertificateThumbprint'] -Port ([int]$Old['Port']) }
        throw
    }
}

function Get-LyncarrServerNote {
    # Notes for the administrator about settings that this script does not change.
    param([Collections.IDictionary]$State, [Collections.IDictionary]$Account, [int]$Port)
    if ($State['Foreign']) {
        "An HTTPS listener exists that this script did not create. It is used unchanged (port $($State['Port']), certificate $($State['Https']['CertificateThumbprint']))."
        if ($State['Port'] -ne $Port) { "-Port $Port is ignored, because that listener uses another port." }
    }
    if ($null -ne $State['Http']) { "An HTTP listener exists on port $($State['Http']['Port']), as Windows creates it. lyncarr does not need it. If nothing else needs it, remove it: Remove-WSManInstance winrm/config/Listener -SelectorSet @{Address='$($State['Http']['Address'])';Transport='HTTP'}" }
    if (Test-LyncarrServiceOption -Part '/auth' -Name 'Basic') { 'Basic authentication is enabled. lyncarr does not need it. To disable it: Set-Item WSMan:\localhost\Service\Auth\Basic $false' }
    if (Test-LyncarrServiceOption -Part '' -Name 'AllowUnencrypted') { 'Unencrypted messages are allowed, so the network can read passwords and contents. To forbid them: Set-Item WSMan:\localhost\Service\AllowUnencrypted $false' }
    foreach ($rule in @(Get-LyncarrOtherFirewallRule -Port $State['Port'])) { "Another firewall rule also opens port $($State['Port']): '$rule'. Check which addresses it allows." }
    foreach ($entry in @(Get-LyncarrFirewallProfile)) {
        if (-not $entry['On']) { "The firewall is disabled for the profile $($entry['Name']), so its rules block no connection there." }
        elseif (-not $entry['Inbound']) { "The firewall profile $($entry['Name']) blocks all incoming connections, whatever the rules allow. lyncarr cannot connect through it until you change that." }
        elseif (-not $entry['Local']) { "In the firewall profile $($entry['Name']) Group Policy disables the local rules of this server. Add the same rule (TCP port $($State['Port']) from the controller) to that policy." }
    }
    Get-LyncarrTokenNote -TokenFilter $State['TokenFilter'] -Account $Account
}

function Get-LyncarrTokenNote {
    # https://learn.microsoft.com/troubleshoot/windows-server/windows-security/user-account-control-and-remote-restriction
    param([string]$TokenFilter, [Collections.IDictionary]$Account)
    if ($TokenFilter -eq '1') { return 'LocalAccountTokenFilterPolicy is 1: all local administrators keep their administrator rights over the network, also on file shares.' }
    if (-not $Account['Name'].StartsWith($Account['Computer'] + '\', [StringComparison]::OrdinalIgnoreCase)) { return 'LocalAccountTokenFilterPolicy does not apply to domain accounts and stays unchanged.' }
    $filtered = [string](Get-LyncarrRegistryValue -Key (Get-LyncarrPolicyKey) -Name 'FilterAdministratorToken') -eq '1'
    if ($Account['Sid'].EndsWith('-500', [StringComparison]::Ordinal) -and -not $filtered) { return "LocalAccountTokenFilterPolicy is not needed for $($Account['Name']) and stays unchanged: the built-in Administrator keeps its rights over the network. A security baseline can still refuse its logon by the user right 'Deny access to this computer from the network'." }
    return "Windows removes the administrator rights of $($Account['Name']) over the network, so lyncarr cannot work with this account. Use the built-in Administrator for lyncarr$(if ($filtered) { ' (and set FilterAdministratorToken to 0)' }), or run this script again with -AllowLocalAdministrators. That sets LocalAccountTokenFilterPolicy to 1 for all local administrators, also on file shares, which makes a stolen password of any of them more dangerous."
}

function ConvertTo-LyncarrToml {
    param([string]$Text)
    return '"' + $Text.Replace('\', '\\').Replace('"', '\"') + '"'
}

function Get-LyncarrHostTable {
    # The lines for the configuration file.
    param([string]$Name, [Collections.IDictionary]$State, [Collections.IDictionary]$Account, [string[]]$Controllers)
    $key = $Name
    if ($key -eq '') { $key = $Account['Computer'].ToLowerInvariant() }
    if (-not [regex]::IsMatch($key, '^[A-Za-z0-9_-]+$')) { $key = ConvertTo-LyncarrToml -Text $key }
    "[hosts.$key]"
    $addresses = @(Get-LyncarrAddress)
    # The most likely address first: that of a listener that this script did not create, then the one of the route to the controller, then any.
    $bound = ''
    if ($State['Https']['Address'].StartsWith('IP:', [StringComparison]::OrdinalIgnoreCase)) { $bound = $State['Https']['Address'].Substring(3) }
    $likely = @(
        if ($bound -ne '') { $bound }
        foreach ($controller in $Controllers) { $facing = Get-LyncarrLocalAddress -Controller $controller; if ($facing -ne '') { $facing } }
        $addresses
    )
    if ($likely.Count -gt 0) { "address = $(ConvertTo-LyncarrToml -Text $likely[0])" }
    if ($addresses.Count -gt 1) { "# If the controller must use another address of this server, enter it here: $([string]::Join(', ', [string[]]$addresses))" }
    "user = $(ConvertTo-LyncarrToml -Text $Account['Name'])"
    if ($State['Port'] -ne 5986) { "port = $($State['Port'])" }
    "tls = $(ConvertTo-LyncarrToml -Text ('pin:sha256:' + $State['Certificate']['Sha256']))"
}

function Get-LyncarrAdministrator {
    $account = Get-LyncarrAccount
    if (-not $account['Elevated']) { throw 'This script requires administrator rights. Open Windows PowerShell with "Run as administrator", and run the script there.' }
    return $account
}

function Assert-LyncarrConsole {
    # Windows ends a session together with its listener, so the script would stop half-way.
    param([Collections.IDictionary]$Account)
    if ($Account['Network']) { throw 'This session came over the network, perhaps through the listener that the script must remove. Run the script at the console of the server.' }
}

function Confirm-LyncarrChange {
    param([string]$Question, [bool]$Yes)
    if ($Yes) { return $true }
    return (@('y', 'yes') -contains (Read-LyncarrAnswer -Question "$Question [y/N]").Trim())
}

function Invoke-LyncarrBootstrap {
    param([string]$Controller, [string]$Name, [int]$Port, [bool]$AllowLocalAdministrators, [bool]$Yes)
    $account = Get-LyncarrAdministrator
    if ($Port -lt 1 -or $Port -gt 65535) { throw "-Port $Port is not a valid port. Use 1 to 65535, or omit -Port for 5986." }
    $controllers = @(ConvertTo-LyncarrAddress -Text $Controller)
    $reported = $false
    $changed = $false
    $done = $false
    # Runs twice where the service must be started first.
    while (-not $done) {
        $state = Get-LyncarrServerState -Port $Port
        if ($state['Foreign'] -and $null -eq $state['Certificate']) { throw "The HTTPS listener of this server uses the certificate $($state['Https']['CertificateThumbprint']), which is not in the certificate store of the computer or has no private key. Set another certificate for the listener, or remove the listener, then run this script again." }
        if ($state['Foreign'] -and $state['Https']['Enabled'] -eq 'false') { throw "The HTTPS listener of this server (port $($state['Port'])), which this script did not create, is disabled. Remove or enable it, then run this script again. To enable it: Set-WSManInstance winrm/config/Listener -SelectorSet @{Address='$($state['Https']['Address'])';Transport='HTTPS'} -ValueSet @{Enabled='true'}" }
        $changes = @(Get-LyncarrChange -State $state -Controllers $controllers -AllowLocalAdministrators $AllowLocalAdministrators)
        $done = [bool]$state['Service']['Running']
        if ($done -and -not $reported) {
            $reported = $true
            foreach ($note in @(Get-LyncarrServerNote -State $state -Account $account -Port $Port)) { "note: $note" }
        }
        if ($changes.Count -eq 0) { continue }
        foreach ($change in $changes) { if ($change['Subject'] -eq 'HTTPS listener' -and $null -ne $state['Https']) { Assert-LyncarrConsole -Account $account } }
        "Changes on $($account['Computer']):"
        foreach ($change in $changes) { "  $($change['Subject']): $($change['Old']) -> $($change['New'])" }
        if (-not (Confirm-LyncarrChange -Question 'Apply these changes?' -Yes $Yes)) { return 'No further changes were made.' }
        foreach ($change in $changes) { Invoke-LyncarrChange -Subject $change['Subject'] -State $state -Computer $account['Computer'] -Controllers $controllers }
        $changed = $true
    }
    if ($changed) {
        $state = Get-LyncarrServerState -Port $Port
        foreach ($change in @(Get-LyncarrChange -State $state -Controllers $controllers -AllowLocalAdministrators $AllowLocalAdministrators)) { throw "The setting '$($change['Subject'])' was changed, but is still '$($change['Old'])'. Check whether Group Policy sets it." }
    }
    if (@($state['Https']['ListeningOn']).Count -eq 0) { throw 'The HTTPS listener exists, but does not listen on any address. Check the policy "Allow remote server management through WinRM" and its IPv4 and IPv6 filters, then run this script again.' }
    if ($changed) {
        'All changes are applied and verified. To undo them, run this script with -Remove.'
    }
    else { 'No changes: everything is already set up.' }
    "The certificate is valid until $(ConvertTo-LyncarrDate -Moment $state['Certificate']['Until']). Copy these lines to the configuration file over a trusted channel:"
    ''
    Get-LyncarrHostTable -Name $Name -State $state -Account $account -Controllers $controllers
}

function Invoke-LyncarrRemoval {
    param([bool]$Yes)
    $account = Get-LyncarrAdministrator
    Assert-LyncarrConsole -Account $account
    $state = Get-LyncarrServerState -Port 0
    $listens = $null -ne $state['Https'] -and -not $state['Foreign']
    $present = New-Object System.Collections.ArrayList
    foreach ($thumbprint in $state['OwnThumbprints']) { if ($null -ne (Get-LyncarrListenerCertificate -Thumbprint $thumbprint)) { [void]$present.Add($thumbprint) } }
    if (@($state['OwnThumbprints']).Count -gt 0 -and -not $state['Service']['Running']) { throw 'The listener can be removed only while the service WinRM runs. Start it with Start-Service WinRM, then run this script again.' }
    $policy = Get-LyncarrSavedValue -Name 'TokenFilter'
    # Another administrator may have changed the value since.
    if ($state['TokenFilter'] -ne '1') { $policy = '' }
    $service = Get-LyncarrSavedValue -Name 'Service'
    $lines = @(
        if ($null -ne $state['Rule']) { "firewall rule: $(Get-LyncarrFirewallRuleText -Rule $state['Rule']) -> none" }
        if ($listens) { "HTTPS listener: port $($state['Https']['Port']) -> none" }
        foreach ($thumbprint in $present) { "certificate for WinRM, with its private key: $thumbprint -> none" }
        if ($policy -ne '') { "LocalAccountTokenFilterPolicy: 1 -> $policy" }
        if ($service -ne '') { "service WinRM: $(Get-LyncarrServiceText -Service $state['Service']) -> $service" }
    )
    if ($lines.Count -eq 0) { return 'No changes: this script has set up nothing on this server.' }
    "Changes on $($account['Computer']):"
    foreach ($line in $lines) { "  $line" }
    if (-not (Confirm-LyncarrChange -Question 'Apply these changes?' -Yes $Yes)) { return 'No changes were made.' }
    Remove-LyncarrFirewallRule
    if ($listens) { Remove-LyncarrListener }
    foreach ($thumbprint in $present) { Remove-LyncarrListenerCertificate -Thumbprint $thumbprint }
    if ($policy -eq 'not set') { Set-LyncarrRegistryValue -Key (Get-LyncarrPolicyKey) -Name 'LocalAccountTokenFilterPolicy' -Value $null }
    elseif ($policy -ne '') { Set-LyncarrRegistryValue -Key (Get-LyncarrPolicyKey) -Name 'LocalAccountTokenFilterPolicy' -Value ([int]$policy) }
    if ($service -ne '') { Set-LyncarrWinrmService -Start $service.Split(',')[0] -Running $service.EndsWith('running', [StringComparison]::Ordinal) }
    Remove-LyncarrRegistryKey -Key (Get-LyncarrStateKey)
    'Removed. lyncarr can no longer connect to this server this way.'
}
