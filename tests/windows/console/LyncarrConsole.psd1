@{
    ModuleVersion = '1.0'
    CompatiblePSEditions = @('Core')
    RootModule = 'LyncarrConsole.psm1'
    FunctionsToExport = @(
        'Get-NetFirewallRule', 'New-NetFirewallRule', 'Remove-NetFirewallRule', 'Get-NetFirewallPortFilter', 'Get-NetFirewallAddressFilter', 'Get-NetFirewallProfile',
        'Get-WSManInstance', 'New-WSManInstance', 'Remove-WSManInstance', 'New-SelfSignedCertificate', 'Set-Service', 'Remove-Item'
    )
}
