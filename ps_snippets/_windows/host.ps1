# The host itself: what it is, whether Windows must restart, and which names it resolves.

function Get-LyncarrPendingRename {
    # Full paths of the files that Windows replaces or deletes at its next start, from pairs of a path (\??\C:\...) and its new name, which is
    # empty for a deletion and may begin with !. Emits items. https://learn.microsoft.com/windows/win32/api/winbase/nf-winbase-movefileexa
    foreach ($entry in @(Get-LyncarrRegistryValue -Key 'SYSTEM\CurrentControlSet\Control\Session Manager' -Name 'PendingFileRenameOperations')) {
        $path = ([string]$entry).TrimStart('!').Replace('\??\', '')
        if ($path -cne '') { $path }
    }
}

function Get-LyncarrRebootReason {
    # Why Windows must restart before anything is installed; nothing where it need not. Emits items.
    # https://learn.microsoft.com/windows-hardware/manufacture/desktop/component-based-servicing
    if (Test-LyncarrRegistryKey -Key 'SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\RebootPending') { 'Windows must restart to finish the installation of roles, features or updates' }
    if (Test-LyncarrRegistryKey -Key 'SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\Auto Update\RebootRequired') { 'Windows must restart to finish Windows Update' }
    $own = @(((Get-LyncarrInetsrv) + '\'), ((Get-LyncarrProgramFiles) + '\IIS\'))
    foreach ($file in @(Get-LyncarrPendingRename)) {
        if (@(foreach ($folder in $own) { if ($file.StartsWith($folder, [StringComparison]::OrdinalIgnoreCase)) { $folder } }).Count -gt 0) {
            "Windows must restart to replace or delete $file"
            break
        }
    }
    $active = [string](Get-LyncarrRegistryValue -Key 'SYSTEM\CurrentControlSet\Control\ComputerName\ActiveComputerName' -Name 'ComputerName')
    $next = [string](Get-LyncarrRegistryValue -Key 'SYSTEM\CurrentControlSet\Control\ComputerName\ComputerName' -Name 'ComputerName')
    if (-not [string]::Equals($active, $next, [StringComparison]::OrdinalIgnoreCase)) { "Windows must restart to change the computer name to $next" }
}

function Get-LyncarrHello {
    param([string]$Run, [bool]$PendingReboot)
    $version = 'SOFTWARE\Microsoft\Windows NT\CurrentVersion'
    $build = 0
    [void][int]::TryParse([string](Get-LyncarrRegistryValue -Key $version -Name 'CurrentBuild'), [ref]$build)
    $principal = New-Object System.Security.Principal.WindowsPrincipal ([System.Security.Principal.WindowsIdentity]::GetCurrent())
    $elevated = $principal.IsInRole([System.Security.Principal.WindowsBuiltInRole]::Administrator)
    $bits = 32
    if ([Environment]::Is64BitProcess) { $bits = 64 }
    $running = [TimeSpan]::FromSeconds([System.Diagnostics.Stopwatch]::GetTimestamp() / [System.Diagnostics.Stopwatch]::Frequency)
    $shared = $false
    # Only an administrator may read redirection.config. The controller refuses a session without these rights by the member elevated.
    if ($elevated) { $shared = Test-LyncarrSharedConfiguration }
    return @{
        event = 'hello'; protocol = 1; run = $Run; computer = [Environment]::MachineName
        os = [string](Get-LyncarrRegistryValue -Key $version -Name 'ProductName'); build = $build
        powershell = $PSVersionTable['PSVersion'].ToString(); bits = $bits; elevated = $elevated
        booted = ([datetime]::UtcNow - $running).ToString('yyyy-MM-ddTHH:mm:ssZ', [cultureinfo]::InvariantCulture)
        pending_reboot = $PendingReboot; shared_configuration = [bool]$shared
    }
}

function Select-LyncarrUnresolvedName {
    # The names that this host cannot resolve. All lookups run at once, for three seconds at most: without DNS each takes long.
    # Emits items.
    param([string[]]$Names)
    $lookups = @{}
    foreach ($name in $Names) { $lookups[$name] = [System.Net.Dns]::GetHostAddressesAsync($name) }
    $watch = [System.Diagnostics.Stopwatch]::StartNew()
    foreach ($name in $Names) {
        while (-not $lookups[$name].get_IsCompleted() -and $watch.get_ElapsedMilliseconds() -lt 3000) { [System.Threading.Thread]::Sleep(20) }
        if (-not $lookups[$name].get_IsCompleted() -or $lookups[$name].get_IsFaulted()) { $name }
    }
}

#:write

function Test-LyncarrPendingReboot {
    return (@(Get-LyncarrRebootReason).Count -gt 0)
}
