# Stands behind the shared snippets in the composed text and takes the place of the functions that need Windows. What is not here runs as shipped.

function Get-LyncarrInetsrv { return $env:LYNCARR_STANDIN_INETSRV }

function Import-LyncarrIis {
    # The assembly is loaded once by the driver: .NET takes a second path to the same name for an error.
    if ([System.IO.File]::Exists([System.IO.Path]::Combine($env:LYNCARR_TEST_PROGRAMDATA, 'denied'))) { throw (New-Object System.UnauthorizedAccessException) }
    return [System.IO.File]::Exists([System.IO.Path]::Combine($env:LYNCARR_STANDIN_INETSRV, 'config', 'applicationHost.config'))
}

function Initialize-LyncarrFolder { return $env:LYNCARR_TEST_PROGRAMDATA }

function Get-LyncarrRestartFile { return [System.IO.Path]::Combine($env:LYNCARR_TEST_PROGRAMDATA, 'restart-needed') }

function Get-LyncarrHello {
    param([string]$Run, [bool]$PendingReboot)
    return @{
        event = 'hello'; protocol = 1; run = $Run; computer = 'RP01'; os = 'simulated'; build = 9600; powershell = '4.0'; bits = 64
        elevated = $true; booted = '2026-01-01T00:00:00Z'; pending_reboot = $PendingReboot; shared_configuration = $false
    }
}

function Read-LyncarrHolder {
    # Away from Windows opening a file keeps nobody out: the file tells who holds the lock.
    if ([System.IO.File]::Exists([System.IO.Path]::Combine($env:LYNCARR_TEST_PROGRAMDATA, 'stray'))) { [void](ConvertTo-LyncarrJson -Value 1.5) }
    $file = [System.IO.Path]::Combine($env:LYNCARR_TEST_PROGRAMDATA, 'holder.json')
    if (-not [System.IO.File]::Exists($file)) { return '' }
    return [System.IO.File]::ReadAllText($file)
}

function Open-LyncarrLock {
    param([string]$Holder)
    if ((Read-LyncarrHolder) -ne '') { return $null }
    return [System.IO.File]::Open([System.IO.Path]::Combine($env:LYNCARR_TEST_PROGRAMDATA, 'lock'), [System.IO.FileMode]::OpenOrCreate)
}

function Restart-LyncarrIis {
    [System.IO.File]::AppendAllText([System.IO.Path]::Combine($env:LYNCARR_TEST_PROGRAMDATA, 'iisreset.log'), "iisreset /noforce`n")
    Set-LyncarrRestartPending -Pending $false
}

function Select-LyncarrUnresolvedName {
    param([string[]]$Names)
    foreach ($name in $Names) { if ($name.EndsWith('.unknown', [StringComparison]::Ordinal)) { $name } }
}
