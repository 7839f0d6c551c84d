# Roles and features of Windows Server.

function Get-LyncarrFeature {
    # Name -> install state of every role and feature that this edition offers; empty on a client. The command gets no name, because an
    # unknown name can be an error.
    # https://learn.microsoft.com/powershell/module/servermanager/get-windowsfeature
    $features = @{}
    if ($null -eq (Get-Command -Name Get-WindowsFeature -ErrorAction SilentlyContinue)) { return $features }
    foreach ($feature in @(Get-WindowsFeature -ErrorAction Stop)) { $features[[string]$feature.Name] = [string]$feature.InstallState }
    return $features
}

#:write

function Install-LyncarrFeature {
    # Returns whether Windows must restart. The names of the enumerations are not translated, the messages are.
    # https://learn.microsoft.com/powershell/module/servermanager/install-windowsfeature
    param([string[]]$Names)
    $cause = ''
    try {
        $result = Install-WindowsFeature -Name $Names -ErrorAction Stop -WarningAction SilentlyContinue
        if ([bool]$result.Success) { return ([string]$result.RestartNeeded -cne 'No') }
        $cause = [string]$result.ExitCode
    }
    catch { $cause = $_.Exception.GetBaseException().Message.Trim() }
    Stop-Lyncarr -Kind 'feature' -Text "Windows did not install $([string]::Join(', ', $Names)) ($cause)" -Hint 'Run Install-WindowsFeature on the host. Add -Source if the installation files were removed.'
}
