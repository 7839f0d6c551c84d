@{
    RootModule = 'Vendor.psm1'
    ModuleVersion = '1.0'
    GUID = '0d1f6d2c-53f4-4a57-9a0e-6d4f2d6f8a51'
    CompatiblePSEditions = 'Desktop', 'Core'
    FunctionsToExport = 'Get-WindowsFeature', 'Install-WindowsFeature', 'Get-AuthenticodeSignature'
    CmdletsToExport = @()
    VariablesToExport = @()
    AliasesToExport = @()
}
