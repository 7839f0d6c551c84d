# Certificates without a key in the stores of LocalMachine: self-signed ones in Root, others in CA. Items are told apart by "store".

function Get-LyncarrStored {
    # The items of $Desired that are in their store. Emits names.
    param([System.Collections.IDictionary]$Desired)
    foreach ($item in $Desired.get_Keys()) {
        if (-not $Desired[$item].Contains('store')) { continue }
        if (@(Get-LyncarrCertificate -Store $Desired[$item]['store'] -Thumbprint $Desired[$item]['thumbprint']).Count -gt 0) { $item }
    }
}

function Get-TrustedRootsState {
    param([System.Collections.IDictionary]$Desired, [System.Collections.IDictionary]$Parameters, [System.Collections.IDictionary]$Context)
    $state = [ordered]@{}
    foreach ($item in @(Get-LyncarrStored -Desired $Desired)) { $state[$item] = $Desired[$item] }
    return $state
}

#:write

function Add-LyncarrStored {
    # Adds those that are not. $Data: the certificates by item, DER in base64.
    param([System.Collections.IDictionary]$Desired, [System.Collections.IDictionary]$Data)
    $there = @(Get-LyncarrStored -Desired $Desired)
    foreach ($item in $Data.get_Keys()) {
        if ($there -cnotcontains $item) { Add-LyncarrCertificate -Store $Desired[$item]['store'] -Data $Data[$item] }
    }
}

function Set-TrustedRootsState {
    param([System.Collections.IDictionary]$Desired, [System.Collections.IDictionary]$Parameters, [System.Collections.IDictionary]$Context, [System.Collections.IDictionary]$Secrets)
    Add-LyncarrStored -Desired $Desired -Data $Parameters['certificates']
}
