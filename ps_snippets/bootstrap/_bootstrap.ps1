# What the script does: look, show, ask, change, look again; and the way back.

function Get-LyncarrKey { return 'SOFTWARE\lyncarr\bootstrap' }

function Get-LyncarrPolicyKey { return 'SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System' }

function Get-LyncarrMark {
    # What this script remembers for -Remove: Certificates, the thumbprints that it made, newest first; Service and TokenFilter, what was before.
    param([string]$Name)
    return [string](Get-LyncarrRegistryValue -Key (Get-LyncarrKey) -Name $Name)
}

function Set-LyncarrMark {
    # Of what was before, the oldest counts: it stays.
    param([string]$Name, [string]$Value)
    if ((Get-LyncarrMark -Name $Name) -eq '') { Set-LyncarrRegistryValue -Key (Get-LyncarrKey) -Name $Name -Value $Value }
}

function Get-LyncarrMade {
    foreach ($thumbprint in (Get-LyncarrMark -Name 'Certificates').Split(',')) { if ($thumbprint -ne '') { $thumbprint } }
}

function Set-LyncarrMade {
    param([string[]]$Thumbprints)
    Set-LyncarrRegistryValue -Key (Get-LyncarrKey) -Name 'Certificates' -Value ([string]::Join(',', $Thumbprints))
}

function Get-LyncarrTokenFilter {
    # LocalAccountTokenFilterPolicy as text; '' where it is not set, which counts as 0.
    return [string](Get-LyncarrRegistryValue -Key (Get-LyncarrPolicyKey) -Name 'LocalAccountTokenFilterPolicy')
}

function Get-LyncarrController {
    # The addresses of -Controller in the form that Windows writes, in order.
    param([string]$Text)
    $found = New-Object System.Collections.ArrayList
    foreach ($part in $Text.Split(',')) {
        $written = $part.Trim()
        $address = $null
        # TryParse takes 10.1 for 10.0.0.1, and so would hide a slip.
        $right = [System.Net.IPAddress]::TryParse($written, [ref]$address)
        if ($right -and -not $written.Contains(':')) { $right = [regex]::IsMatch($written, '^[0-9]+(\.[0-9]+){3}$') -and $address.ToString() -eq $written }
        if (-not $right -or $address.Equals([System.Net.IPAddress]::Any) -or $address.Equals([System.Net.IPAddress]::IPv6Any)) {
            throw "-Controller '$written' is not the address of one machine; give the address that lyncarr comes from, such as 192.0.2.50."
        }
        if (-not $found.Contains($address.ToString())) { [void]$found.Add($address.ToString()) }
    }
    $sorted = [string[]]$found.ToArray()
    [array]::Sort($sorted, [StringComparer]::Ordinal)
    return $sorted
}

function Get-LyncarrSeen {
    # What is there. Listeners can be asked for only while the service runs: then Https and Http are null.
    param([int]$Port)
    # Without it each command for rules fails, with words about an endpoint mapper.
    if (-not (Test-LyncarrFirewall)) { throw 'The service MpsSvc (Windows Firewall) does not run, so rules can be neither looked at nor set. Start it (Start-Service MpsSvc; where it is disabled, let it start automatically first), and run this again.' }
    $seen = @{
        Service = Get-LyncarrService; Made = @(Get-LyncarrMade); Certificate = $null; Https = $null; Http = $null; Foreign = $false; Port = $Port
        TokenFilter = Get-LyncarrTokenFilter; Rule = Get-LyncarrRule
    }
    if (-not $seen['Service']['Running']) { return $seen }
    foreach ($listener in @(Get-LyncarrListener)) {
        if ($listener['Transport'] -eq 'HTTP') { $seen['Http'] = $listener }
        # Of several the one for all addresses counts: that is the one which this script makes, changes and removes.
        elseif ($null -eq $seen['Https'] -or $listener['Address'] -eq '*') { $seen['Https'] = $listener }
    }
    $thumbprint = ''
    if (@($seen['Made']).Count -gt 0) { $thumbprint = [string]$seen['Made'][0] }
    if ($null -ne $seen['Https'] -and ($seen['Https']['Address'] -ne '*' -or $seen['Made'] -notcontains $seen['Https']['CertificateThumbprint'])) {
        $seen['Foreign'] = $true
        $seen['Port'] = [int]$seen['Https']['Port']
        $thumbprint = [string]$seen['Https']['CertificateThumbprint']
    }
    if ($thumbprint -ne '') { $seen['Certificate'] = Get-LyncarrCertificate -Thumbprint $thumbprint }
    return $seen
}

function New-LyncarrChange {
    param([string]$What, [string]$Old, [string]$New)
    return @{ What = $What; Old = $Old; New = $New }
}

function Get-LyncarrServiceText {
    param([System.Collections.IDictionary]$Service)
    $running = 'stopped'
    if ($Service['Running']) { $running = 'running' }
    return "$($Service['Start']), $running"
}

function Get-LyncarrListenerText {
    param([System.Collections.IDictionary]$Listener)
    $text = "port $($Listener['Port']), certificate $($Listener['CertificateThumbprint'])"
    if ($Listener['Enabled'] -eq 'false') { $text = $text + ', switched off' }
    return $text
}

function Get-LyncarrRuleText {
    param([System.Collections.IDictionary]$Rule)
    if ($null -eq $Rule) { return 'none' }
    $addresses = New-Object System.Collections.ArrayList
    # A single address may come back with its mask.
    foreach ($address in $Rule['Addresses']) { [void]$addresses.Add([regex]::Replace([string]$address, '/(255\.255\.255\.255|32|128)$', '')) }
    $sorted = [string[]]$addresses.ToArray()
    [array]::Sort($sorted, [StringComparer]::Ordinal)
    $text = "TCP $($Rule['Port']) from $([string]::Join(', ', $sorted))"
    if (-not $Rule['On']) { $text = $text + ', switched off' }
    return $text
}

function Get-LyncarrChange {
    # What differs from what is wanted, in the order in which it is done.
    param([System.Collections.IDictionary]$Seen, [string[]]$Controllers, [bool]$Allow)
    if ($Seen['Service']['Start'] -ne 'Automatic' -or -not $Seen['Service']['Running']) {
        New-LyncarrChange -What 'service WinRM' -Old (Get-LyncarrServiceText -Service $Seen['Service']) -New 'Automatic, running'
    }
    # What follows can be seen only while the service runs.
    if (-not $Seen['Service']['Running']) { return }
    if ($Allow -and $Seen['TokenFilter'] -ne '1') {
        $old = $Seen['TokenFilter']
        if ($old -eq '') { $old = 'not set' }
        New-LyncarrChange -What 'LocalAccountTokenFilterPolicy' -Old $old -New '1'
    }
    if (-not $Seen['Foreign']) {
        $usable = $null -ne $Seen['Certificate'] -and $Seen['Certificate']['Until'] -gt [datetime]::UtcNow.AddDays(30)
        if (-not $usable) {
            $old = 'none'
            if ($null -ne $Seen['Certificate']) { $old = 'valid until ' + (Get-LyncarrDay -Moment $Seen['Certificate']['Until']) }
            New-LyncarrChange -What 'certificate for WinRM' -Old $old -New 'a self-signed one, with a new pin for the site file'
        }
        $old = 'none'
        $listener = $Seen['Https']
        if ($null -ne $listener) { $old = Get-LyncarrListenerText -Listener $listener }
        $right = $usable -and $old -eq "port $($Seen['Port']), certificate $($Seen['Made'][0])"
        if (-not $right) { New-LyncarrChange -What 'HTTPS listener' -Old $old -New "port $($Seen['Port']), with that certificate" }
    }
    $old = Get-LyncarrRuleText -Rule $Seen['Rule']
    $new = Get-LyncarrRuleText -Rule @{ On = $true; Port = $Seen['Port']; Addresses = $Controllers }
    if ($old -ne $new) { New-LyncarrChange -What 'firewall rule' -Old $old -New $new }
}

function Get-LyncarrDay {
    param([datetime]$Moment)
    return $Moment.ToString('yyyy-MM-dd', [cultureinfo]::InvariantCulture)
}

function Invoke-LyncarrChange {
    param([string]$What, [System.Collections.IDictionary]$Seen, [string]$Computer, [string[]]$Controllers)
    switch ($What) {
        'service WinRM' {
            Set-LyncarrMark -Name 'Service' -Value (Get-LyncarrServiceText -Service $Seen['Service'])
            Set-LyncarrService -Start 'Automatic' -Running $true
        }
        'LocalAccountTokenFilterPolicy' {
            $before = $Seen['TokenFilter']
            if ($before -eq '') { $before = 'not set' }
            Set-LyncarrMark -Name 'TokenFilter' -Value $before
            Set-LyncarrRegistryValue -Key (Get-LyncarrPolicyKey) -Name 'LocalAccountTokenFilterPolicy' -Value 1
        }
        'certificate for WinRM' {
            # Written down together with those before it: until the listener has the new one, an older one is still ours.
            $Seen['Made'] = @(New-LyncarrCertificate -Computer $Computer) + $Seen['Made']
            Set-LyncarrMade -Thumbprints $Seen['Made']
        }
        'HTTPS listener' {
            $current, $older = $Seen['Made']
            Set-LyncarrListener -Old $Seen['Https'] -Thumbprint $current -Port $Seen['Port']
            foreach ($thumbprint in @($older)) { if ($null -ne $thumbprint -and $null -ne (Get-LyncarrCertificate -Thumbprint $thumbprint)) { Remove-LyncarrCertificate -Thumbprint $thumbprint } }
            Set-LyncarrMade -Thumbprints @($current)
        }
        'firewall rule' { Set-LyncarrRule -Addresses $Controllers -Port $Seen['Port'] }
    }
}

function Set-LyncarrListener {
    # Windows has one listener for all addresses, so an old one goes first. Where the new one is refused, it comes back.
    param([System.Collections.IDictionary]$Old, [string]$Thumbprint, [int]$Port)
    $before = $null
    if ($null -ne $Old) {
        $before = Get-LyncarrCertificate -Thumbprint $Old['CertificateThumbprint']
        Remove-LyncarrListener
    }
    try { Add-LyncarrListener -Name (Get-LyncarrCertificate -Thumbprint $Thumbprint)['Name'] -Thumbprint $Thumbprint -Port $Port }
    catch {
        if ($null -ne $before) { Add-LyncarrListener -Name $before['Name'] -Thumbprint $Old['CertificateThumbprint'] -Port ([int]$Old['Port']) }
        throw
    }
}

function Get-LyncarrNote {
    # What an administrator should know besides. Nothing of it is changed.
    param([System.Collections.IDictionary]$Seen, [System.Collections.IDictionary]$Account, [int]$Port)
    if ($Seen['Foreign']) {
        "There is an HTTPS listener that this script did not make; it is used as it is (port $($Seen['Port']), certificate $($Seen['Https']['CertificateThumbprint']))."
        if ($Seen['Port'] -ne $Port) { "-Port $Port was not used, because that listener has another." }
    }
    if ($null -ne $Seen['Http']) { "There is an HTTP listener on port $($Seen['Http']['Port']) too, as Windows makes it. lyncarr does not need it; where nothing else does: Remove-WSManInstance winrm/config/Listener -SelectorSet @{Address='$($Seen['Http']['Address'])';Transport='HTTP'}" }
    if (Test-LyncarrOption -Part '/auth' -Name 'Basic') { 'Basic authentication is switched on. lyncarr does not need it; to switch it off: Set-Item WSMan:\localhost\Service\Auth\Basic $false' }
    if (Test-LyncarrOption -Part '' -Name 'AllowUnencrypted') { 'Unencrypted messages are allowed, which shows passwords and contents to the network. To forbid them: Set-Item WSMan:\localhost\Service\AllowUnencrypted $false' }
    foreach ($rule in @(Get-LyncarrOtherRule -Port $Seen['Port'])) { "Another firewall rule opens port $($Seen['Port']) too: '$rule'. Look whom it lets in." }
    foreach ($entry in @(Get-LyncarrProfile)) {
        if (-not $entry['On']) { "The firewall is off for the profile $($entry['Name']): there its rules keep nobody out." }
        elseif (-not $entry['Inbound']) { "In the firewall's profile $($entry['Name']) all incoming connections are blocked, whatever the rules allow: there nobody gets in until that is switched off." }
        elseif (-not $entry['Local']) { "In the firewall's profile $($entry['Name']) a policy lets no rule of this server count: there nobody gets in unless the same rule (TCP port $($Seen['Port']) from the controller) stands in that policy." }
    }
    Get-LyncarrTokenNote -TokenFilter $Seen['TokenFilter'] -Account $Account
}

function Get-LyncarrTokenNote {
    # https://learn.microsoft.com/troubleshoot/windows-server/windows-security/user-account-control-and-remote-restriction
    param([string]$TokenFilter, [System.Collections.IDictionary]$Account)
    if ($TokenFilter -eq '1') { return 'LocalAccountTokenFilterPolicy is 1: all local administrators keep their rights over the network, on file shares too.' }
    if (-not $Account['Name'].StartsWith($Account['Computer'] + '\', [StringComparison]::OrdinalIgnoreCase)) { return 'LocalAccountTokenFilterPolicy does not matter to domain accounts; it stays as it is.' }
    $filtered = [string](Get-LyncarrRegistryValue -Key (Get-LyncarrPolicyKey) -Name 'FilterAdministratorToken') -eq '1'
    if ($Account['Sid'].EndsWith('-500', [StringComparison]::Ordinal) -and -not $filtered) { return "LocalAccountTokenFilterPolicy is not needed for $($Account['Name']): the built-in Administrator keeps its rights over the network. It stays as it is. A security baseline may refuse its log-on all the same, by the user right 'Deny access to this computer from the network'." }
    return "Over the network Windows takes the administrator's rights from $($Account['Name']), and lyncarr will be refused. Either let lyncarr log on as the built-in Administrator$(if ($filtered) { ' (and set FilterAdministratorToken to 0)' }), or run this again with -AllowLocalAdministrators. That sets LocalAccountTokenFilterPolicy to 1 for all local administrators and for file shares too: a stolen password of any of them is worth more then."
}

function ConvertTo-LyncarrToml {
    param([string]$Text)
    return '"' + $Text.Replace('\', '\\').Replace('"', '\"') + '"'
}

function Get-LyncarrTable {
    # The lines for the site file.
    param([string]$Name, [System.Collections.IDictionary]$Seen, [System.Collections.IDictionary]$Account, [string[]]$Controllers)
    $key = $Name
    if ($key -eq '') { $key = $Account['Computer'].ToLowerInvariant() }
    if (-not [regex]::IsMatch($key, '^[A-Za-z0-9_-]+$')) { $key = ConvertTo-LyncarrToml -Text $key }
    "[hosts.$key]"
    $addresses = @(Get-LyncarrAddress)
    # Likeliest first: the one address of a listener that somebody else made, the one that faces the controller, any.
    $bound = ''
    if ($Seen['Https']['Address'].StartsWith('IP:', [StringComparison]::OrdinalIgnoreCase)) { $bound = $Seen['Https']['Address'].Substring(3) }
    $likely = @(
        if ($bound -ne '') { $bound }
        foreach ($controller in $Controllers) { $facing = Get-LyncarrFacing -Controller $controller; if ($facing -ne '') { $facing } }
        $addresses
    )
    if ($likely.Count -gt 0) { "address = $(ConvertTo-LyncarrToml -Text $likely[0])" }
    if ($addresses.Count -gt 1) { "# If the controller reaches another of its addresses, write that: $([string]::Join(', ', [string[]]$addresses))" }
    "user = $(ConvertTo-LyncarrToml -Text $Account['Name'])"
    if ($Seen['Port'] -ne 5986) { "port = $($Seen['Port'])" }
    "tls = $(ConvertTo-LyncarrToml -Text ('pin:sha256:' + $Seen['Certificate']['Sha256']))"
}

function Get-LyncarrAdministrator {
    $account = Get-LyncarrAccount
    if (-not $account['Elevated']) { throw 'This needs the rights of an administrator. Open Windows PowerShell by "Run as administrator", and run it there.' }
    return $account
}

function Assert-LyncarrConsole {
    # Windows ends what came by a listener together with it, and half of the work would be done.
    param([System.Collections.IDictionary]$Account)
    if ($Account['Network']) { throw "This session came over the network, perhaps by the very listener that would go. Run this at the server's own console." }
}

function Test-LyncarrAgreed {
    param([string]$Question, [bool]$Yes)
    if ($Yes) { return $true }
    return (@('y', 'yes') -contains (Read-LyncarrAnswer -Question "$Question [y/N]").Trim())
}

function Invoke-LyncarrBootstrap {
    param([string]$Controller, [string]$Name, [int]$Port, [bool]$Allow, [bool]$Yes)
    $account = Get-LyncarrAdministrator
    if ($Port -lt 1 -or $Port -gt 65535) { throw "-Port $Port is no port; give 1 to 65535, or leave it out for 5986." }
    $controllers = @(Get-LyncarrController -Text $Controller)
    $noted = $false
    $changed = $false
    $done = $false
    # Twice where the service has to be started first.
    while (-not $done) {
        $seen = Get-LyncarrSeen -Port $Port
        if ($seen['Foreign'] -and $null -eq $seen['Certificate']) { throw "The HTTPS listener of this server has the certificate $($seen['Https']['CertificateThumbprint']), which is not among the computer's certificates, or without its key. Give the listener another, or remove it, and run this again." }
        if ($seen['Foreign'] -and $seen['Https']['Enabled'] -eq 'false') { throw "The HTTPS listener of this server (port $($seen['Port'])), which this script did not make, is switched off. Remove it, or switch it on, and run this again: Set-WSManInstance winrm/config/Listener -SelectorSet @{Address='$($seen['Https']['Address'])';Transport='HTTPS'} -ValueSet @{Enabled='true'}" }
        $changes = @(Get-LyncarrChange -Seen $seen -Controllers $controllers -Allow $Allow)
        $done = [bool]$seen['Service']['Running']
        if ($done -and -not $noted) {
            $noted = $true
            foreach ($note in @(Get-LyncarrNote -Seen $seen -Account $account -Port $Port)) { "note: $note" }
        }
        if ($changes.Count -eq 0) { continue }
        foreach ($change in $changes) { if ($change['What'] -eq 'HTTPS listener' -and $null -ne $seen['Https']) { Assert-LyncarrConsole -Account $account } }
        "On $($account['Computer']) this would change:"
        foreach ($change in $changes) { "  $($change['What']): $($change['Old']) -> $($change['New'])" }
        if (-not (Test-LyncarrAgreed -Question 'Change it?' -Yes $Yes)) { return 'Nothing more was changed.' }
        foreach ($change in $changes) { Invoke-LyncarrChange -What $change['What'] -Seen $seen -Computer $account['Computer'] -Controllers $controllers }
        $changed = $true
    }
    if ($changed) {
        $seen = Get-LyncarrSeen -Port $Port
        foreach ($change in @(Get-LyncarrChange -Seen $seen -Controllers $controllers -Allow $Allow)) { throw "$($change['What']) was set and is still $($change['Old']). Does a group policy set it?" }
    }
    if (@($seen['Https']['ListeningOn']).Count -eq 0) { throw 'The HTTPS listener is there and listens on no address. Does a policy (Allow remote server management through WinRM) forbid it, or are its IPv4 and IPv6 filters empty? Mend that, and run this again.' }
    if ($changed) {
        'Changed, and seen in place. To undo it, run this script with -Remove.'
    }
    else { 'Everything is in place; nothing was changed.' }
    "The certificate is valid until $(Get-LyncarrDay -Moment $seen['Certificate']['Until']). For the site file, carried there by a way that you trust:"
    ''
    Get-LyncarrTable -Name $Name -Seen $seen -Account $account -Controllers $controllers
}

function Invoke-LyncarrRemoval {
    param([bool]$Yes)
    $account = Get-LyncarrAdministrator
    Assert-LyncarrConsole -Account $account
    $seen = Get-LyncarrSeen -Port 0
    $listens = $null -ne $seen['Https'] -and -not $seen['Foreign']
    $kept = New-Object System.Collections.ArrayList
    foreach ($thumbprint in $seen['Made']) { if ($null -ne (Get-LyncarrCertificate -Thumbprint $thumbprint)) { [void]$kept.Add($thumbprint) } }
    if (@($seen['Made']).Count -gt 0 -and -not $seen['Service']['Running']) { throw 'The listener can be removed only while the service WinRM runs. Start it (Start-Service WinRM), and run this again.' }
    $policy = Get-LyncarrMark -Name 'TokenFilter'
    # Somebody may have set it anew since.
    if ($seen['TokenFilter'] -ne '1') { $policy = '' }
    $service = Get-LyncarrMark -Name 'Service'
    $lines = @(
        if ($null -ne $seen['Rule']) { "firewall rule: $(Get-LyncarrRuleText -Rule $seen['Rule']) -> none" }
        if ($listens) { "HTTPS listener: port $($seen['Https']['Port']) -> none" }
        foreach ($thumbprint in $kept) { "certificate for WinRM, with its key: $thumbprint -> none" }
        if ($policy -ne '') { "LocalAccountTokenFilterPolicy: 1 -> $policy" }
        if ($service -ne '') { "service WinRM: $(Get-LyncarrServiceText -Service $seen['Service']) -> $service" }
    )
    if ($lines.Count -eq 0) { return 'Nothing of this script is here; nothing was changed.' }
    "On $($account['Computer']) this would change:"
    foreach ($line in $lines) { "  $line" }
    if (-not (Test-LyncarrAgreed -Question 'Change it?' -Yes $Yes)) { return 'Nothing was changed.' }
    Remove-LyncarrRule
    if ($listens) { Remove-LyncarrListener }
    foreach ($thumbprint in $kept) { Remove-LyncarrCertificate -Thumbprint $thumbprint }
    if ($policy -eq 'not set') { Set-LyncarrRegistryValue -Key (Get-LyncarrPolicyKey) -Name 'LocalAccountTokenFilterPolicy' -Value $null }
    elseif ($policy -ne '') { Set-LyncarrRegistryValue -Key (Get-LyncarrPolicyKey) -Name 'LocalAccountTokenFilterPolicy' -Value ([int]$policy) }
    if ($service -ne '') { Set-LyncarrService -Start $service.Split(',')[0] -Running $service.EndsWith('running', [StringComparison]::Ordinal) }
    Remove-LyncarrRegistryKey -Key (Get-LyncarrKey)
    'Removed. lyncarr cannot reach this server by it any more.'
}
