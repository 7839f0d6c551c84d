# The folder %ProgramData%\lyncarr: the lock, the packages of a run, and the mark of a pending restart of IIS.

function Get-LyncarrFolder {
    # Only the path: the folder is created and restricted to administrators when the lock is taken.
    return [System.IO.Path]::Combine([Environment]::GetFolderPath([Environment+SpecialFolder]::CommonApplicationData), 'lyncarr')
}

function Test-LyncarrSharingViolation {
    # ERROR_SHARING_VIOLATION as an HRESULT. https://learn.microsoft.com/windows/win32/debug/system-error-codes--0-499-
    param([System.Exception]$Cause)
    return ($Cause.get_HResult() -eq -2147024864)
}

function Read-LyncarrHolder {
    # The text of holder.json, which describes who holds the lock; '' where the lock is free.
    $folder = Get-LyncarrFolder
    $file = [System.IO.Path]::Combine($folder, 'lock')
    if (-not [System.IO.File]::Exists($file)) { return '' }
    try {
        $stream = [System.IO.File]::Open($file, [System.IO.FileMode]::Open, [System.IO.FileAccess]::Read, [System.IO.FileShare]::ReadWrite)
        $stream.Close()
        return ''
    }
    catch [System.IO.IOException] {
        if (-not (Test-LyncarrSharingViolation -Cause $_.Exception.GetBaseException())) { throw }
        # The holder may be writing the file at this moment, or may not have written it yet.
        try { return [System.IO.File]::ReadAllText([System.IO.Path]::Combine($folder, 'holder.json')) }
        catch [System.IO.IOException] { return '{}' }
    }
}

function Get-LyncarrRestartFile {
    return [System.IO.Path]::Combine((Get-LyncarrFolder), 'restart-needed')
}

function Test-LyncarrRestartPending {
    return [System.IO.File]::Exists((Get-LyncarrRestartFile))
}

#:lock

function Get-LyncarrOwner {
    # The SID of the owner of a file or folder. An owner can always grant itself any right.
    # https://learn.microsoft.com/dotnet/api/system.security.accesscontrol.filesecurity.-ctor
    param([string]$Path)
    $security = New-Object System.Security.AccessControl.FileSecurity ($Path, [System.Security.AccessControl.AccessControlSections]::Owner)
    return [string]$security.GetOwner([System.Security.Principal.SecurityIdentifier]).Value
}

function Protect-LyncarrFolder {
    # Full control for Administrators and SYSTEM (by SID, because names are localised), nothing inherited. Rights that were granted by name
    # stay: /reset would remove them, but it would also restore for a moment what every user inherits from ProgramData.
    # https://learn.microsoft.com/windows-server/administration/windows-commands/icacls
    param([string]$Path)
    foreach ($change in @('/setowner *S-1-5-32-544', '/inheritance:r /grant:r *S-1-5-32-544:(OI)(CI)F *S-1-5-18:(OI)(CI)F')) {
        $code = Invoke-LyncarrProgram -Name 'icacls.exe' -Arguments ('"' + $Path + '" ' + $change + ' /q')
        if ($code -ne 0) { Stop-Lyncarr -Kind 'denied' -Text "the folder $Path could not be restricted to administrators: icacls ended with exit code $code" -Hint "Remove the folder $Path on the host, then run the command again." }
    }
}

function New-LyncarrFolder {
    # The folder gets a random name until it is restricted and known to be empty: every user may create files in a new folder there.
    param([string]$Path)
    $new = $Path + '-' + [guid]::NewGuid().ToString()
    [void][System.IO.Directory]::CreateDirectory($new)
    Protect-LyncarrFolder -Path $new
    if (@([System.IO.Directory]::GetFileSystemEntries($new)).Count -ne 0) { Stop-Lyncarr -Kind 'denied' -Text "another account put files into the folder $new when lyncarr created it" -Hint "Find out which account it was, remove the folder, then run the command again." }
    try { [System.IO.Directory]::Move($new, $Path) }
    catch [System.IO.IOException] {
        # Another process created the folder in the meantime. The caller checks its owner.
        [System.IO.Directory]::Delete($new)
    }
}

function Assert-LyncarrOwner {
    # Ends the request where $Item is a link, which could lead to System32, or was not created by an administrator. The account of this session
    # is an administrator too.
    param([string]$Item, [string]$Folder)
    if (([int][System.IO.File]::GetAttributes($Item) -band [int][System.IO.FileAttributes]::ReparsePoint) -ne 0) { Stop-Lyncarr -Kind 'denied' -Text "$Item is a link to another place" -Hint "Remove $Folder on the host, then run the command again." }
    $owner = Get-LyncarrOwner -Path $Item
    if (@('S-1-5-32-544', 'S-1-5-18', [System.Security.Principal.WindowsIdentity]::GetCurrent().User.Value) -cnotcontains $owner) {
        Stop-Lyncarr -Kind 'denied' -Text "the owner of $Item is $owner, which is neither the Administrators group nor SYSTEM" -Hint "Find out whose account that is, remove $Folder on the host, then run the command again."
    }
}

function Initialize-LyncarrFolder {
    # Creates the folder, restricts it to administrators and checks its contents; returns its path. Every user may create folders in
    # ProgramData, so this one may come from another account.
    $path = Get-LyncarrFolder
    if (-not [System.IO.Directory]::Exists($path)) { New-LyncarrFolder -Path $path }
    Assert-LyncarrOwner -Item $path -Folder $path
    Protect-LyncarrFolder -Path $path
    foreach ($item in [System.IO.Directory]::GetFileSystemEntries($path)) { Assert-LyncarrOwner -Item $item -Folder $path }
    return $path
}

function Open-LyncarrLock {
    # The open lock file, or null where another process holds it. A plan opens the file for a moment too, so there are retries.
    param([string]$Holder)
    $folder = Initialize-LyncarrFolder
    for ($attempt = 0; $attempt -lt 5; $attempt++) {
        $stream = $null
        try {
            $stream = [System.IO.File]::Open([System.IO.Path]::Combine($folder, 'lock'), [System.IO.FileMode]::OpenOrCreate, [System.IO.FileAccess]::ReadWrite, [System.IO.FileShare]::None)
            [System.IO.File]::WriteAllText([System.IO.Path]::Combine($folder, 'holder.json'), $Holder)
            return $stream
        }
        catch [System.IO.IOException] {
            # A plan that reads holder.json blocks this write. An open lock would block the next attempt of this very process.
            if ($null -ne $stream) { $stream.Close() }
            if (-not (Test-LyncarrSharingViolation -Cause $_.Exception.GetBaseException())) { throw }
            [System.Threading.Thread]::Sleep(100)
        }
    }
    return $null
}

#:write

function Set-LyncarrRestartPending {
    # The mark is a file, so that the next run finishes a run that ended between the commit and iisreset.
    param([bool]$Pending)
    if ($Pending) { [System.IO.File]::WriteAllText((Get-LyncarrRestartFile), '') }
    else { [System.IO.File]::Delete((Get-LyncarrRestartFile)) }
}
