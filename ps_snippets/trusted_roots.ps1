# Certificates without a private key in the stores of LocalMachine: self-signed ones in Root, others in CA. Their items have the attribute
# "store".

function Get-LyncarrStoredItem {
    # The items of $Desired whose certificate is in its store. Emits names.
    param([Collections.IDictionary]$Desired)
    foreach ($item in $Desired.get_Keys()) {
        if (-not $Desired[$item].Contains('store')) { continue }
        if (@(Get-LyncarrCertificate -Store $Desired[$item]['store'] -Thumbprint $Desired[$item]['thumbprint']).Count -gt 0) { $item }
    }
}

function Get-TrustedRootsState {
    param([Collections.IDictionary]$Desired, [Collections.IDictionary]$Parameters, [Collections.IDictionary]$Context)
    $state = [ordered]@{}
    foreach ($item in @(Get-LyncarrStoredItem -Desired $Desired)) { $state[$item] = $Desired[$item] }
    return $state
}

#:write

function Add-LyncarrMissingCertificate {
    # Adds the certificates that are not in their store. $Data: item -> certificate (DER) in base64.
    param([Collections.IDictionary]$Desired, [Collections.IDictionary]$Data)
    $stored = @(Get-LyncarrStoredItem -Desired $Desired)
    foreach ($item in $Data.get_Keys()) {
        if ($stored -cnotcontains $item) { Add-LyncarrCertificate -Store $Desired[$item]['store'] -Data $Data[$item] }
    }
}

function Set-TrustedRootsState {
    param([Collections.IDictionary]$Desired, [Collections.IDictionary]$Parameters, [Collections.IDictionary]$Context, [Collections.IDictionary]$Secrets)
    Add-LyncarrMissingCertificate -Desired $Desired -Data $Parameters['certificates']
}
