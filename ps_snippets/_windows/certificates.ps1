# Certificate stores of the local computer.

function Get-LyncarrStore {
    # A store of LocalMachine, opened for reading or for adding, never for both: a store object that was read can lose what is added.
    param([string]$Store, [string]$Mode)
    $opened = New-Object System.Security.Cryptography.X509Certificates.X509Store ($Store, [System.Security.Cryptography.X509Certificates.StoreLocation]::LocalMachine)
    [void]$opened.Open($Mode)
    return $opened
}

function Get-LyncarrCertificate {
    # Emits the certificates of a store, or only the one with $Thumbprint.
    param([string]$Store, [string]$Thumbprint)
    $opened = Get-LyncarrStore -Store $Store -Mode 'ReadOnly'
    try { foreach ($certificate in $opened.get_Certificates()) { if ($Thumbprint -ceq '' -or $certificate.get_Thumbprint() -ceq $Thumbprint) { $certificate } } }
    finally { $opened.Close() }
}

function Test-LyncarrPrivateKey {
    # Does the certificate have a private key that opens? HasPrivateKey is also true where the key was deleted.
    # .NET Framework 4.5 opens RSA keys of the older providers only. 0x80090014 and NotSupported mean a key of another kind.
    # https://learn.microsoft.com/dotnet/api/system.security.cryptography.x509certificates.x509certificate2.privatekey
    param([System.Security.Cryptography.X509Certificates.X509Certificate2]$Certificate)
    if (-not $Certificate.get_HasPrivateKey()) { return $false }
    try { return ($null -ne $Certificate.get_PrivateKey()) }
    catch [System.NotSupportedException] { return $true }
    catch [System.Security.Cryptography.CryptographicException] {
        if ($_.Exception.GetBaseException().get_HResult() -eq -2146893804) { return $true }
        return Test-LyncarrDefaultKey -Certificate $Certificate
    }
}

function Test-LyncarrDefaultKey {
    # For the lab on Wine only, which stores every imported key in the default container of the machine and opens it under no other name.
    param([System.Security.Cryptography.X509Certificates.X509Certificate2]$Certificate)
    $container = New-Object System.Security.Cryptography.CspParameters
    $container.Flags = [System.Security.Cryptography.CspProviderFlags]'UseMachineKeyStore, UseDefaultKeyContainer, UseExistingKey'
    try { $modulus = [System.BitConverter]::ToString((New-Object System.Security.Cryptography.RSACryptoServiceProvider $container).ExportParameters($false).Modulus) }
    catch [System.Security.Cryptography.CryptographicException] { return $false }
    return [System.BitConverter]::ToString($Certificate.PublicKey.EncodedKeyValue.RawData).Contains($modulus)
}

#:write

function Add-LyncarrCertificate {
    # $Data is the certificate (DER) in base64.
    param([string]$Store, [string]$Data)
    $opened = Get-LyncarrStore -Store $Store -Mode 'ReadWrite'
    try { [void]$opened.Add((New-Object System.Security.Cryptography.X509Certificates.X509Certificate2 (,[Convert]::FromBase64String($Data)))) }
    finally { $opened.Close() }
}

function Import-LyncarrKey {
    # Imports the certificate of the PFX with its private key into LocalMachine\My. The key belongs to the machine and cannot be exported.
    # Bytes and password are passed to a .NET method, because module logging (event 4103) records the arguments of commands.
    # https://learn.microsoft.com/dotnet/api/system.security.cryptography.x509certificates.x509keystorageflags
    param([Collections.IDictionary]$Secrets, [string]$Thumbprint)
    $bytes = [Convert]::FromBase64String([string]$Secrets['pfx'])
    $found = New-Object System.Security.Cryptography.X509Certificates.X509Certificate2Collection
    $opened = Get-LyncarrStore -Store 'My' -Mode 'ReadWrite'
    try {
        [void]$found.Import($bytes, [string]$Secrets['pfx_password'], [System.Security.Cryptography.X509Certificates.X509KeyStorageFlags]'MachineKeySet, PersistKeySet')
        foreach ($certificate in $found) { if ($certificate.get_Thumbprint() -ceq $Thumbprint) { [void]$opened.Add($certificate) } }
    }
    catch [System.Security.Cryptography.CryptographicException] {
        $cause = $_.Exception.GetBaseException()
        $hint = 'Import the PFX on the host by hand to see the cause.'
        # E_ACCESSDENIED occurs in remote sessions of an account that has no profile on the host yet.
        if ($cause.get_HResult() -eq -2147024891) { $hint = 'Log on to the host once with this account, because Windows refuses a key to an account without a profile. Then run the command again.' }
        Stop-Lyncarr -Kind 'certificate' -Text "Windows did not import the private key ($($cause.Message.Trim()))" -Hint $hint
    }
    finally {
        $opened.Close()
        [array]::Clear($bytes, 0, $bytes.Length)
    }
}
