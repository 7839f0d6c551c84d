# Checks of the platform layer, on a simulated server with IIS and ARR.
param([string]$Snippets)
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
. ([System.IO.Path]::Combine($PSScriptRoot, 'checks.ps1'))
foreach ($name in @('_layer.ps1', '_runtime.ps1')) { . ([System.IO.Path]::Combine($Snippets, $name)) }
$script:LyncarrState = @{ Held = (New-Object System.Collections.ArrayList); Lock = $null; Backup = $null; Failure = $null; Sent = 0; Step = $null }
$inetsrv = 'C:\windows\system32\inetsrv'
$programData = 'C:\ProgramData\lyncarr'

function Set-Key {
    param([string]$Path, [string]$Name, [psobject]$Value)
    $key = [Microsoft.Win32.Registry]::LocalMachine.CreateSubKey($Path)
    if ($Name -ne '') { $key.SetValue($Name, $Value) }
    $key.Close()
}

function Remove-Key {
    param([string]$Path)
    [Microsoft.Win32.Registry]::LocalMachine.DeleteSubKeyTree($Path, $false)
}

function Invoke-Below {
    # A program of the system below Wine, which gives no handle on it: $Done tells when it has ended.
    param([string]$Name, [string]$Arguments, [scriptblock]$Done)
    $start = New-Object System.Diagnostics.ProcessStartInfo "Z:\bin\$Name", $Arguments
    $start.UseShellExecute = $false
    [void][System.Diagnostics.Process]::Start($start)
    for ($try = 0; $try -lt 50 -and -not (& $Done); $try++) { [System.Threading.Thread]::Sleep(100) }
}

# The registry.
Set-Key 'SOFTWARE\LyncarrTest' 'Text' 'some text'
Set-Key 'SOFTWARE\LyncarrTest' 'Number' 7
Test-That 'registry: text' 'some text' { Get-LyncarrRegistryValue -Key 'SOFTWARE\LyncarrTest' -Name 'Text' }
Test-That 'registry: number' 7 { Get-LyncarrRegistryValue -Key 'SOFTWARE\LyncarrTest' -Name 'Number' }
Test-That 'registry: no such value' $true { $null -eq (Get-LyncarrRegistryValue -Key 'SOFTWARE\LyncarrTest' -Name 'Missing') }
Test-That 'registry: no such key' $true { $null -eq (Get-LyncarrRegistryValue -Key 'SOFTWARE\LyncarrTest\Missing' -Name 'Text') }
Test-That 'registry: key' $true { Test-LyncarrRegistryKey -Key 'SOFTWARE\LyncarrTest' }
Test-That 'registry: no key' $false { Test-LyncarrRegistryKey -Key 'SOFTWARE\LyncarrTest\Missing' }

# A pending reboot, each sign alone.
$names = 'SYSTEM\CurrentControlSet\Control\ComputerName\ComputerName'
$manager = 'SYSTEM\CurrentControlSet\Control\Session Manager'
$servicing = 'SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\RebootPending'
$updates = 'SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\Auto Update\RebootRequired'
function Get-Reason { [string]::Join('; ', [string[]]@(Get-LyncarrRebootReason)) }
Test-That 'pending reboot: none' $false { Test-LyncarrPendingReboot }
Set-Key $servicing
Test-That 'pending reboot: servicing' $true { Test-LyncarrPendingReboot }
Test-That 'reboot reason: servicing' 'Windows must restart to finish the installation of roles, features or updates' { Get-Reason }
Remove-Key $servicing
Set-Key $updates
Test-That 'reboot reason: updates' 'Windows must restart to finish Windows Update' { Get-Reason }
Remove-Key $updates
Set-Key $manager 'PendingFileRenameOperations' ([string[]]@('\??\C:\spool\old.dll', '', '\??\C:\spool\new.dll', '!\??\C:\spool\scan.dll'))
Test-That 'renames: their paths' 'C:\spool\old.dll; C:\spool\new.dll; C:\spool\scan.dll' { [string]::Join('; ', [string[]]@(Get-LyncarrPendingRename)) }
Test-That 'pending reboot: files of others' $false { Test-LyncarrPendingReboot }
foreach ($file in @("$($inetsrv.ToUpperInvariant())\REWRITE.DLL", 'C:\Program Files\IIS\Application Request Routing\requestRouter.dll')) {
    Set-Key $manager 'PendingFileRenameOperations' ([string[]]@('\??\C:\spool\old.dll', '', "\??\$file", '', "\??\$file", ''))
    Test-That "reboot reason: a file of IIS $file" "Windows must restart to replace or delete $file" { Get-Reason }
}
Set-Key $manager 'PendingFileRenameOperations' ([string[]]@())
Test-That 'pending reboot: an empty list of files' $false { Test-LyncarrPendingReboot }
$key = [Microsoft.Win32.Registry]::LocalMachine.OpenSubKey($manager, $true)
$key.DeleteValue('PendingFileRenameOperations')
$key.Close()
Set-Key $names 'ComputerName' 'RENAMED'
Test-That 'reboot reason: another name' 'Windows must restart to change the computer name to RENAMED' { Get-Reason }
Set-Key $names 'ComputerName' ([Environment]::MachineName.ToLowerInvariant())
Test-That 'pending reboot: the same name in another case' $false { Test-LyncarrPendingReboot }

# hello.
$hello = Get-LyncarrHello -Run 'r'
Test-That 'hello: product' 'Windows Server 2012 R2 Standard' { $hello['os'] }
Test-That 'hello: build' 9600 { $hello['build'] }
Test-That 'hello: bits' 64 { $hello['bits'] }
Test-That 'hello: elevated' $true { $hello['elevated'] }
Test-That 'hello: computer' ([Environment]::MachineName) { $hello['computer'] }
Test-That 'hello: run' 'r' { $hello['run'] }
Test-That 'hello: booted in the past' $true {
    $booted = [datetime]::MinValue
    [datetime]::TryParse($hello['booted'], [cultureinfo]::InvariantCulture, 'AdjustToUniversal', [ref]$booted) -and $booted -lt [datetime]::UtcNow
}
Test-That 'hello: can be sent' $true { (ConvertTo-LyncarrJson -Value $hello).StartsWith('{') }

# Shared configuration.
$redirection = "$inetsrv\config\redirection.config"
$original = [System.IO.File]::ReadAllText($redirection)
Test-That 'shared configuration: as installed' $false { Test-LyncarrSharedConfiguration }
foreach ($text in @('true', 'True', 'false')) {
    [System.IO.File]::WriteAllText($redirection, "<configuration><configurationRedirection enabled=`"$text`" path=`"\\files\iis`" /></configuration>")
    Test-That "shared configuration: $text" ($text -ne 'false') { Test-LyncarrSharedConfiguration }
}
Test-That 'hello: not shared any more' $false { (Get-LyncarrHello -Run 'r')['shared_configuration'] }
[System.IO.File]::Delete($redirection)
Test-That 'shared configuration: no IIS' $false { Test-LyncarrSharedConfiguration }
[System.IO.File]::WriteAllText($redirection, $original)

# Programs.
Test-That 'program: exit code' 3 { Invoke-LyncarrProgram -Name 'C:\windows\system32\cmd.exe' -Arguments '/c exit 3' }
Test-That 'program: missing' 'Win32Exception' { Get-Failure { Invoke-LyncarrProgram -Name 'C:\windows\system32\no-such.exe' -Arguments '' } }

# The lock, within one process.
Test-That 'lock: nobody yet' '' { Read-LyncarrHolder }
$lock = Open-LyncarrLock -Holder '{"who":"tests"}'
Test-That 'lock: taken' $true { $null -ne $lock }
Test-That 'lock: who' '{"who":"tests"}' { Read-LyncarrHolder }
Test-That 'lock: not twice' $true { $null -eq (Open-LyncarrLock -Holder '{"who":"second"}') }
Test-That 'lock: the holder stays' '{"who":"tests"}' { Read-LyncarrHolder }
[System.IO.File]::Delete("$programData\holder.json")
Test-That 'lock: the holder has not written yet' '{}' { Read-LyncarrHolder }
$lock.Dispose()
Test-That 'lock: let go' '' { Read-LyncarrHolder }
[System.IO.File]::WriteAllText("$programData\holder.json", '')
$reader = [System.IO.File]::Open("$programData\holder.json", [System.IO.FileMode]::Open, [System.IO.FileAccess]::Read, [System.IO.FileShare]::Read)
Test-That 'lock: not while somebody reads the holder' $true { $null -eq (Open-LyncarrLock -Holder '{}') }
$reader.Close()
Test-That 'lock: nothing of that attempt stays' '' { Read-LyncarrHolder }
Test-That 'lock: the folder' $programData { Initialize-LyncarrFolder }
[System.IO.Directory]::Move($programData, 'C:\elsewhere')
[Environment]::CurrentDirectory = 'C:\ProgramData'
Invoke-Below 'ln' '-s ../elsewhere lyncarr' { [System.IO.Directory]::Exists($programData) }
Test-That 'lock: the folder is a link' "denied: $programData is a link to another place" { Get-Failure { Initialize-LyncarrFolder } }
Invoke-Below 'rm' 'lyncarr' { -not [System.IO.Directory]::Exists($programData) }
[System.IO.Directory]::Move('C:\elsewhere', $programData)
Test-That 'sharing violation: another error' $false { Test-LyncarrSharingViolation -Cause (New-Object System.IO.IOException 'other') }

# The configuration.
$context = @{ Manager = $null; Configuration = $null; Opened = $false; RestartIis = $false }
Test-That 'configuration: opened' 'MACHINE/WEBROOT/APPHOST' {
    [void](Get-LyncarrConfiguration -Context $context)
    if ($null -ne $context['Configuration']) { 'MACHINE/WEBROOT/APPHOST' }
}
Test-That 'configuration: by path' "$inetsrv\Microsoft.Web.Administration.dll" { $context['Manager'].GetType().Assembly.Location }
Test-That 'configuration: once a request' $true { [object]::ReferenceEquals((Get-LyncarrConfiguration -Context $context), $context['Configuration']) }
$faults = "$inetsrv\config\standin-faults.txt"
$sites = $context['Configuration'].GetSection('system.applicationHost/sites').GetCollection()
$sites[0].SetAttributeValue('serverAutoStart', $false)
[System.IO.File]::WriteAllText($faults, "changed-on-disk`n")
Test-That 'commit: the file has changed' $false { Save-LyncarrConfiguration -Context $context -LastAttempt $false }
[System.IO.File]::WriteAllText($faults, "locked`n")
$context['RestartIis'] = $true
Test-That 'commit: locked at the last attempt' 'FileLoadException' { Get-Failure { Save-LyncarrConfiguration -Context $context -LastAttempt $true } }
Test-That 'commit: what was not written owes no restart' $false { Test-LyncarrRestartPending }
Close-LyncarrConfiguration -Context $context
(Get-LyncarrConfiguration -Context $context).GetSection('system.applicationHost/sites').GetCollection()[0].SetAttributeValue('serverAutoStart', $false)
Test-That 'commit: written' $true { Save-LyncarrConfiguration -Context $context -LastAttempt $false }
Test-That 'commit: a restart is owed from before it on' $true { Test-LyncarrRestartPending }
Close-LyncarrConfiguration -Context $context
Test-That 'configuration: closed' $true { $null -eq $context['Manager'] -and -not $context['Opened'] }

# The restart.
[System.IO.File]::WriteAllText('C:\windows\lab\iisreset.exit', '5')
Test-That 'restart: fails' 'restart: the configuration is written, but iisreset /noforce ended with exit code 5' { Get-Failure { Restart-LyncarrIis } }
Test-That 'restart: still owed' $true { Test-LyncarrRestartPending }
[System.IO.File]::Delete('C:\windows\lab\iisreset.exit')
Test-That 'restart: done' 'nothing' { Get-Failure { Restart-LyncarrIis } }
Test-That 'restart: paid' $false { Test-LyncarrRestartPending }
Test-That 'restart: what was called' 'iisreset /noforce,iisreset /noforce' { [string]::Join(',', [System.IO.File]::ReadAllLines('C:\windows\lab\programs.log')) }

# Schema files.
Test-That 'schema: farms' $true { Test-LyncarrSchema -Section 'webFarms' }
Test-That 'schema: rules' $true { Test-LyncarrSchema -Section 'system.webServer/rewrite/globalRules' }
Test-That 'schema: of IIS itself' $true { Test-LyncarrSchema -Section 'system.applicationHost/sites' }
[System.IO.File]::Move("$inetsrv\config\schema\webfarm.xml", "$inetsrv\config\schema\webfarm.old")
Test-That 'schema: half of it missing' $false { Test-LyncarrSchema -Section 'webFarms' }
[System.IO.File]::Move("$inetsrv\config\schema\webfarm.old", "$inetsrv\config\schema\webfarm.xml")

# The backup.
Save-LyncarrBackup -Name 'lyncarr-one'
Test-That 'backup: named' 'lyncarr-one' { $script:LyncarrState['Backup'] }
Test-That 'backup: the same bytes' $true {
    [BitConverter]::ToString([System.IO.File]::ReadAllBytes("$inetsrv\backup\lyncarr-one\applicationHost.config")) -ceq
    [BitConverter]::ToString([System.IO.File]::ReadAllBytes("$inetsrv\config\applicationHost.config"))
}
Save-LyncarrBackup -Name 'lyncarr-two'
Test-That 'backup: once a run' $false { [System.IO.Directory]::Exists("$inetsrv\backup\lyncarr-two") }
$script:LyncarrState['Backup'] = $null
[System.IO.File]::WriteAllText("$inetsrv\backup\lyncarr-one\applicationHost.config", 'older')
Save-LyncarrBackup -Name 'lyncarr-one'
Test-That 'backup: of this run, made by an earlier shell, stays' 'older' { [System.IO.File]::ReadAllText("$inetsrv\backup\lyncarr-one\applicationHost.config") }

# Names.
Test-That 'names: an address is one' $true { @(Select-LyncarrUnresolvedName -Names @('127.0.0.1')).Count -eq 0 }
Test-That 'names: unknown' 'no-such-host.invalid' { Select-LyncarrUnresolvedName -Names @('127.0.0.1', 'no-such-host.invalid') }

# A server without IIS.
[System.IO.Directory]::Move($inetsrv, 'C:\windows\system32\inetsrv-away')
$script:LyncarrState['Backup'] = $null
Test-That 'no IIS: no configuration' $true { $null -eq (Get-LyncarrConfiguration -Context @{ Manager = $null; Configuration = $null; Opened = $false }) }
Test-That 'no IIS: no backup' $true { Save-LyncarrBackup -Name 'lyncarr-three'; $null -eq $script:LyncarrState['Backup'] }
