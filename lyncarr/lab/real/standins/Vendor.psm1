# Commands that Windows Server brings and the engine's host does not: roles and features, Authenticode.
# What they answer comes from C:\windows\lab: features.txt (State|Name|Parent|Kind|DisplayName, Kind 'default' where the parent brings it
# along and 'tool' where -IncludeManagementTools does), packages\signers.txt (SHA256 Status certificate-file), faults.txt (one a line, used once:
# role-fails, role-reboot), iis\ (what the role lays into inetsrv).

$lab = [System.IO.Path]::Combine([Environment]::GetFolderPath('Windows'), 'lab')
$system = [Environment]::GetFolderPath('System')

function Get-LabFeature {
    foreach ($line in [System.IO.File]::ReadAllLines("$lab\features.txt")) {
        $fields = $line.Split([char[]]'|')
        [pscustomobject]@{
            Name = $fields[1]; DisplayName = $fields[4]; Installed = ($fields[0] -ceq 'Installed'); InstallState = $fields[0]
            Parent = $fields[2]; FeatureType = 'Role Service'; Kind = $fields[3]
        }
    }
}

function Use-LabFault {
    param([string]$Name)
    $file = "$lab\faults.txt"
    if (-not [System.IO.File]::Exists($file)) { return $false }
    $left = [System.Collections.Generic.List[string]]::new([System.IO.File]::ReadAllLines($file))
    $found = $left.Remove($Name)
    if ($found) { [System.IO.File]::WriteAllLines($file, $left) }
    return $found
}

function Invoke-LabProgram {
    param([string]$Name, [string]$Arguments)
    $start = [System.Diagnostics.ProcessStartInfo]::new("$system\$Name", $Arguments)
    $start.UseShellExecute = $false
    # Windows does this in a service: nothing is printed where the command runs.
    $start.RedirectStandardOutput = $true
    $process = [System.Diagnostics.Process]::Start($start)
    [void]$process.StandardOutput.ReadToEnd()
    $process.WaitForExit()
    if ($process.ExitCode -ne 0) { throw "$Name $Arguments ended with $($process.ExitCode)" }
}

function Copy-LabFolder {
    param([string]$From, [string]$To)
    [void][System.IO.Directory]::CreateDirectory($To)
    foreach ($file in [System.IO.Directory]::GetFiles($From)) {
        # What an installation that was ended had laid down already may be in use by whoever looked at it since.
        $target = [System.IO.FileInfo]::new([System.IO.Path]::Combine($To, [System.IO.Path]::GetFileName($file)))
        if (-not $target.Exists -or $target.Length -ne [System.IO.FileInfo]::new($file).Length) { [System.IO.File]::Copy($file, $target.FullName, $true) }
    }
    foreach ($folder in [System.IO.Directory]::GetDirectories($From)) { Copy-LabFolder -From $folder -To ([System.IO.Path]::Combine($To, [System.IO.Path]::GetFileName($folder))) }
}

function Install-LabIis {
    # The role as far as anything here looks at it: inetsrv, the version key, the default site's folder, iisreset, and a service W3SVC
    # that runs; Wine's print spooler does nothing but start and stop, which is what a service has to do.
    Copy-LabFolder -From "$lab\iis" -To "$system\inetsrv"
    [System.IO.File]::Copy("$lab\programs\iisreset.exe", "$system\iisreset.exe", $true)
    [void][System.IO.Directory]::CreateDirectory('C:\inetpub\wwwroot')
    $windows = Get-ItemProperty -Path 'HKLM:\SOFTWARE\Microsoft\Windows NT\CurrentVersion'
    $major, $minor = 10, 0
    if ([string]$windows.CurrentVersion -ceq '6.3' -and [int]$windows.CurrentBuild -lt 10000) { $major, $minor = 8, 5 }
    $key = [Microsoft.Win32.Registry]::LocalMachine.CreateSubKey('SOFTWARE\Microsoft\InetStp')
    $key.SetValue('MajorVersion', $major, 'DWord')
    $key.SetValue('MinorVersion', $minor, 'DWord')
    $key.SetValue('VersionString', "Version $major.$minor")
    $key.Close()
    # It may be there: servicing goes on where it was ended.
    $service = Get-Service -Name 'W3SVC' -ErrorAction Ignore
    if ($null -eq $service) { Invoke-LabProgram -Name 'sc.exe' -Arguments 'create W3SVC binPath= C:\windows\system32\spoolsv.exe start= auto DisplayName= "World Wide Web Publishing Service"' }
    if ($null -eq $service -or $service.Status -ne 'Running') { Invoke-LabProgram -Name 'net.exe' -Arguments 'start W3SVC' }
}

function Get-WindowsFeature {
    [CmdletBinding()]
    param([Parameter(Position = 0)][string[]]$Name)
    foreach ($feature in @(Get-LabFeature)) {
        if ($null -eq $Name) { $feature; continue }
        foreach ($pattern in $Name) { if ($feature.Name -like $pattern) { $feature; break } }
    }
}

function Install-WindowsFeature {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true, Position = 0)][string[]]$Name, [switch]$IncludeManagementTools, [switch]$IncludeAllSubFeature,
        [switch]$Restart, [string]$Source
    )
    $known = @{}
    foreach ($feature in @(Get-LabFeature)) { $known[$feature.Name] = $feature }
    $wanted = [System.Collections.Generic.List[string]]::new()
    foreach ($one in $Name) {
        if (-not $known.ContainsKey($one)) {
            Write-Error -Message "ArgumentNotValid: The role, role service, or feature name is not valid: '$one'. The name was not found."
            return
        }
        for ($up = $one; $up -ne ''; $up = $known[$up].Parent) { if (-not $wanted.Contains($up)) { $wanted.Add($up) } }
    }
    for ($index = 0; $index -lt $wanted.Count; $index++) {
        foreach ($feature in $known.Values) {
            $brought = $IncludeAllSubFeature -or $feature.Kind -ceq 'default' -or ($feature.Kind -ceq 'tool' -and $IncludeManagementTools)
            # A feature that is there already brings nothing along a second time.
            if ($feature.Parent -ceq $wanted[$index] -and $brought -and -not $known[$wanted[$index]].Installed -and -not $wanted.Contains($feature.Name)) { $wanted.Add($feature.Name) }
        }
    }
    $new = @(foreach ($one in $wanted) { if (-not $known[$one].Installed) { $known[$one] } })
    if ($new.Count -eq 0) { return [pscustomobject]@{ Success = $true; RestartNeeded = 'No'; FeatureResult = @(); ExitCode = 'NoChangeNeeded' } }
    if (Use-LabFault -Name 'role-fails') { return [pscustomobject]@{ Success = $false; RestartNeeded = 'No'; FeatureResult = @(); ExitCode = 'Failed' } }
    if ($wanted.Contains('Web-Server') -and -not $known['Web-Server'].Installed) { Install-LabIis }
    $lines = foreach ($line in [System.IO.File]::ReadAllLines("$lab\features.txt")) {
        $fields = $line.Split([char[]]'|')
        if ($wanted.Contains($fields[1])) { $fields[0] = 'Installed' }
        [string]::Join('|', $fields)
    }
    [System.IO.File]::WriteAllLines("$lab\features.txt", [string[]]$lines)
    if (Use-LabFault -Name 'role-reboot') {
        [Microsoft.Win32.Registry]::LocalMachine.CreateSubKey('SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\RebootPending').Close()
        return [pscustomobject]@{ Success = $true; RestartNeeded = 'Yes'; FeatureResult = $new; ExitCode = 'SuccessRestartRequired' }
    }
    return [pscustomobject]@{ Success = $true; RestartNeeded = 'No'; FeatureResult = $new; ExitCode = 'Success' }
}

function Get-AuthenticodeSignature {
    [CmdletBinding(DefaultParameterSetName = 'Path')]
    param(
        [Parameter(Mandatory = $true, Position = 0, ParameterSetName = 'Path')][string[]]$FilePath,
        [Parameter(Mandatory = $true, ParameterSetName = 'LiteralPath')][string[]]$LiteralPath
    )
    foreach ($path in @($FilePath) + @($LiteralPath)) {
        if ([string]::IsNullOrEmpty($path)) { continue }
        $algorithm = [System.Security.Cryptography.SHA256]::Create()
        $stream = [System.IO.File]::OpenRead($path)
        try { $hash = [BitConverter]::ToString($algorithm.ComputeHash($stream)).Replace('-', '') }
        finally { $stream.Dispose() }
        $status = [System.Management.Automation.SignatureStatus]::NotSigned
        $certificate = $null
        foreach ($line in [System.IO.File]::ReadAllLines("$lab\packages\signers.txt")) {
            $fields = $line.Split([char[]]' ')
            if ($fields[0] -ieq $hash) {
                $status = [System.Management.Automation.SignatureStatus]$fields[1]
                $certificate = [System.Security.Cryptography.X509Certificates.X509Certificate2]::new("$lab\packages\$($fields[2])")
            }
        }
        [pscustomobject]@{ Path = $path; Status = $status; StatusMessage = "$status"; SignerCertificate = $certificate }
    }
}
