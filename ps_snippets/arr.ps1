# URL Rewrite, ARR and what may go with them, from their Windows Installer packages. $Parameters: packages (by product: file, url, sha256),
# publisher, busy_tries and busy_wait_s for the times that another installation runs.

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
        elseif (-not $Parameters['packages'].Contains($name)) { Add-LyncarrNote -Kind 'needs' -Text (Get-LyncarrNoPackageText -Name $name -Parameters $Parameters) }
    }
    if (@($Context['Steps']) -cnotcontains 'iis' -and (Get-LyncarrService -Name 'W3SVC') -ceq 'absent') { Add-LyncarrNote -Kind 'needs' -Text 'needs step iis: this host has no IIS' }
    return $state
}

function Get-LyncarrNoPackageText {
    param([string]$Name, [System.Collections.IDictionary]$Parameters)
    return "$Name needs an installer: set installers.$($Parameters['keys'][$Name]) in the site file"
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
        $code = 1618
        for ($try = 1; $code -eq 1618 -and $try -le [int]$Parameters['busy_tries']; $try++) {
            if ($try -gt 1) { [System.Threading.Thread]::Sleep(1000 * [int]$Parameters['busy_wait_s']) }
            $process = Start-LyncarrProgram -Name 'msiexec.exe' -Arguments ('/i "' + $path + '" /qn /norestart /l*v "' + $log + '"') -Read $false
            try {
                do {
                    Add-LyncarrProgress -Text "installing $Name, $([int]$watch.Elapsed.TotalSeconds) s"
                    Send-LyncarrEvent
                } until ($process.WaitForExit(3000))
                $code = [int]$process.get_ExitCode()
            }
            finally { $process.Close() }
        }
    }
    finally { $held.Close() }
    if (@(3010, 1641) -contains $code) { $Context['Reboot'] = $true; return }
    if ($code -eq 0 -and $null -ne (Get-LyncarrProduct -Name $Name)) { return }
    $why = 'yet its file or its registry key is missing'
    if ($code -ne 0) { $why = Get-LyncarrErrorText -Code $code }
    Stop-Lyncarr -Kind 'installer' -Text ("msiexec ended with $code for ${Name}: $why Read $log on the host. $(Read-LyncarrInstallerLog -Log $log)".TrimEnd())
}

function Set-ArrState {
    param([System.Collections.IDictionary]$Desired, [System.Collections.IDictionary]$Parameters, [System.Collections.IDictionary]$Context, [System.Collections.IDictionary]$Secrets)
    try {
        Stop-LyncarrWithoutIis
        $due = @(foreach ($name in $Desired.get_Keys()) { if ($null -eq (Get-LyncarrProduct -Name $name)) { $name } })
        foreach ($name in $due) {
            if (-not $Parameters['packages'].Contains($name)) { Stop-Lyncarr -Kind 'needs' -Text (Get-LyncarrNoPackageText -Name $name -Parameters $Parameters) }
        }
        # Part of Windows since 2016, an update before. https://support.microsoft.com/kb/2999226
        if ($null -eq (Get-LyncarrFileVersion -Path ([System.IO.Path]::Combine((Get-LyncarrInetsrv), '..', 'ucrtbase.dll')))) { Stop-Lyncarr -Kind 'installer' -Text 'this host lacks the Universal C Runtime, without which the packages fail: install the update KB2999226' }
        Save-LyncarrBackup -Name ('lyncarr-' + [string]$Context['Run'])
        foreach ($name in $due) { if (-not $Context['Reboot']) { Install-LyncarrPackage -Name $name -Parameters $Parameters -Context $Context } }
    }
    finally { Remove-LyncarrUpload }
}
