# URL Rewrite, ARR and their optional products, from Windows Installer packages or by the Web Platform Installer (WebPI). $Parameters: packages
# (product -> file, url, sha256), webpi (product -> its id, empty where WebPI must not be used), feed (the product list, '' for Microsoft's),
# keys (product -> key of the configuration file); for the setter see there.

function Get-LyncarrProductVersion {
    # The version of an installed product, '' where it has none, null where the product is not installed. ProductCode differs between builds.
    param([string]$Name)
    switch -CaseSensitive ($Name) {
        'URL Rewrite' { $file = [System.IO.Path]::Combine((Get-LyncarrInetsrv), 'rewrite.dll') }
        'Application Request Routing' { $file = [System.IO.Path]::Combine((Get-LyncarrProgramFiles), 'IIS', $Name, 'requestRouter.dll') }
        default { return Find-LyncarrInstalledProgram -Name "Microsoft $Name" }
    }
    $key = "SOFTWARE\Microsoft\IIS Extensions\$Name"
    $version = Get-LyncarrFileVersion -Path $file
    if ($null -eq $version -or -not (Test-LyncarrRegistryKey -Key $key)) { return $null }
    if ($version -ceq '') { $version = [string](Get-LyncarrRegistryValue -Key $key -Name 'Version') }
    return $version
}

function Get-ArrState {
    param([Collections.IDictionary]$Desired, [Collections.IDictionary]$Parameters, [Collections.IDictionary]$Context)
    $state = [ordered]@{}
    foreach ($name in $Desired.get_Keys()) {
        $version = Get-LyncarrProductVersion -Name $name
        if ($null -ne $version) {
            $state[$name] = @{ installed = $true }
            Add-LyncarrNote -Kind 'version' -Item $name -Text ("$name $version".Trim())
        }
        else {
            $source = Get-LyncarrProductSource -Name $name -Parameters $Parameters
            if ($source['Needs'] -cne '') { Add-LyncarrNote -Kind 'needs' -Item $name -Text "$($source['Needs']): $($source['Action'])" }
            else { Add-LyncarrNote -Kind 'installer' -Item $name -Text $source['Text'] }
        }
    }
    $files = @(Get-LyncarrPendingRename)
    if ($state.get_Count() -lt $Desired.get_Count() -and $files.Count -gt 0) {
        # Printer and scanner drivers replace files at every start, so the list may never become empty.
        Add-LyncarrNote -Kind 'pending-reboot' -Text "Windows replaces or deletes files at its next start, the first is $($files[0]); only files of IIS would block an installation"
    }
    if ((Get-LyncarrService -Name 'W3SVC') -ceq 'absent') { Add-LyncarrMissingStepNote -Context $Context -Step 'iis' -Reason 'IIS is not installed on this host' }
    return $state
}

function Get-LyncarrProductSource {
    # The source of a missing product. Needs: what is missing on the host or in the configuration file, '' where nothing is; Action: what to
    # do then. Webpi: the program that installs the product, '' where a package does. Text: the source, for people.
    param([string]$Name, [Collections.IDictionary]$Parameters)
    $key = "installers.$($Parameters['keys'][$Name])"
    if ($Parameters['packages'].Contains($Name)) { return @{ Needs = ''; Webpi = ''; Text = "$Name will be installed from its package ($key)" } }
    $program = ''
    $feed = $Parameters['feed']
    $needs = ''
    $action = ''
    if (-not $Parameters['webpi'].Contains($Name)) {
        $needs = "$Name needs an installer"
        $action = "set $key in the configuration file"
    }
    else {
        $program = Find-LyncarrWebpi
        if ($program -ceq '') {
            $needs = "$Name needs WebpiCmd, which is not installed on this host"
            $action = "install the Web Platform Installer on the host, or set $key to the package, with source = ""auto"""
        }
        elseif ($feed -cnotmatch '^$|://' -and $null -eq (Get-LyncarrFileVersion -Path $feed)) {
            $needs = "$Name needs the product list $feed, which is not on this host"
            $action = 'copy the file to the host, or correct installers.feed in the configuration file'
        }
    }
    if ($needs -cne '') { return @{ Needs = $needs; Action = $action } }
    $retired = ''
    if ($feed -ceq '') {
        $feed = 'Microsoft''s product list'
        $retired = '. Microsoft retired that list in 2022, so set installers.feed to a list of your own'
    }
    return @{ Needs = ''; Webpi = $program; Text = "$Name will be installed by WebPI as $($Parameters['webpi'][$Name]) from $feed; WebPI accepts its licence terms$retired" }
}

#:write

# More $Parameters: publisher; busy_tries and busy_wait_s, for when another installation runs; webpi_limit_s.

function Get-LyncarrSignerName {
    # CN of an X.500 subject, else O; '' where the text is not a valid subject or holds one of them twice. A quoted value can contain
    # 'CN=...' too, so the whole text is parsed.
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

function Assert-LyncarrPackage {
    # Ends the request unless hash, signature and signer of the package are those of the configuration file.
    param([string]$Name, [string]$Hash, [string]$Path, [Collections.IDictionary]$Package, [string]$Publisher)
    $signature = Get-LyncarrSignature -Path $Path
    $signer = Get-LyncarrSignerName -Subject $signature['Subject']
    $problem = ''
    if ($Hash -cne $Package['sha256']) { $problem = "has SHA-256 $Hash, not $($Package['sha256'])" }
    elseif ($signature['Status'] -cne 'Valid') { $problem = "has a signature with the status $($signature['Status']), not Valid" }
    elseif ($signer -cne $Publisher) { $problem = "is signed by '$signer', not by '$Publisher' (installers.publisher)" }
    if ($problem -cne '') { Stop-Lyncarr -Kind 'installer' -Text "the package of $Name on the host $problem; it was not run" -Hint 'Download the package from its publisher again, then run the command again.' }
}

function Invoke-LyncarrInstaller {
    # Runs an installer, and stops it after $LimitS seconds (0: never). Its exit code goes into $Context, null where it was stopped.
    # Emits live events: call it as a statement, never assign it.
    param([string]$Name, [string]$Program, [string]$Arguments, [System.Diagnostics.Stopwatch]$Watch, [int]$LimitS, [Collections.IDictionary]$Context)
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

function Get-LyncarrLogQuote {
    # The cause of a failure from the log of an installer, as an addition to a text; '' where the log has none.
    param([string]$Log)
    $quote = Read-LyncarrInstallerLog -Log $Log
    if ($quote -ceq '') { return '' }
    return ". Its log says: $quote"
}

function Install-LyncarrPackage {
    # Ends the request unless the product is installed afterwards or a restart is due.
    # Emits live events: call it as a statement, never assign it.
    # https://learn.microsoft.com/windows/win32/msi/error-codes: 1618 another installation runs, 3010 and 1641 restart needed
    param([string]$Name, [Collections.IDictionary]$Parameters, [Collections.IDictionary]$Context)
    $package = $Parameters['packages'][$Name]
    $path = Get-LyncarrPackagePath -Run $Context['Run'] -Name $package['file']
    $log = [System.IO.Path]::Combine((Get-LyncarrFolder), "$($package['file']).log")
    if ($package.Contains('url')) {
        Add-LyncarrProgress -Text "downloading $Name"
        Send-LyncarrEvent
        Receive-LyncarrFile -Url $package['url'] -Path $path -Key "installers.$($Parameters['keys'][$Name])"
    }
    $watch = [System.Diagnostics.Stopwatch]::StartNew()
    $held = Open-LyncarrPackage -Path $path
    try {
        Assert-LyncarrPackage -Name $Name -Hash (Get-LyncarrHash -Stream $held) -Path $path -Package $package -Publisher $Parameters['publisher']
        for ($try = 1; $try -le [int]$Parameters['busy_tries']; $try++) {
            if ($try -gt 1) { [System.Threading.Thread]::Sleep(1000 * [int]$Parameters['busy_wait_s']) }
            Invoke-LyncarrInstaller -Name $Name -Program 'msiexec.exe' -Arguments ('/i "' + $path + '" /qn /norestart /l*v "' + $log + '"') -Watch $watch -LimitS 0 -Context $Context
            if ($Context['ExitCode'] -ne 1618) { break }
        }
    }
    finally { $held.Close() }
    $code = $Context['ExitCode']
    if (@(3010, 1641) -contains $code) { $Context['RestartWindows'] = $true; return }
    if ($code -eq 0 -and $null -ne (Get-LyncarrProductVersion -Name $Name)) { return }
    $cause = 'its file or its registry key is missing'
    if ($code -ne 0) { $cause = (Get-LyncarrErrorText -Code $code).TrimEnd('.') }
    Stop-Lyncarr -Kind 'installer' -Text "msiexec ended with exit code $code for ${Name}: $cause$(Get-LyncarrLogQuote -Log $log)" -Hint "Read $log on the host."
}

function Install-LyncarrByWebpi {
    # As Install-LyncarrPackage. The exit codes of WebpiCmd are not documented and its messages are translated. So the result is judged by
    # whether the product is installed, and whether Windows must restart now and did not before.
    # https://learn.microsoft.com/iis/install/web-platform-installer/web-platform-installer-v4-command-line-webpicmdexe-rtw-release
    param([string]$Name, [string]$Program, [Collections.IDictionary]$Parameters, [Collections.IDictionary]$Context)
    $log = [System.IO.Path]::Combine((Get-LyncarrFolder), "webpi_$($Parameters['keys'][$Name]).log")
    $feed = $Parameters['feed']
    $arguments = '/Install /Products:' + $Parameters['webpi'][$Name] + ' /AcceptEula /SuppressReboot /Log:"' + $log + '"'
    if ($feed -cne '') { $arguments = $arguments + ' /XML:"' + $feed + '"' }
    $limit = [int]$Parameters['webpi_limit_s']
    Invoke-LyncarrInstaller -Name $Name -Program $Program -Arguments $arguments -Watch ([System.Diagnostics.Stopwatch]::StartNew()) -LimitS $limit -Context $Context
    $code = $Context['ExitCode']
    $ended = "WebpiCmd ended with exit code $code for ${Name}: its file or its registry key is missing"
    if ($null -eq $code) { $ended = "WebpiCmd was stopped after $limit s while it installed ${Name}; programs that it started may still run" }
    elseif (@(3010, 1641) -contains $code -or (Test-LyncarrPendingReboot)) { $Context['RestartWindows'] = $true; return }
    elseif ($null -ne (Get-LyncarrProductVersion -Name $Name)) { return }
    if ($feed -ceq '') { $hint = 'Microsoft retired its product list, so set installers.feed to a list of your own' }
    else { $hint = "Check that the host reaches $feed and the files that it names, and that it lists $($Parameters['webpi'][$Name])" }
    $hint = "$hint, or set installers.$($Parameters['keys'][$Name]) to the package, with source = ""auto"". Read $log on the host."
    Stop-Lyncarr -Kind 'installer' -Text "$ended$(Get-LyncarrLogQuote -Log $log)" -Hint $hint
}

function Set-ArrState {
    param([Collections.IDictionary]$Desired, [Collections.IDictionary]$Parameters, [Collections.IDictionary]$Context, [Collections.IDictionary]$Secrets)
    try {
        Assert-LyncarrIis
        $due = @(foreach ($name in $Desired.get_Keys()) { if ($null -eq (Get-LyncarrProductVersion -Name $name)) { $name } })
        $sources = @{}
        foreach ($name in $due) {
            $sources[$name] = Get-LyncarrProductSource -Name $name -Parameters $Parameters
            if ($sources[$name]['Needs'] -cne '') {
                Stop-Lyncarr -Kind 'needs' -Text $sources[$name]['Needs'] -Hint "To continue, $($sources[$name]['Action'])."
            }
        }
        # Part of Windows since 2016, an update for older versions. https://support.microsoft.com/kb/2999226
        if ($null -eq (Get-LyncarrFileVersion -Path ([System.IO.Path]::Combine((Get-LyncarrInetsrv), '..', 'ucrtbase.dll')))) { Stop-Lyncarr -Kind 'installer' -Text 'this host has no Universal C Runtime, which the packages require' -Hint 'Install the update KB2999226 on the host, then run the command again.' }
        Save-LyncarrBackup -Name ('lyncarr-' + [string]$Context['Run'])
        foreach ($name in $due) {
            if ($Context['RestartWindows']) { break }
            if ($sources[$name]['Webpi'] -ceq '') { Install-LyncarrPackage -Name $name -Parameters $Parameters -Context $Context }
            else { Install-LyncarrByWebpi -Name $name -Program $sources[$name]['Webpi'] -Parameters $Parameters -Context $Context }
        }
    }
    finally { Remove-LyncarrUpload }
}
