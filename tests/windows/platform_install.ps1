# Checks of what the install, certificate and binding steps need of the platform layer, on a simulated server with IIS and ARR.
# $Secrets: a file {"pfx","pfx_password","thumbprint","root"}, the root as DER in base64.
param([string]$Snippets, [string]$Secrets)
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
. ([System.IO.Path]::Combine($PSScriptRoot, 'checks.ps1'))
foreach ($name in @('_layer.ps1', '_runtime.ps1', 'https_binding.ps1')) { . ([System.IO.Path]::Combine($Snippets, $name)) }
$script:LyncarrState = @{ Held = (New-Object System.Collections.ArrayList); Lock = $null; Backup = $null; Failure = $null; Sent = 0; Step = $null }
$lab = 'C:\windows\lab'
$package = "$lab\packages\rewrite_amd64_en-US.msi"
$run = '11111111-2222-3333-4444-555555555555'

# Roles and features.
Test-That 'features: installed' 'Installed' { (Get-LyncarrFeature)['Web-Server'] }
Test-That 'features: offered' 'Available' { (Get-LyncarrFeature)['Web-WebSockets'] }
Test-That 'feature: installed' $false { Install-LyncarrFeature -Names @('Web-Http-Redirect') }
Test-That 'feature: seen afterwards' 'Installed' { (Get-LyncarrFeature)['Web-Http-Redirect'] }
[System.IO.File]::WriteAllText("$lab\faults.txt", "role-reboot`n")
Test-That 'feature: with a restart' $true { Install-LyncarrFeature -Names @('Web-Http-Tracing') }
Test-That 'feature: a restart is pending' $true { Test-LyncarrPendingReboot }
[System.IO.File]::WriteAllText("$lab\faults.txt", "role-fails`n")
Test-That 'feature: fails' $true { (Get-Failure { Install-LyncarrFeature -Names @('Web-WebSockets') }).StartsWith('feature: Windows did not install Web-WebSockets (Failed)') }
Test-That 'feature: unknown' $true { (Get-Failure { Install-LyncarrFeature -Names @('No-Such') }).StartsWith('feature: Windows did not install No-Such (ArgumentNotValid') }
$modules = $env:PSModulePath
$env:PSModulePath = ''
Remove-Module -Name Vendor
Test-That 'features: no server' 0 { (Get-LyncarrFeature).get_Count() }
$env:PSModulePath = $modules

# Services.
Test-That 'service: running' 'running' { Get-LyncarrService -Name 'W3SVC' }
Test-That 'service: absent' 'absent' { Get-LyncarrService -Name 'NoSuchService' }
Stop-Service -Name 'W3SVC'
Test-That 'service: stopped' 'stopped' { Get-LyncarrService -Name 'W3SVC' }
Start-LyncarrService -Name 'W3SVC'
Test-That 'service: started' 'running' { Get-LyncarrService -Name 'W3SVC' }
Test-That 'service: created' 0 { Invoke-LyncarrProgram -Name 'C:\windows\system32\sc.exe' -Arguments 'create Broken binPath= C:\no-such.exe' }
Test-That 'service: does not start' $true { (Get-Failure { Start-LyncarrService -Name 'Broken' }).StartsWith('error: the service Broken does not start (') }
Test-That 'IIS: there' 'nothing' { Get-Failure { Assert-LyncarrIis } }

# Installed programs and versions.
Test-That 'program files' 'C:\Program Files' { Get-LyncarrProgramFiles }
Test-That 'file version: no file' $true { $null -eq (Get-LyncarrFileVersion -Path 'C:\no-such.dll') }
Test-That 'file version: none' '' { Get-LyncarrFileVersion -Path 'C:\windows\system32\inetsrv\rewrite.dll' }
Test-That 'file version: some' $true { (Get-LyncarrFileVersion -Path 'C:\windows\system32\kernel32.dll') -cmatch '^[0-9]+\.[0-9]+' }
Test-That 'uninstall list: by the name of a package' '7.2.1993' { Find-LyncarrInstalledProgram -Name 'IIS URL Rewrite Module' }
Test-That 'uninstall list: nothing' $true { $null -eq (Find-LyncarrInstalledProgram -Name 'No Such Program') }
$key = [Microsoft.Win32.Registry]::LocalMachine.CreateSubKey('SOFTWARE\WOW6432Node\Microsoft\Windows\CurrentVersion\Uninstall\Old')
$key.SetValue('DisplayName', 'An Old Program 1.0')
$key.SetValue('DisplayVersion', '1.0.7')
$key.Close()
Test-That 'uninstall list: 32-bit' '1.0.7' { Find-LyncarrInstalledProgram -Name 'An Old Program' }

# Uploads.
function Add-Piece {
    param([string]$File, [int]$Offset, [string]$Data)
    Add-LyncarrUpload -Request @{ run = $run; file = $File; offset = $Offset; data = $Data }
}
Test-That 'upload: without the lock' $true { (Get-Failure { Add-Piece 'arr' 0 'AAAA' }).StartsWith('error: the request upload came without the lock') }
$script:LyncarrState['Lock'] = Open-LyncarrLock -Holder '{}'
$uploaded = "C:\ProgramData\lyncarr\$run\arr.msi"
Test-That 'upload: first piece' 'nothing' { Get-Failure { Add-Piece 'arr' 0 ([Convert]::ToBase64String([byte[]]@(1, 2, 3))) } }
Test-That 'upload: next piece' 'nothing' { Get-Failure { Add-Piece 'arr' 3 ([Convert]::ToBase64String([byte[]]@(4, 5))) } }
Test-That 'upload: what arrived' '01-02-03-04-05' { [BitConverter]::ToString([System.IO.File]::ReadAllBytes($uploaded)) }
foreach ($offset in @(0, 3, 6)) { Test-That "upload: a piece twice, or one left out $offset" $true { (Get-Failure { Add-Piece 'arr' $offset 'AAAA' }) -cne 'nothing' } }
Test-That 'upload: nothing was added' 5 { [int](New-Object System.IO.FileInfo $uploaded).Length }
Test-That 'upload: too much' 'RuntimeException' { Get-Failure { Add-Piece 'arr' 5 ('A' * 300004) } }
foreach ($file in @('..\arr', 'arr.msi', 'ARR', '', 'a/b')) { Test-That "upload: no such name $file" 'RuntimeException' { Get-Failure { Add-Piece $file 0 'AAAA' } } }
$held = Open-LyncarrPackage -Path $uploaded
Test-That 'package: closed to writers' 'IOException' { Get-Failure { [System.IO.File]::WriteAllText($uploaded, '') } }
Test-That 'package: hash' '74F81FE167D99B4CB41D6D0CCDA82278CAEE9F3E2F25D5E5A3936FF3DCEC60D0' { Get-LyncarrHash -Stream $held }
Remove-LyncarrUpload
Test-That 'package: one that is read stays' $true { [System.IO.File]::Exists($uploaded) }
$held.Close()
Remove-LyncarrUpload
Test-That 'package: gone' $false { [System.IO.Directory]::Exists([System.IO.Path]::GetDirectoryName($uploaded)) }
Receive-LyncarrFile -Url "file:///$($package.Replace('\', '/'))" -Path $uploaded
Test-That 'download: Windows decides on TLS where it may' 'SystemDefault' { [string][System.Net.ServicePointManager]::SecurityProtocol }
[System.Net.ServicePointManager]::SecurityProtocol = [System.Net.SecurityProtocolType]'Tls11'
Receive-LyncarrFile -Url "file:///$($package.Replace('\', '/'))" -Path $uploaded
Test-That 'download: TLS 1.2 beside what is set' 'Tls11, Tls12' { [string][System.Net.ServicePointManager]::SecurityProtocol }
Test-That 'download: the same' $true { (New-Object System.IO.FileInfo $uploaded).Length -eq (New-Object System.IO.FileInfo $package).Length }
Test-That 'download: fails' $true { (Get-Failure { Receive-LyncarrFile -Url 'https://no-such-host.invalid/a.msi' -Path $uploaded }).StartsWith('installer: the host cannot download https://no-such-host.invalid/a.msi (') }

# Signatures and logs.
Test-That 'signature: signed' 'Valid' { (Get-LyncarrSignature -Path $package)['Status'] }
Test-That 'signature: by' $true { (Get-LyncarrSignature -Path $package)['Subject'].Contains('O=Microsoft Corporation') }
Test-That 'signature: none' 'NotSigned,' { $found = Get-LyncarrSignature -Path 'C:\windows\system32\kernel32.dll'; "$($found['Status']),$($found['Subject'])" }
Test-That 'error text' $true { (Get-LyncarrErrorText -Code 5).Length -gt 0 }
Test-That 'log: missing' '' { Read-LyncarrInstallerLog -Log 'C:\no-such.log' }
function Read-Log {
    param([string[]]$Lines)
    [System.IO.File]::WriteAllLines("$lab\test.log", $Lines, [System.Text.Encoding]::Unicode)
    Read-LyncarrInstallerLog -Log "$lab\test.log"
}
$ended = @(
    'Action ended 5:30:37: InstallFinalize. Return value 3.'
    "Aktion beendet um 05:30:37: InstallFinalize. R$([char]0xFC)ckgabewert 3."
    "Action termin$([char]0xE9)e $([char]0xE0) 05:30:37 : InstallFinalize. Valeur renvoy$([char]0xE9)e : 3."
    "$([char]0x64CD)$([char]0x4F5C)$([char]0x7D42)$([char]0x4E86) 5:30:37: InstallFinalize$([char]0x3002)$([char]0x623B)$([char]0x308A)$([char]0x5024) 3$([char]0x3002)"
    'Toiminto loppui 5.30.37: InstallFinalize. Paluuarvo 3.'
)
foreach ($line in $ended) {
    Test-That "log: the reason, in any language $line" "why it failed $line" {
        Read-Log @('MSI (s) (38:60) [05:30:37:203]: Note: 1: 2262 2: Error 3', 'Action ended 5:30:33: CostFinalize. Return value 1.', 'why it failed', '', $line, 'last', $line)
    }
}
Test-That 'log: no reason' 'before last' { Read-Log @('first', 'before', 'DateTime=2026-01-01T00:00:00.0000000Z', 'last', 'Property(S): X = 12:00:03', '=== Logging stopped: 11/24/2026  6:45:33 ===', '') }
Test-That 'log: empty' '' { Read-Log @('') }
$held = New-Object System.IO.FileStream "$lab\test.log", 'Open', 'Write', 'ReadWrite'
Test-That 'log: still written' '' { Read-LyncarrInstallerLog -Log "$lab\test.log" }
$held.Close()

# WebPI.
Test-That 'webpi: none' '' { Find-LyncarrWebpi }
[void][System.IO.Directory]::CreateDirectory('C:\Program Files\Microsoft\Web Platform Installer')
foreach ($name in @('WebpiCmd.exe', 'WebpiCmd-x64.exe')) {
    [System.IO.File]::WriteAllText("C:\Program Files\Microsoft\Web Platform Installer\$name", '')
    Test-That "webpi: found $name" "C:\Program Files\Microsoft\Web Platform Installer\$name" { Find-LyncarrWebpi }
}

# Certificates.
$given = ConvertFrom-Json -InputObject ([System.IO.File]::ReadAllText($Secrets))
$pfx = @{ pfx = $given.pfx; pfx_password = $given.pfx_password }
$thumbprint = [string]$given.thumbprint
Test-That 'store: nothing yet' 0 { @(Get-LyncarrCertificate -Store 'My' -Thumbprint $thumbprint).Count }
$root = New-Object System.Security.Cryptography.X509Certificates.X509Certificate2 (,[Convert]::FromBase64String($given.root))
Test-That 'key: none in a certificate alone' $false { Test-LyncarrPrivateKey -Certificate $root }
Test-That 'key: the machine has none yet' $false { Test-LyncarrDefaultKey -Certificate $root }
Add-LyncarrCertificate -Store 'Root' -Data $given.root
Test-That 'store: added' $root.Thumbprint { (Get-LyncarrCertificate -Store 'Root' -Thumbprint $root.Thumbprint).Thumbprint }
Test-That 'store: all of them' $true { @(Get-LyncarrCertificate -Store 'Root' -Thumbprint '').Count -ge 1 }
Test-That 'key: wrong password' $true { (Get-Failure { Import-LyncarrKey -Secrets @{ pfx = $given.pfx; pfx_password = 'wrong' } -Thumbprint $thumbprint }).StartsWith('certificate: Windows did not import the private key (') }
Import-LyncarrKey -Secrets $pfx -Thumbprint $thumbprint
$kept = @(Get-LyncarrCertificate -Store 'My' -Thumbprint $thumbprint)
Test-That 'key: imported' 1 { $kept.Count }
Test-That 'key: opens' $true { Test-LyncarrPrivateKey -Certificate $kept[0] }
Test-That 'key: belongs to this certificate' $false { Test-LyncarrDefaultKey -Certificate $root }

# HTTP.sys and the site.
[System.IO.File]::WriteAllText('C:\windows\system32\inetsrv\config\httpsys.txt', "0.0.0.0:443 $thumbprint MY`nrp01.contoso.com:443 $thumbprint MY`n")
Test-That 'records: addresses and names' "0.0.0.0:443=$thumbprint,rp01.contoso.com:443=$thumbprint" {
    [string]::Join(',', [string[]]@(foreach ($record in @(Get-LyncarrSslRecord)) { "$($record['Endpoint'])=$($record['Thumbprint'])" }))
}
$context = @{ Manager = $null; Configuration = $null; Opened = $false; RestartIis = $false; StartSite = 'Default Web Site' }
[System.IO.File]::WriteAllText('C:\windows\system32\inetsrv\config\sitestate.txt', "Stopped Default Web Site`n")
[void](Get-LyncarrConfiguration -Context $context)
Test-That 'site: stopped' $false { Test-LyncarrSiteStarted -Site (Find-LyncarrSite -Context $context -Name 'default web site') }
Start-LyncarrSite -Context $context
Test-That 'site: started' $true { Test-LyncarrSiteStarted -Site (Find-LyncarrSite -Context $context -Name 'Default Web Site') }
(Find-LyncarrSite -Context $context -Name 'Default Web Site').get_Bindings().Clear()
Test-That 'commit: without a binding' $true { Save-LyncarrConfiguration -Context $context -LastAttempt $true }
Close-LyncarrConfiguration -Context $context
[void](Get-LyncarrConfiguration -Context $context)
Test-That 'site: unknown to the service' $false { Test-LyncarrSiteStarted -Site (Find-LyncarrSite -Context $context -Name 'Default Web Site') }
Test-That 'site: no such site' $true { $null -eq (Find-LyncarrSite -Context $context -Name 'No Site') }
Test-That 'site: does not start' $true { (Get-Failure { Start-LyncarrSite -Context $context }).StartsWith("binding: the web site 'Default Web Site' does not start (") }
[System.IO.File]::WriteAllText('C:\windows\system32\inetsrv\config\standin-faults.txt', "httpsys`n")
(Find-LyncarrSite -Context $context -Name 'Default Web Site').SetAttributeValue('serverAutoStart', $false)
Test-That 'commit: HTTP.sys refuses' $true { (Get-Failure { Save-LyncarrConfiguration -Context $context -LastAttempt $true }).StartsWith('binding: the configuration is written, but HTTP.sys refused the certificate (') }
Close-LyncarrConfiguration -Context $context

# A server without IIS.
[Microsoft.Win32.Registry]::LocalMachine.DeleteSubKeyTree('SYSTEM\CurrentControlSet\Services\W3SVC')
Test-That 'IIS: not there' $true { (Get-Failure { Assert-LyncarrIis }).StartsWith('needs: needs step iis') }

# What Windows cannot be made to do here: other functions of the platform layer take its place, from here on.
$folder = Initialize-LyncarrFolder
function Test-LyncarrSharingViolation { return $false }
Test-That 'lock: another error of the disk' 'IOException' { Get-Failure { Open-LyncarrLock -Holder '{}' } }
Test-That 'holder: another error of the disk' 'IOException' { Get-Failure { Read-LyncarrHolder } }
function Invoke-LyncarrProgram { return 5 }
Test-That 'folder: icacls fails' "denied: the folder $folder could not be restricted to administrators: icacls ended with exit code 5" { Get-Failure { Initialize-LyncarrFolder } }

# The folder for Administrators only.
Test-That 'folder: whose' ([System.Security.Principal.WindowsIdentity]::GetCurrent().User.Value) { Get-LyncarrOwner -Path $folder }
$calls = New-Object System.Collections.ArrayList
function Invoke-LyncarrProgram {
    param([string]$Path, [string]$Arguments)
    [void]$calls.Add(($Arguments -creplace [regex]::Escape($folder), 'FOLDER' -creplace '-[0-9a-f-]{36}', '-OTHER'))
    return 0
}
$closing = @('"FOLDER" /setowner *S-1-5-32-544 /q', '"FOLDER" /inheritance:r /grant:r *S-1-5-32-544:(OI)(CI)F *S-1-5-18:(OI)(CI)F /q')
function Get-Folder { return [string]::Join(' ', @([System.IO.Directory]::GetDirectories('C:\ProgramData', 'lyncarr*'))) }
Test-That 'folder: there already' ([string]::Join(' | ', $closing)) { [void](Initialize-LyncarrFolder); [string]::Join(' | ', $calls.ToArray()) }
$script:LyncarrState['Lock'].Close()
[System.IO.Directory]::Delete($folder, $true)
$calls.Clear()
Test-That 'folder: a new one is closed before it has its name' ([string]::Join(' | ', @($closing.Replace('FOLDER', 'FOLDER-OTHER') + $closing))) { [void](Initialize-LyncarrFolder); [string]::Join(' | ', $calls.ToArray()) }
Test-That 'folder: nothing else stays' $folder { Get-Folder }
[System.IO.File]::WriteAllText("$folder\lock", '')
function Get-LyncarrOwner {
    param([string]$Path)
    if ($Path.EndsWith('lock')) { return 'S-1-5-21-1-2-3-1001' }
    return 'S-1-5-18'
}
Test-That 'folder: a file in it is of another' "denied: the owner of $folder\lock is S-1-5-21-1-2-3-1001, which is neither the Administrators group nor SYSTEM" { Get-Failure { Initialize-LyncarrFolder } }
function Get-LyncarrOwner { return 'S-1-5-21-1-2-3-1001' }
$calls.Clear()
Test-That 'folder: of another' "denied: the owner of $folder is S-1-5-21-1-2-3-1001, which is neither the Administrators group nor SYSTEM" { Get-Failure { Initialize-LyncarrFolder } }
Test-That 'folder: of another, and not touched' 0 { $calls.get_Count() }
function Get-LyncarrOwner { return 'S-1-5-32-544' }
[System.IO.Directory]::Delete($folder, $true)
function Protect-LyncarrFolder { param([string]$Path) [void][System.IO.Directory]::CreateDirectory($folder) }
Test-That 'folder: another run was quicker' $folder { [void](Initialize-LyncarrFolder); Get-Folder }
[System.IO.Directory]::Delete($folder, $true)
function Protect-LyncarrFolder { param([string]$Path) [System.IO.File]::WriteAllText("$Path\lock", '') }
Test-That 'folder: a file in a new one' $true { (Get-Failure { Initialize-LyncarrFolder }).StartsWith("denied: another account put files into the folder $folder-") }
Test-That 'folder: is not taken then' $false { [System.IO.Directory]::Exists($folder) }
