# The public certificate with its private key in LocalMachine\My, and the intermediate certificates of its PFX in CA.

function Get-LyncarrKeyState {
    # The thumbprint and whether the private key opens, or null where the certificate is not in the store.
    param([string]$Thumbprint)
    foreach ($certificate in @(Get-LyncarrCertificate -Store 'My' -Thumbprint $Thumbprint)) {
        return @{ thumbprint = $Thumbprint; private_key = [bool](Test-LyncarrPrivateKey -Certificate $certificate) }
    }
    return $null
}

function Get-CertificateState {
    param([Collections.IDictionary]$Desired, [Collections.IDictionary]$Parameters, [Collections.IDictionary]$Context)
    $state = [ordered]@{}
    foreach ($item in @(Get-LyncarrStoredItem -Desired $Desired)) { $state[$item] = $Desired[$item] }
    foreach ($item in $Desired.get_Keys()) {
        if (-not $Desired[$item].Contains('private_key')) { continue }
        $thumbprint = [string]$Desired[$item]['thumbprint']
        $seen = Get-LyncarrKeyState -Thumbprint $thumbprint
        if ($null -ne $seen) { $state[$item] = $seen }
        foreach ($other in @(Get-LyncarrCertificate -Store 'My' -Thumbprint '')) {
            if ([string]$other.Thumbprint -cne $thumbprint -and [string]::Equals($other.GetNameInfo('SimpleName', $false), [string]$Parameters['name'], [StringComparison]::OrdinalIgnoreCase)) {
                $until = $other.NotAfter.ToUniversalTime().ToString('yyyy-MM-dd', [cultureinfo]::InvariantCulture)
                Add-LyncarrNote -Kind 'old-certificate' -Item ([string]$other.Thumbprint) -Text "another certificate for $($Parameters['name']) ($($other.Thumbprint), valid until $until) stays in the store: remove it when nothing uses it"
            }
        }
    }
    return $state
}

#:write

function Set-CertificateState {
    param([Collections.IDictionary]$Desired, [Collections.IDictionary]$Parameters, [Collections.IDictionary]$Context, [Collections.IDictionary]$Secrets)
    Add-LyncarrMissingCertificate -Desired $Desired -Data $Parameters['certificates']
    foreach ($item in $Desired.get_Keys()) {
        if (-not $Desired[$item].Contains('private_key')) { continue }
        $thumbprint = [string]$Desired[$item]['thumbprint']
        # Checked first, because each import leaves one more copy of the key on the disk.
        $seen = Get-LyncarrKeyState -Thumbprint $thumbprint
        if ($null -ne $seen -and $seen['private_key']) { continue }
        Import-LyncarrKey -Secrets $Secrets -Thumbprint $thumbprint
        $seen = Get-LyncarrKeyState -Thumbprint $thumbprint
        if ($null -eq $seen) { Stop-Lyncarr -Kind 'certificate' -Text "Windows accepted the certificate $thumbprint, but it is not in LocalMachine\My" -Hint 'Check whether a policy or a security product protects that store.' }
        if (-not $seen['private_key']) { Stop-Lyncarr -Kind 'certificate' -Text "the private key of $thumbprint does not open after the import" -Hint 'Delete the certificate from LocalMachine\My on the host, then run the command again.' }
    }
}
