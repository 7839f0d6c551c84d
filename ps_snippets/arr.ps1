# URL Rewrite, ARR and what may go with them, from their Windows Installer packages or by the Web Platform Installer. $Parameters: packages
# (by product: file, url, sha256), publisher, busy_tries and busy_wait_s for the times that another installation runs; webpi (by product:
# its id, empty where WebPI is not to be used), feed (the product list, '' for WebPI's own) and webpi_limit_s.

function Get-LyncarrProduct {
    # Version of an installed product, '' where it tells none, null where it is not there. Not by ProductCode: each build has another.
    param([string]$Name)
    switch -CaseSensitive ($Name) {
        'URL Rewrite' { $file = [System.IO.Path]::Combine((Get-LyncarrInetsrv), 'rewrite.dll') }
        'Application Request Routing' { $file = [System.IO.Path]::Combine((Get-LyncarrProgramFiles), 'IIS', $Name, 'requestRouter.dll') }
        default { return Find-LyncarrUninstall -Name "Microsoft $Name" }
    }
    $key = "SOFTWARE\Microsoft\IIS Extensions\$Name"
    $version = Get-LyncarrFileVersion -Path $file
    if ($null -eq $version -or -not (Test-LyncarrRegistryKey -Key $key)) { return $null }
    if ($version -ceq '') { $version = [string](Get-LyncarrRegistryValue -Key $key -Name 'Version') }
    return $version
}

function Get-ArrState {
    param([System.Collections.IDictionary]$Desired, [System.Collections.IDictionary]$Parameters, [System.Collections.IDictionary]$Context)
    $state = [ordered]@{}
    foreach ($name in $Desired.get_Keys()) {
        $version = Get-LyncarrProduct -Name $name
        if ($null -ne $version) {
            $state[$name] = @{ installed = $true }
            Add-LyncarrNote -Kind 'version' -Text ("$name $version".Trim())
        }
        else {
            $source = Get-LyncarrSource -Name $name -Parameters $Parameters
            Add-LyncarrNote -Kind $source['Note'] -Text $source['Text']
        }
    }
    $files = @(Get-LyncarrPendingRename)
    if ($state.get_Count() -lt $Desired.get_Count() -and $files.Count -gt 0) {
        # Drivers of printers and scanners have some replaced at each start: to wait for an empty list would be to wait for ever.
        Add-LyncarrNote -Kind 'pending-reboot' -Text "Windows replaces or deletes files at its next start, $($files[0]) first; only those of IIS stand in the way of an installation"
    }
    if (@($Context['Steps']) -cnotcontains 'iis' -and (Get-LyncarrService -Name 'W3SVC') -ceq 'absent') { Add-LyncarrNote -Kind 'needs' -Text 'needs step iis: this host has no IIS' }
    return $state
}

function Get-LyncarrSource {
    # Where a missing product comes from. Note is the kind of the note about it, 'needs' where it can come from nowhere; Webpi the program
    # that installs it, '' where a package does.
    param([string]$Name, [System.Collections.IDictionary]$Parameters)
    $key = "installers.$($Parameters['keys'][$Name])"
    if ($Parameters['packages'].Contains($Name)) { return @{ Note = 'installer'; Webpi = ''; Text = "$Name comes from its package ($key)" } }
    $program = ''
    $feed = $Parameters['feed']
    $needs = ''
    if (-not $Parameters['webpi'].Contains($Name)) { $needs = "an installer: set $key in the site file" }
    else {
        $program = Find-LyncarrWebpi
        if ($program -ceq '') { $needs = "WebpiCmd, and this host has none: install the Web Platform Installer on it, or set $key to the package, with source = ""auto""" }
        elseif ($feed -cnotmatch '^$|://' -and $null -eq (Get-LyncarrFileVersion -Path $feed)) { $needs = "the product list ${feed}, which is not on this host: put it there, or mend installers.feed" }
    }
    if ($needs -cne '') { return @{ Note = 'needs'; Webpi = ''; Text = "$Name needs $needs" } }
    if ($feed -ceq '') { $feed = 'Microsoft''s product list; it was retired in 2022, so expect this to fail, and name a list of your own in installers.feed' }
    return @{ Note = 'installer'; Webpi = $program; Text = "$Name comes by WebPI, which takes $($Parameters['webpi'][$Name]), and accepts its licence terms, from $feed" }
}

#:write

function Get-LyncarrSignerName {
    # CN of an X.500 subject, else O; '' where the text is no subject from end to end or holds one of them twice. A quoted value may hold
    # a whole 'CN=...' of its own: hence no looking for a part of the text.
    param([string]$Subject)
    $names = @{}
    $end = 0
    foreach ($match in [regex]::Matches($Subject, '\G([A-Za-z0-9.]+)=(?:"((?:[^"]|"")*)"|([^",+]*))(?:, | \+ |\z)')) {
        $end = $match.get_Index() + $match.get_Length()
        $name = $match.Groups[1].Value
        if (@('CN', 'O') -ccontains $name) {
            if ($names.Contains($name)) { return '' }
            $names[$name] = ($match.Groups[2].Value + $match.Groups[3].Value).Replace('""', '"')
        }
    }
    if ($end -ne ([string]$Subject).Length) { return '' }
    if ($names.Contains('CN')) { return $names['CN'] }
    return [string]$names['O']
}

function Compare-LyncarrPackage {
    # Ends the request unless the package is, bit for bit and by its signature, the one that the site file means.
    param([string]$Name, [string]$Hash, [string]$Path, [System.Collections.IDictionary]$Package, [string]$Publisher)
    $signature = Get-LyncarrSignature -Path $Path
    $signer = Get-LyncarrSignerName -Subject $signature['Subject']
    $wrong = ''
    if ($Hash -cne $Package['sha256']) { $wrong = "has SHA-256 $Hash and not $($Package['sha256'])" }
    elseif ($signature['Status'] -cne 'Valid') { $wrong = "has a signature that Windows calls $($signature['Status'])" }
    elseif ($signer -cne $Publisher) { $wrong = "is signed by '$signer' and not by '$Publisher' (installers.publisher)" }
    if ($wrong -cne '') { Stop-Lyncarr -Kind 'installer' -Text "the package of $Name on the host $wrong, so nothing of it was run: get it from its publisher again" }
}

function Invoke-LyncarrInstaller {
    # Runs an installer to its end, or ends it after $LimitS seconds (0: never); its exit code goes into $Context, null where it was ended.
    # Emits live events: a statement, never assigned.
    param([string]$Name, [string]$Program, [string]$Arguments, [System.Diagnostics.Stopwatch]$Watch, [int]$LimitS, [System.Collections.IDictionary]$Context)
    $Context['ExitCode'] = $null
    $process = Start-LyncarrProgram -Name $Program -Arguments $Arguments -Read $false
    try {
        do {
            if ($LimitS -gt 0 -and $Watch.Elapsed.TotalSeconds -ge $LimitS) {
                [void]$process.Kill()
                return
            }
            Add-LyncarrProgress -Text "installing $Name, $([int]$Watch.Elapsed.TotalSeconds) s"
            Send-LyncarrEvent
        } until ($process.WaitForExit(3000))
        $Context['ExitCode'] = [int]$process.get_ExitCode()
    }
    finally { $process.Close() }
}

function Install-LyncarrPackage {
    # Emits live events: a statement, never assigned. Ends the request unless the product is seen to be there or a restart is due.
    # https://learn.microsoft.com/windows/win32/msi/error-codes: 1618 another installation runs, 3010 and 1641 restart needed
    param([string]$Name, [System.Collections.IDictionary]$Parameters, [System.Collections.IDictionary]$Context)
    $package = $Parameters['packages'][$Name]
    $path = Get-LyncarrPackagePath -Run $Context['Run'] -Name $package['file']
    $log = [System.IO.Path]::Combine((Get-LyncarrData), "$($package['file']).log")
    if ($package.Contains('url')) {
        Add-LyncarrProgress -Text "downloading $Name"
        Send-LyncarrEvent
        Receive-LyncarrFile -Url $package['url'] -Path $path
    }
    $watch = [System.Diagnostics.Stopwatch]::StartNew()
    $held = Open-LyncarrPackage -Path $path
    try {
        Compare-LyncarrPackage -Name $Name -Hash (Get-LyncarrHash -Stream $held) -Path $path -Package $package -Publisher $Parameters['publisher']
        for ($try = 1; $try -le [int]$Parameters['busy_tries']; $try++) {
            if ($try -gt 1) { [System.Threading.Thread]::Sleep(1000 * [int]$Parameters['busy_wait_s']) }
            Invoke-LyncarrInstaller -Name $Name -Program 'msiexec.exe' -Arguments ('/i "' + $path + '" /qn /norestart /l*v "' + $log + '"') -Watch $watch -LimitS 0 -Context $Context
            if ($Context['ExitCode'] -ne 1618) { break }
        }
    }
    finally { $held.Close() }
    $code = $Context['ExitCode']
    if (@(3010, 1641) -contains $code) { $Context['Reboot'] = $true; return }
    if ($code -eq 0 -and $null -ne (Get-LyncarrProduct -Name $Name)) { return }
    $why = 'yet its file or its registry key is missing'
    if ($code -ne 0) { $why = Get-LyncarrErrorText -Code $code }
    Stop-Lyncarr -Kind 'installer' -Text ("msiexec ended with $code for ${Name}: $why Read $log on the host. $(Read-LyncarrInstallerLog -Log $log)".TrimEnd())
}

function Install-LyncarrByWebpi {
    # As Install-LyncarrPackage. WebpiCmd's exit codes are nowhere documented and its messages are translated: whether the product is there
    # decides, and whether Windows waits for a restart that it did not wait for before.
    # https://learn.microsoft.com/iis/install/web-platform-installer/web-platform-installer-v4-command-line-webpicmdexe-rtw-release
    param([string]$Name, [string]$Program, [System.Collections.IDictionary]$Parameters, [System.Collections.IDictionary]$Context)
    $log = [System.IO.Path]::Combine((Get-LyncarrData), "webpi_$($Parameters['keys'][$Name]).log")
    $feed = $Parameters['feed']
    $arguments = '/Install /Products:' + $Parameters['webpi'][$Name] + ' /AcceptEula /SuppressReboot /Log:"' + $log + '"'
    if ($feed -cne '') { $arguments = $arguments + ' /XML:"' + $feed + '"' }
    $limit = [int]$Parameters['webpi_limit_s']
    Invoke-LyncarrInstaller -Name $Name -Program $Program -Arguments $arguments -Watch ([System.Diagnostics.Stopwatch]::StartNew()) -LimitS $limit -Context $Context
    $code = $Context['ExitCode']
    $ended = "WebpiCmd ended with $code for ${Name}, and its file or its registry key is missing"
    if ($null -eq $code) { $ended = "WebpiCmd was ended after $limit s of installing ${Name}, and what it had started may still run" }
    elseif (@(3010, 1641) -contains $code -or (Test-LyncarrPendingReboot)) { $Context['Reboot'] = $true; return }
    elseif ($null -ne (Get-LyncarrProduct -Name $Name)) { return }
    if ($feed -ceq '') { $move = 'Microsoft retired the product list that it asked, so name one of your own in installers.feed' }
    else { $move = "see whether the host reaches $feed and the files that it names, and whether it lists $($Parameters['webpi'][$Name])" }
    Stop-Lyncarr -Kind 'installer' -Text ("${ended}: $move, or set installers.$($Parameters['keys'][$Name]) to the package, with source = ""auto"". Read $log on the host. $(Read-LyncarrInstallerLog -Log $log)".TrimEnd())
}

function Set-ArrState {
    param([System.Collections.IDictionary]$Desired, [System.Collections.IDictionary]$Parameters, [System.Collections.IDictionary]$Context, [System.Collections.IDictionary]$Secrets)
    try {
        Stop-LyncarrWithoutIis
        $due = @(foreach ($name in $Desired.get_Keys()) { if ($null -eq (Get-LyncarrProduct -Name $name)) { $name } })
        $sources = @{}
        foreach ($name in $due) {
            $sources[$name] = Get-LyncarrSource -Name $name -Parameters $Parameters
            if ($sources[$name]['Note'] -ceq 'needs') { Stop-Lyncarr -Kind 'needs' -Text $sources[$name]['Text'] }
        }
        # Part of Windows since 2016, an update before. https://support.microsoft.com/kb/2999226
        if ($null -eq (Get-LyncarrFileVersion -Path ([System.IO.Path]::Combine((Get-LyncarrInetsrv), '..', 'ucrtbase.dll')))) { Stop-Lyncarr -Kind 'installer' -Text 'this host lacks the Universal C Runtime, without which the packages fail: install the update KB2999226' }
        Save-LyncarrBackup -Name ('lyncarr-' + [string]$Context['Run'])
        foreach ($name in $due) {
            if ($Context['Reboot']) { break }
            if ($sources[$name]['Webpi'] -ceq '') { Install-LyncarrPackage -Name $name -Parameters $Parameters -Context $Context }
            else { Install-LyncarrByWebpi -Name $name -Program $sources[$name]['Webpi'] -Parameters $Parameters -Context $Context }
        }
    }
    finally { Remove-LyncarrUpload }
}
