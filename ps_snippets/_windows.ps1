# The seam: every line that touches Windows itself. Outside this file snippets use the language, .NET that runs anywhere, and these functions.

function Get-LyncarrRegistryValue {
    # A value of HKEY_LOCAL_MACHINE in the 64-bit view, or null where key or value is missing.
    # https://learn.microsoft.com/dotnet/api/microsoft.win32.registrykey.openbasekey
    param([string]$Key, [string]$Name)
    $base = [Microsoft.Win32.RegistryKey]::OpenBaseKey([Microsoft.Win32.RegistryHive]::LocalMachine, [Microsoft.Win32.RegistryView]::Registry64)
    try {
        $opened = $base.OpenSubKey($Key)
        if ($null -eq $opened) { return $null }
        try { return $opened.GetValue($Name) } finally { $opened.Close() }
    }
    finally { $base.Close() }
}

function Test-LyncarrRegistryKey {
    param([string]$Key)
    $base = [Microsoft.Win32.RegistryKey]::OpenBaseKey([Microsoft.Win32.RegistryHive]::LocalMachine, [Microsoft.Win32.RegistryView]::Registry64)
    try {
        $opened = $base.OpenSubKey($Key)
        if ($null -eq $opened) { return $false }
        $opened.Close()
        return $true
    }
    finally { $base.Close() }
}

function Test-LyncarrPendingReboot {
    # https://learn.microsoft.com/windows-hardware/manufacture/desktop/component-based-servicing and the session manager's rename list
    if (Test-LyncarrRegistryKey -Key 'SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\RebootPending') { return $true }
    if (Test-LyncarrRegistryKey -Key 'SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\Auto Update\RebootRequired') { return $true }
    if (@(Get-LyncarrRegistryValue -Key 'SYSTEM\CurrentControlSet\Control\Session Manager' -Name 'PendingFileRenameOperations').Count -gt 1) { return $true }
    $active = [string](Get-LyncarrRegistryValue -Key 'SYSTEM\CurrentControlSet\Control\ComputerName\ActiveComputerName' -Name 'ComputerName')
    $next = [string](Get-LyncarrRegistryValue -Key 'SYSTEM\CurrentControlSet\Control\ComputerName\ComputerName' -Name 'ComputerName')
    return (-not [string]::Equals($active, $next, [StringComparison]::OrdinalIgnoreCase))
}

function Get-LyncarrInetsrv {
    return [System.IO.Path]::Combine([Environment]::GetFolderPath([Environment+SpecialFolder]::System), 'inetsrv')
}

function Test-LyncarrSharedConfiguration {
    # https://learn.microsoft.com/iis/configuration/configurationredirection/
    $file = [System.IO.Path]::Combine((Get-LyncarrInetsrv), 'config', 'redirection.config')
    if (-not [System.IO.File]::Exists($file)) { return $false }
    $document = New-Object System.Xml.XmlDocument
    $document.Load($file)
    $node = $document.SelectSingleNode('/configuration/configurationRedirection/@enabled')
    return ($null -ne $node -and [string]::Equals($node.Value, 'true', [StringComparison]::OrdinalIgnoreCase))
}

function Get-LyncarrHello {
    param([string]$Run)
    $version = 'SOFTWARE\Microsoft\Windows NT\CurrentVersion'
    $build = 0
    [void][int]::TryParse([string](Get-LyncarrRegistryValue -Key $version -Name 'CurrentBuild'), [ref]$build)
    $principal = New-Object System.Security.Principal.WindowsPrincipal ([System.Security.Principal.WindowsIdentity]::GetCurrent())
    $elevated = $principal.IsInRole([System.Security.Principal.WindowsBuiltInRole]::Administrator)
    $bits = 32
    if ([Environment]::Is64BitProcess) { $bits = 64 }
    $running = [TimeSpan]::FromSeconds([System.Diagnostics.Stopwatch]::GetTimestamp() / [System.Diagnostics.Stopwatch]::Frequency)
    $shared = $false
    # Only an administrator may read redirection.config; a session without these rights is refused for that reason, told by elevated.
    if ($elevated) { $shared = Test-LyncarrSharedConfiguration }
    return @{
        event = 'hello'; protocol = 1; run = $Run; computer = [Environment]::MachineName
        os = [string](Get-LyncarrRegistryValue -Key $version -Name 'ProductName'); build = $build
        powershell = $PSVersionTable['PSVersion'].ToString(); bits = $bits; elevated = $elevated
        booted = ([datetime]::UtcNow - $running).ToString('yyyy-MM-ddTHH:mm:ssZ', [cultureinfo]::InvariantCulture)
        pending_reboot = [bool](Test-LyncarrPendingReboot); shared_configuration = [bool]$shared
    }
}

function Get-LyncarrFolder {
    # %ProgramData%\lyncarr: the lock, and files on their way. ProgramData lets every user create files, so this folder does not inherit:
    # full control for Administrators and SYSTEM (by SID, names are localised), nobody else.
    # https://learn.microsoft.com/windows-server/administration/windows-commands/icacls
    $path = [System.IO.Path]::Combine([Environment]::GetFolderPath([Environment+SpecialFolder]::CommonApplicationData), 'lyncarr')
    [void][System.IO.Directory]::CreateDirectory($path)
    $icacls = [System.IO.Path]::Combine([Environment]::GetFolderPath([Environment+SpecialFolder]::System), 'icacls.exe')
    foreach ($change in @('/setowner *S-1-5-32-544', '/inheritance:r /grant:r *S-1-5-32-544:(OI)(CI)F *S-1-5-18:(OI)(CI)F')) {
        $code = Invoke-LyncarrProgram -Path $icacls -Arguments ('"' + $path + '" ' + $change + ' /q')
        if ($code -ne 0) { Stop-Lyncarr -Kind 'denied' -Text "the folder $path cannot be kept for Administrators only (icacls ended with ${code}): remove it and run again" }
    }
    return $path
}

function Test-LyncarrSharingViolation {
    # ERROR_SHARING_VIOLATION as an HRESULT. https://learn.microsoft.com/windows/win32/debug/system-error-codes--0-499-
    param([System.Exception]$Cause)
    return ($Cause.get_HResult() -eq -2147024864)
}

function Open-LyncarrLock {
    # The open lock file, or null when another process holds it. A plan's look at the lock opens the file for a moment, hence the retries.
    param([string]$Holder)
    $folder = Get-LyncarrFolder
    for ($attempt = 0; $attempt -lt 5; $attempt++) {
        try {
            $stream = [System.IO.File]::Open([System.IO.Path]::Combine($folder, 'lock'), [System.IO.FileMode]::OpenOrCreate, [System.IO.FileAccess]::ReadWrite, [System.IO.FileShare]::None)
            [System.IO.File]::WriteAllText([System.IO.Path]::Combine($folder, 'holder.json'), $Holder)
            return $stream
        }
        catch [System.IO.IOException] {
            if (-not (Test-LyncarrSharingViolation -Cause $_.Exception.GetBaseException())) { throw }
            [System.Threading.Thread]::Sleep(100)
        }
    }
    return $null
}

function Read-LyncarrHolder {
    # Who holds the lock: the text of holder.json, or '' when nobody does.
    $folder = [System.IO.Path]::Combine([Environment]::GetFolderPath([Environment+SpecialFolder]::CommonApplicationData), 'lyncarr')
    $file = [System.IO.Path]::Combine($folder, 'lock')
    if (-not [System.IO.File]::Exists($file)) { return '' }
    try {
        $stream = [System.IO.File]::Open($file, [System.IO.FileMode]::Open, [System.IO.FileAccess]::Read, [System.IO.FileShare]::ReadWrite)
        $stream.Close()
        return ''
    }
    catch [System.IO.IOException] {
        if (-not (Test-LyncarrSharingViolation -Cause $_.Exception.GetBaseException())) { throw }
        return [System.IO.File]::ReadAllText([System.IO.Path]::Combine($folder, 'holder.json'))
    }
}

function Invoke-LyncarrProgram {
    # Runs a program by its full path and returns its exit code. Not by & : in a remote session standard error becomes error records.
    # https://learn.microsoft.com/dotnet/api/system.diagnostics.process
    param([string]$Path, [string]$Arguments)
    $start = New-Object System.Diagnostics.ProcessStartInfo
    $start.FileName = $Path
    $start.Arguments = $Arguments
    $start.UseShellExecute = $false
    $start.CreateNoWindow = $true
    $process = [System.Diagnostics.Process]::Start($start)
    try {
        $process.WaitForExit()
        return $process.get_ExitCode()
    }
    finally { $process.Close() }
}

function Import-LyncarrIis {
    # Loads Microsoft.Web.Administration; $false where IIS is not installed.
    # By path: a name without one may bring the library of IIS Express, which reads another file.
    $library = [System.IO.Path]::Combine((Get-LyncarrInetsrv), 'Microsoft.Web.Administration.dll')
    $file = [System.IO.Path]::Combine((Get-LyncarrInetsrv), 'config', 'applicationHost.config')
    if (-not ([System.IO.File]::Exists($library) -and [System.IO.File]::Exists($file))) { return $false }
    [void][System.Reflection.Assembly]::LoadFrom($library)
    return $true
}

function Get-LyncarrConfiguration {
    # applicationHost.config, opened once a request; null where IIS is not installed.
    # https://learn.microsoft.com/dotnet/api/microsoft.web.administration.servermanager
    param([System.Collections.IDictionary]$Context)
    if (-not $Context['Opened']) {
        if (Import-LyncarrIis) {
            $Context['Manager'] = New-Object Microsoft.Web.Administration.ServerManager
            $Context['Configuration'] = $Context['Manager'].GetApplicationHostConfiguration()
        }
        $Context['Opened'] = $true
    }
    return $Context['Configuration']
}

function Close-LyncarrIis {
    # Discards what was not committed.
    param([System.Collections.IDictionary]$Context)
    if ($null -ne $Context['Manager']) { $Context['Manager'].Dispose() }
    $Context['Manager'] = $null
    $Context['Configuration'] = $null
    $Context['Opened'] = $false
}

function Save-LyncarrIis {
    # Commits; $false where the file was changed or held by something else and another attempt is due. Both are FileLoadException.
    param([System.Collections.IDictionary]$Context, [bool]$LastAttempt)
    if ([bool]$Context['RestartIis']) { Set-LyncarrRestartPending -Pending $true }
    try { $Context['Manager'].CommitChanges() }
    catch [System.IO.FileLoadException] {
        if ($LastAttempt) { throw }
        return $false
    }
    return $true
}

function Test-LyncarrSchema {
    # The schema files that a section needs: a declaration can outlive the module that brought it.
    param([string]$Section)
    $files = @()
    switch -CaseSensitive ($Section) {
        'webFarms' { $files = @('webfarm.xml', 'arr_schema.xml') }
        'system.webServer/rewrite/globalRules' { $files = @('rewrite_schema.xml') }
    }
    foreach ($file in $files) {
        if (-not [System.IO.File]::Exists([System.IO.Path]::Combine((Get-LyncarrInetsrv), 'config', 'schema', $file))) { return $false }
    }
    return $true
}

function Save-LyncarrBackup {
    # A copy of the configuration beside appcmd's own backups, made once a run, before its first write.
    param([string]$Name)
    if ($null -ne $script:LyncarrState['Backup']) { return }
    $source = [System.IO.Path]::Combine((Get-LyncarrInetsrv), 'config')
    if (-not [System.IO.File]::Exists([System.IO.Path]::Combine($source, 'applicationHost.config'))) { return }
    $target = [System.IO.Path]::Combine((Get-LyncarrInetsrv), 'backup', $Name)
    if (-not [System.IO.Directory]::Exists($target)) {
        [void][System.IO.Directory]::CreateDirectory($target)
        foreach ($file in @('applicationHost.config', 'administration.config', 'redirection.config')) {
            $path = [System.IO.Path]::Combine($source, $file)
            if ([System.IO.File]::Exists($path)) { [System.IO.File]::Copy($path, [System.IO.Path]::Combine($target, $file)) }
        }
    }
    $script:LyncarrState['Backup'] = $Name
}

function Select-LyncarrUnresolved {
    # Those of the names that this host cannot resolve. All are asked at once and given three seconds: a DMZ host without DNS takes its time.
    # Emits items: call it in @(...). https://learn.microsoft.com/dotnet/api/system.net.dns.gethostaddressesasync
    param([string[]]$Names)
    $lookups = @{}
    foreach ($name in $Names) { $lookups[$name] = [System.Net.Dns]::GetHostAddressesAsync($name) }
    $watch = [System.Diagnostics.Stopwatch]::StartNew()
    foreach ($name in $Names) {
        while (-not $lookups[$name].get_IsCompleted() -and $watch.get_ElapsedMilliseconds() -lt 3000) { [System.Threading.Thread]::Sleep(20) }
        if (-not $lookups[$name].get_IsCompleted() -or $lookups[$name].get_IsFaulted()) { $name }
    }
}

function Get-LyncarrRestartFile {
    return [System.IO.Path]::Combine([Environment]::GetFolderPath([Environment+SpecialFolder]::CommonApplicationData), 'lyncarr', 'restart-needed')
}

function Test-LyncarrRestartPending {
    return [System.IO.File]::Exists((Get-LyncarrRestartFile))
}

function Set-LyncarrRestartPending {
    # Remembered on disk, so that a run that ended between the commit and iisreset is finished by the next one.
    param([bool]$Pending)
    if ($Pending) { [System.IO.File]::WriteAllText((Get-LyncarrRestartFile), '') }
    else { [System.IO.File]::Delete((Get-LyncarrRestartFile)) }
}

function Restart-LyncarrIis {
    # Farm settings take effect for certain only after a restart of IIS. /noforce never kills a worker process that does not stop.
    # https://learn.microsoft.com/previous-versions/windows/it-pro/windows-server-2012-r2-and-2012/jj635851(v=ws.11)
    $program = [System.IO.Path]::Combine([Environment]::GetFolderPath([Environment+SpecialFolder]::System), 'iisreset.exe')
    $code = Invoke-LyncarrProgram -Path $program -Arguments '/noforce'
    if ($code -ne 0) { Stop-Lyncarr -Kind 'error' -Text "the configuration is written, but iisreset /noforce ended with ${code}: run it on the host, or run this again" }
    Set-LyncarrRestartPending -Pending $false
}
