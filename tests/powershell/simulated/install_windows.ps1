# What the steps before the farms need of Windows, as files below the machine's folder of program data: features.txt ("State Name"),
# role.txt (how Install-WindowsFeature ends), W3SVC.txt (running or stopped), registry.txt (keys, or "key|name|value"), uninstall.txt
# ("name|version"), signature.txt ("Status|subject"), stores/<store>/<thumbprint>.cer, with .key beside it where the private key opens,
# import.txt (how the import of a PFX fails), and programs as shell scripts, msiexec.exe.sh and netsh.exe.sh, which write exit codes that
# are too large for them into code.txt.

function Get-TestPath {
    param([string]$Name)
    return [System.IO.Path]::Combine($env:LYNCARR_TEST_PROGRAMDATA, $Name)
}

function Read-TestLine {
    param([string]$Name)
    if ([System.IO.File]::Exists((Get-TestPath $Name))) { [System.IO.File]::ReadAllLines((Get-TestPath $Name)) }
}

function Get-LyncarrRegistryValue {
    param([string]$Key, [string]$Name)
    foreach ($line in @(Read-TestLine 'registry.txt')) { if ($line.StartsWith("$Key|$Name|", [StringComparison]::Ordinal)) { return $line.Split([char[]]'|')[2] } }
    return $null
}

function Test-LyncarrRegistryKey {
    param([string]$Key)
    if ($Key -ceq 'SYSTEM\CurrentControlSet\Services\W3SVC') { return [System.IO.File]::Exists((Get-TestPath 'W3SVC.txt')) }
    return (@(foreach ($line in @(Read-TestLine 'registry.txt')) { $line.Split([char[]]'|')[0] }) -ccontains $Key)
}

function Get-WindowsFeature {
    foreach ($line in @(Read-TestLine 'features.txt')) { [pscustomobject]@{ InstallState = $line.Split([char[]]' ')[0]; Name = $line.Split([char[]]' ')[1] } }
}

function Install-WindowsFeature {
    [CmdletBinding()]
    param([string[]]$Name)
    $how = [string](Read-TestLine 'role.txt')
    if ($how -ceq 'throws') { throw 'The source files could not be found.' }
    if ($how -ceq 'fails') { return [pscustomobject]@{ Success = $false; RestartNeeded = 'No'; ExitCode = 'Failed' } }
    if ($how -ceq 'nothing') { return [pscustomobject]@{ Success = $true; RestartNeeded = 'No'; ExitCode = 'Success' } }
    $lines = foreach ($line in @(Read-TestLine 'features.txt')) { if ($Name -ccontains $line.Split([char[]]' ')[1]) { 'Installed ' + $line.Split([char[]]' ')[1] } else { $line } }
    [System.IO.File]::WriteAllLines((Get-TestPath 'features.txt'), [string[]]$lines)
    if (-not [System.IO.File]::Exists((Get-TestPath 'W3SVC.txt'))) { [System.IO.File]::WriteAllText((Get-TestPath 'W3SVC.txt'), 'stopped') }
    $restart = 'No'
    if ($how -ceq 'restart') { $restart = 'Yes' }
    return [pscustomobject]@{ Success = $true; RestartNeeded = $restart; ExitCode = 'Success' }
}

function Get-Service {
    [CmdletBinding()]
    param([string]$Name)
    $status = 1
    if ([string](Read-TestLine "$Name.txt") -ceq 'running') { $status = 4 }
    return [pscustomobject]@{ Status = $status }
}

function Start-Service {
    [CmdletBinding()]
    param([string]$Name)
    if ([string](Read-TestLine "$Name.txt") -ceq 'disabled') { throw 'The service is disabled.' }
    [System.IO.File]::WriteAllText((Get-TestPath "$Name.txt"), 'running')
}

function Get-LyncarrProgramFiles { return (Get-TestPath 'Program Files') }

function Get-LyncarrFolder { return (Get-TestPath 'lyncarr') }

function Find-LyncarrInstalledProgram {
    param([string]$Name)
    foreach ($line in @(Read-TestLine 'uninstall.txt')) { if ($line.StartsWith($Name, [StringComparison]::Ordinal)) { return $line.Split([char[]]'|')[1] } }
    return $null
}

class TestProgram {
    [System.Diagnostics.Process]$Process
    [bool] WaitForExit([int]$Milliseconds) { return $this.Process.WaitForExit($Milliseconds) }
    [int] get_ExitCode() {
        foreach ($line in @(Read-TestLine 'code.txt')) { return [int]$line }
        return $this.Process.ExitCode
    }
    [void] Kill() { $this.Process.Kill() }
    [void] Close() { $this.Process.Close() }
}

function Start-LyncarrProgram {
    param([string]$Name, [string]$Arguments, [bool]$Read)
    [System.IO.File]::Delete((Get-TestPath 'code.txt'))
    $start = New-Object System.Diagnostics.ProcessStartInfo '/bin/sh', ('"' + (Get-TestPath "$Name.sh") + '" ' + $Arguments)
    $start.WorkingDirectory = $env:LYNCARR_TEST_PROGRAMDATA
    $start.RedirectStandardOutput = $Read
    $process = [System.Diagnostics.Process]::Start($start)
    if ($Read) { return $process }
    return [TestProgram]@{ Process = $process }
}

function Get-AuthenticodeSignature {
    [CmdletBinding()]
    param([string]$LiteralPath)
    $parts = ([string](Read-TestLine 'signature.txt')).Split([char[]]'|')
    $signer = $null
    if ($parts.Length -gt 1) { $signer = [pscustomobject]@{ Subject = $parts[1] } }
    return [pscustomobject]@{ Status = $parts[0]; SignerCertificate = $signer }
}

function Get-LyncarrCertificate {
    param([string]$Store, [string]$Thumbprint)
    $folder = Get-TestPath "stores/$Store"
    if (-not [System.IO.Directory]::Exists($folder)) { return }
    foreach ($file in [System.IO.Directory]::GetFiles($folder, '*.cer')) {
        $certificate = New-Object System.Security.Cryptography.X509Certificates.X509Certificate2 $file
        if ($Thumbprint -ceq '' -or $certificate.Thumbprint -ceq $Thumbprint) { $certificate }
    }
}

function Save-TestCertificate {
    param([string]$Store, [byte[]]$Bytes)
    $certificate = New-Object System.Security.Cryptography.X509Certificates.X509Certificate2 (, $Bytes)
    [void][System.IO.Directory]::CreateDirectory((Get-TestPath "stores/$Store"))
    [System.IO.File]::WriteAllBytes((Get-TestPath "stores/$Store/$($certificate.Thumbprint).cer"), $Bytes)
}

function Add-LyncarrCertificate {
    param([string]$Store, [string]$Data)
    [System.IO.File]::AppendAllText((Get-TestPath 'added.log'), "$Store`n")
    Save-TestCertificate -Store $Store -Bytes ([Convert]::FromBase64String($Data))
}

function Import-LyncarrKey {
    param([Collections.IDictionary]$Secrets, [string]$Thumbprint)
    [System.IO.File]::AppendAllText((Get-TestPath 'imports.log'), "$Thumbprint`n")
    $how = [string](Read-TestLine 'import.txt')
    if ($how -ceq 'dropped') { return }
    $found = New-Object System.Security.Cryptography.X509Certificates.X509Certificate2Collection
    [void]$found.Import([Convert]::FromBase64String([string]$Secrets['pfx']), [string]$Secrets['pfx_password'], 'DefaultKeySet')
    foreach ($certificate in $found) { if ($certificate.Thumbprint -ceq $Thumbprint) { Save-TestCertificate -Store 'My' -Bytes $certificate.RawData } }
    if ($how -cne 'without key') { [System.IO.File]::WriteAllText((Get-TestPath "stores/My/$Thumbprint.key"), '') }
}

function Test-LyncarrPrivateKey {
    param([System.Security.Cryptography.X509Certificates.X509Certificate2]$Certificate)
    return [System.IO.File]::Exists((Get-TestPath "stores/My/$($Certificate.Thumbprint).key"))
}
