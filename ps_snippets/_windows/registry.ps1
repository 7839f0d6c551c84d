# The registry: HKEY_LOCAL_MACHINE in the 64-bit view.

function Get-LyncarrRegistryValue {
    # A value, or null where the key or the value is missing.
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

function Find-LyncarrInstalledProgram {
    # The version of the first installed program whose display name begins with $Name, null where there is none.
    # https://learn.microsoft.com/windows/win32/msi/uninstall-registry-key
    param([string]$Name)
    $base = [Microsoft.Win32.RegistryKey]::OpenBaseKey([Microsoft.Win32.RegistryHive]::LocalMachine, [Microsoft.Win32.RegistryView]::Registry64)
    try {
        foreach ($part in @('SOFTWARE', 'SOFTWARE\WOW6432Node')) {
            $list = $base.OpenSubKey("$part\Microsoft\Windows\CurrentVersion\Uninstall")
            if ($null -eq $list) { continue }
            foreach ($entry in $list.GetSubKeyNames()) {
                $product = $list.OpenSubKey($entry)
                if (([string]$product.GetValue('DisplayName')).StartsWith($Name, [StringComparison]::Ordinal)) { return [string]$product.GetValue('DisplayVersion') }
            }
        }
        return $null
    }
    finally { $base.Close() }
}
