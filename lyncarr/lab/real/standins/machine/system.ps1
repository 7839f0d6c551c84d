# Makes a fresh Wine prefix look like a Windows server and compiles the library that its IIS role will bring. Runs once, on Wine.
param([string]$System)
$ErrorActionPreference = 'Stop'
$key = [Microsoft.Win32.Registry]::LocalMachine.CreateSubKey('SOFTWARE\Microsoft\Windows NT\CurrentVersion')
$build, $product = @{ '2012r2' = @('9600', 'Windows Server 2012 R2 Standard'); '2022' = @('20348', 'Windows Server 2022 Standard') }[$System]
$key.SetValue('CurrentVersion', '6.3')
$key.SetValue('CurrentBuild', $build)
$key.SetValue('CurrentBuildNumber', $build)
$key.SetValue('ProductName', $product)
$key.SetValue('EditionID', 'ServerStandard')
$key.SetValue('InstallationType', 'Server')
# Windows 10 brought these two, and left CurrentVersion at 6.3; where they are missing the API answers with CurrentVersion.
$key.DeleteValue('CurrentMajorVersionNumber', $false)
$key.DeleteValue('CurrentMinorVersionNumber', $false)
if ($System -cne '2012r2') {
    $key.SetValue('CurrentMajorVersionNumber', 10, 'DWord')
    $key.SetValue('CurrentMinorVersionNumber', 0, 'DWord')
}
$key.Close()
$key = [Microsoft.Win32.Registry]::LocalMachine.CreateSubKey('SYSTEM\CurrentControlSet\Control\ProductOptions')
$key.SetValue('ProductType', 'ServerNT')
$key.Close()
# Wine has a netsh.exe of its own, which does nothing, and prefers it to the one in system32 unless told otherwise.
$key = [Microsoft.Win32.Registry]::CurrentUser.CreateSubKey('Software\Wine\DllOverrides')
$key.SetValue('netsh.exe', 'native')
$key.Close()
Add-Type -Path 'C:\windows\lab\Iis.cs' -OutputAssembly 'C:\windows\lab\iis\Microsoft.Web.Administration.dll'
'made'
