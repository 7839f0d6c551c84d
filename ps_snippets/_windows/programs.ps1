# Programs, services and files.

function Start-LyncarrProgram {
    # Starts a program of System32, or one by its full path. The caller waits for the process and closes it. The program gets its own standard
    # streams: over WinRS those of this process carry the events.
    param([string]$Name, [string]$Arguments, [bool]$Read)
    $start = New-Object System.Diagnostics.ProcessStartInfo
    $start.FileName = [System.IO.Path]::Combine([Environment]::GetFolderPath([Environment+SpecialFolder]::System), $Name)
    $start.Arguments = $Arguments
    $start.UseShellExecute = $false
    $start.CreateNoWindow = $true
    $start.RedirectStandardInput = $true
    $start.RedirectStandardOutput = $true
    $start.RedirectStandardError = $true
    $process = [System.Diagnostics.Process]::Start($start)
    $process.StandardInput.Close()
    # Without a reader the program would stop when the pipe is full.
    $process.BeginErrorReadLine()
    if (-not $Read) { $process.BeginOutputReadLine() }
    return $process
}

function Get-LyncarrService {
    # 'absent', 'running' or 'stopped'. https://learn.microsoft.com/dotnet/api/system.serviceprocess.servicecontrollerstatus (4 is Running)
    param([string]$Name)
    if (-not (Test-LyncarrRegistryKey -Key "SYSTEM\CurrentControlSet\Services\$Name")) { return 'absent' }
    if ([int](Get-Service -Name $Name -ErrorAction Stop).Status -eq 4) { return 'running' }
    return 'stopped'
}

function Get-LyncarrProgramFiles {
    return [Environment]::GetFolderPath([Environment+SpecialFolder]::ProgramFiles)
}

function Get-LyncarrFileVersion {
    # The version of a file, '' where the file has none, null where the file does not exist.
    param([string]$Path)
    if (-not [System.IO.File]::Exists($Path)) { return $null }
    return [string][System.Diagnostics.FileVersionInfo]::GetVersionInfo($Path).FileVersion
}

#:lock

function Invoke-LyncarrProgram {
    # Runs a program and returns its exit code. The operator & would turn standard error into error records.
    param([string]$Name, [string]$Arguments)
    $process = Start-LyncarrProgram -Name $Name -Arguments $Arguments -Read $false
    try {
        # Without a limit this also waits for the end of the output, which child processes can keep open.
        [void]$process.WaitForExit([int]::MaxValue)
        return $process.get_ExitCode()
    }
    finally { $process.Close() }
}

#:write

function Start-LyncarrService {
    param([string]$Name)
    try { Start-Service -Name $Name -ErrorAction Stop -WarningAction SilentlyContinue }
    catch { Stop-Lyncarr -Kind 'error' -Text "the service $Name does not start ($($_.Exception.GetBaseException().Message.Trim()))" -Hint 'Check its start type and the System event log on the host.' }
}

function Get-LyncarrErrorText {
    # The text of Windows for an error code, in the language of the host.
    param([int]$Code)
    return (New-Object System.ComponentModel.Win32Exception $Code).Message.Trim()
}
