# The HTTPS binding of the web site, its certificate in HTTP.sys, and the web site itself. $Parameters: site, binding ('*:443:'), port and
# endpoint ('0.0.0.0:443', as HTTP.sys writes it).

function Get-LyncarrBinding {
    # The https bindings of a web site on a port, as plain tables. Element is the binding itself; Name its text, with * for no address. Emits items.
    # Bit 0 of sslFlags is SNI, bit 1 the central certificate store, which has no record in HTTP.sys. The other bits stay as they are.
    param([Microsoft.Web.Administration.Site]$Site, [int]$Port)
    foreach ($binding in $Site.get_Bindings()) {
        $text = [string]$binding.get_BindingInformation()
        $parts = [regex]::Match($text, '^(.*):([0-9]+):([^:]*)$')
        if ($binding.get_Protocol() -ine 'https' -or $parts.Groups[2].Value -cne [string]$Port) { continue }
        $address = $parts.Groups[1].Value
        $name = $text
        if ($address -ceq '') {
            $address = '*'
            $name = "*$text"
        }
        $flags = [int]$binding.GetAttributeValue('sslFlags')
        if (($flags -band 1) -ne 0) { $address = $parts.Groups[3].Value }
        elseif ($address -ceq '*') { $address = '0.0.0.0' }
        $table = @{ Element = $binding; Text = $text; Name = $name; Flags = $flags; Endpoint = "${address}:$Port"; Thumbprint = ''; Store = '' }
        if (($flags -band 2) -ne 0) { $table['Store'] = 'the central certificate store' }
        else {
            $hash = $binding.get_CertificateHash()
            if ($null -ne $hash) {
                $table['Thumbprint'] = [System.BitConverter]::ToString([byte[]]$hash).Replace('-', '')
                $table['Store'] = ([string]$binding.get_CertificateStoreName()).ToUpperInvariant()
            }
        }
        $table
    }
}

function Find-LyncarrBinding {
    param([Microsoft.Web.Administration.Site]$Site, [Collections.IDictionary]$Parameters)
    foreach ($binding in @(Get-LyncarrBinding -Site $Site -Port $Parameters['port'])) {
        if ($binding['Name'] -ieq $Parameters['binding']) { return $binding }
    }
    return $null
}

function Get-LyncarrMissingSiteText {
    param([Collections.IDictionary]$Context, [string]$Name)
    $names = @(foreach ($site in $Context['Manager'].get_Sites()) { "'" + $site.get_Name() + "'" })
    return "the web site '$Name' does not exist on this host, which has $([string]::Join(', ', [string[]]$names))"
}

function Add-LyncarrForeignBindingNote {
    # Reports what else serves the port: bindings of other web sites, bindings of this web site with another certificate, and records of
    # HTTP.sys that IIS does not know. HTTP.sys prefers an exact address and an SNI name to 0.0.0.0.
    param([Collections.IDictionary]$Desired, [Collections.IDictionary]$Parameters, [Collections.IDictionary]$Context)
    $known = New-Object System.Collections.ArrayList
    $port = [string]$Parameters['port']
    foreach ($site in $Context['Manager'].get_Sites()) {
        foreach ($binding in @(Get-LyncarrBinding -Site $site -Port $port)) {
            [void]$known.Add($binding['Endpoint'])
            if ($site.get_Name() -ine $Parameters['site']) { Add-LyncarrNote -Kind 'other-site' -Item ([string]$site.get_Name()) -Text "the web site '$($site.get_Name())' also has an https binding on port $port ($($binding['Text'])): its requests do not reach '$($Parameters['site'])'" }
            elseif ($binding['Name'] -ine $Parameters['binding'] -and $binding['Thumbprint'] -cne [string]$Desired[$Parameters['binding']]['certificate']) {
                Add-LyncarrNote -Kind 'other-record' -Item $binding['Text'] -Text "the web site '$($Parameters['site'])' has another https binding on port $port ($($binding['Text'])) with another certificate ($($binding['Thumbprint'])), which clients see first: remove the binding if nothing needs it"
            }
        }
    }
    foreach ($record in @(Get-LyncarrSslRecord)) {
        $endpoint = [string]$record['Endpoint']
        if (-not $endpoint.EndsWith(":$port", [StringComparison]::Ordinal) -or $known.ToArray() -icontains $endpoint) { continue }
        if ($record['Thumbprint'] -ceq [string]$Desired[$Parameters['binding']]['certificate']) { continue }
        $effect = 'clients see its certificate there; remove the record with netsh http delete sslcert if nothing needs it'
        if ($endpoint -ceq $Parameters['endpoint']) { $effect = 'the binding of this step replaces it' }
        Add-LyncarrNote -Kind 'other-record' -Item $endpoint -Text "HTTP.sys has a record for $endpoint with certificate $($record['Thumbprint']) that IIS does not know: $effect"
    }
}

function Get-HttpsBindingState {
    param([Collections.IDictionary]$Desired, [Collections.IDictionary]$Parameters, [Collections.IDictionary]$Context)
    $state = [ordered]@{}
    if ($Desired.get_Count() -eq 0) { return $state }
    if ($null -eq (Get-LyncarrConfiguration -Context $Context)) {
        Add-LyncarrMissingStepNote -Context $Context -Step 'iis' -Reason 'IIS is not installed on this host'
        return $state
    }
    Add-LyncarrForeignBindingNote -Desired $Desired -Parameters $Parameters -Context $Context
    $site = Find-LyncarrSite -Context $Context -Name $Parameters['site']
    if ($null -eq $site) {
        Add-LyncarrNote -Kind 'needs' -Item $Parameters['site'] -Text "$(Get-LyncarrMissingSiteText -Context $Context -Name $Parameters['site']): set website.name in the configuration file"
        return $state
    }
    $started = [bool](Test-LyncarrSiteStarted -Site $site)
    if (-not $started -and (Get-LyncarrService -Name 'W3SVC') -cne 'running') { Add-LyncarrMissingStepNote -Context $Context -Step 'iis' -Reason 'the service W3SVC is not running' }
    $state[$Parameters['site']] = @{ started = $started; autostart = [bool]$site.GetAttributeValue('serverAutoStart') }
    $binding = Find-LyncarrBinding -Site $site -Parameters $Parameters
    if ($null -ne $binding) { $state[$Parameters['binding']] = @{ sni = (($binding['Flags'] -band 1) -ne 0); certificate = $binding['Thumbprint']; store = $binding['Store'] } }
    return $state
}

#:write

function Set-HttpsBindingState {
    param([Collections.IDictionary]$Desired, [Collections.IDictionary]$Parameters, [Collections.IDictionary]$Context, [Collections.IDictionary]$Secrets)
    if ($null -eq (Get-LyncarrConfiguration -Context $Context)) { Stop-LyncarrMissingStep -Step 'iis' -Reason 'IIS is not installed on this host' }
    $site = Find-LyncarrSite -Context $Context -Name $Parameters['site']
    if ($null -eq $site) { Stop-Lyncarr -Kind 'binding' -Text (Get-LyncarrMissingSiteText -Context $Context -Name $Parameters['site']) -Hint 'Set website.name in the configuration file.' }
    $attributes = $Desired[$Parameters['binding']]
    $key = Get-LyncarrKeyState -Thumbprint $attributes['certificate']
    if ($null -eq $key -or -not $key['private_key']) { Stop-LyncarrMissingStep -Step 'certificate' -Reason "$($attributes['certificate']) is not in LocalMachine\My with a private key" }
    $hash = New-Object byte[] 20
    for ($index = 0; $index -lt 20; $index++) { $hash[$index] = [Convert]::ToByte(([string]$attributes['certificate']).Substring(2 * $index, 2), 16) }
    $binding = Find-LyncarrBinding -Site $site -Parameters $Parameters
    if ($null -eq $binding) {
        [void]$site.get_Bindings().Add([string]$Parameters['binding'], [byte[]]$hash, 'MY')
        $Context['Writes'] = [int]$Context['Writes'] + 1
    }
    else {
        if (($binding['Flags'] -band 3) -ne 0) { Set-LyncarrAttribute -Element $binding['Element'] -Name 'sslFlags' -Value ($binding['Flags'] -band -bnot 3) -Context $Context }
        if ($binding['Thumbprint'] -cne $attributes['certificate'] -or $binding['Store'] -cne 'MY') {
            # A web site with the same address in both spellings does not start, so this binding gets the spelling of IIS Manager.
            if ($binding['Text'] -ine $Parameters['binding']) { Set-LyncarrAttribute -Element $binding['Element'] -Name 'bindingInformation' -Value ([string]$Parameters['binding']) -Context $Context }
            [void]$binding['Element'].set_CertificateHash([byte[]]$hash)
            [void]$binding['Element'].set_CertificateStoreName('MY')
            $Context['Writes'] = [int]$Context['Writes'] + 1
        }
    }
    # The service starts the web site when it starts itself, so also after a restart of Windows.
    if (-not [bool]$site.GetAttributeValue('serverAutoStart')) { Set-LyncarrAttribute -Element $site -Name 'serverAutoStart' -Value $true -Context $Context }
    if (-not (Test-LyncarrSiteStarted -Site $site)) {
        # A web site cannot start without this service.
        if ((Get-LyncarrService -Name 'W3SVC') -cne 'running') { Stop-LyncarrMissingStep -Step 'iis' -Reason 'the service W3SVC is not running' }
        $Context['StartSite'] = [string]$Parameters['site']
    }
}
