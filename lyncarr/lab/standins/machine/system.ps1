# Makes a fresh Wine prefix look like a Windows server and compiles the library that its IIS role will bring. Runs once, on Wine.
param([string]$System)
$ErrorActionPreference = 'Stop'
$values = @{
    '2012r2' = @{ CurrentVersion = '6.3'; CurrentBuild = '9600'; CurrentBuildNumber = '9600'; ProductName = 'Windows Server 2012 R2 Standard'; EditionID = 'ServerStandard'; InstallationType = 'Server' }
    '2022' = @{ CurrentVersion = '6.3'; CurrentBuild = '20348'; CurrentBuildNumber = '20348'; ProductName = 'Windows Server 2022 Standard'; EditionID = 'ServerStandard'; InstallationType = 'Server' }
}
$key = [Microsoft.Win32.Registry]::LocalMachine.CreateSubKey('SOFTWARE\Microsoft\Windows NT\CurrentVersion')
foreach ($name in $values[$System].Keys) { $key.SetValue($name, $values[$System][$name]) }
if ($System -ceq '2012r2') {
    # Windows 10 brought these two; where they are missing the API answers with CurrentVersion.
    $key.DeleteValue('CurrentMajorVersionNumber', $false)
    $key.DeleteValue('CurrentMinorVersionNumber', $false)
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
