# The Web Server role with the default features of its wizard, and its service. A feature that the edition does not offer is not drift.

function Get-LyncarrMissingFeature {
    # The features that are offered and not installed. Emits items. Server Core may list the console as Removed and cannot install it.
    param([Collections.IDictionary]$Features)
    $names = @(
        'Web-Server', 'Web-WebServer', 'Web-Common-Http', 'Web-Default-Doc', 'Web-Dir-Browsing', 'Web-Http-Errors', 'Web-Static-Content',
        'Web-Health', 'Web-Http-Logging', 'Web-Performance', 'Web-Stat-Compression', 'Web-Security', 'Web-Filtering'
    )
    foreach ($name in $names) { if ($Features.Contains($name) -and $Features[$name] -cne 'Installed') { $name } }
    foreach ($name in @('Web-Mgmt-Tools', 'Web-Mgmt-Console')) { if ($Features[$name] -ceq 'Available') { $name } }
}

function Get-IisState {
    param([Collections.IDictionary]$Desired, [Collections.IDictionary]$Parameters, [Collections.IDictionary]$Context)
    $state = [ordered]@{}
    $features = Get-LyncarrFeature
    if ($features['Web-Server'] -ceq 'Installed') {
        $state['Web-Server'] = @{ installed = $true; missing = @(Get-LyncarrMissingFeature -Features $features) }
        Add-LyncarrNote -Kind 'version' -Item 'IIS' -Text ('IIS ' + [string](Get-LyncarrRegistryValue -Key 'SOFTWARE\Microsoft\InetStp' -Name 'VersionString'))
    }
    $service = Get-LyncarrService -Name 'W3SVC'
    if ($service -cne 'absent') { $state['W3SVC'] = @{ running = ($service -ceq 'running') } }
    return $state
}

#:write

function Set-IisState {
    param([Collections.IDictionary]$Desired, [Collections.IDictionary]$Parameters, [Collections.IDictionary]$Context, [Collections.IDictionary]$Secrets)
    $features = Get-LyncarrFeature
    if (-not $features.Contains('Web-Server')) { Stop-Lyncarr -Kind 'unfit' -Text 'This Windows does not offer the role Web-Server.' -Hint 'lyncarr requires Windows Server.' }
    $missing = @(Get-LyncarrMissingFeature -Features $features)
    if ($missing.Count -gt 0) {
        Save-LyncarrBackup -Name ('lyncarr-' + [string]$Context['Run'])
        Add-LyncarrProgress -Text "installing $($missing.Count) roles and features of Windows; this takes minutes"
        Send-LyncarrEvent
        $Context['RestartWindows'] = Install-LyncarrFeature -Names $missing
        # Windows can report success and still omit a feature. Without this check every later run would find the same drift.
        $remaining = @(Get-LyncarrMissingFeature -Features (Get-LyncarrFeature))
        if (-not $Context['RestartWindows'] -and $remaining.Count -gt 0) { Stop-Lyncarr -Kind 'feature' -Text "Windows reported success, but did not install $([string]::Join(', ', $remaining))" -Hint 'Run Install-WindowsFeature on the host. Add -Source if the installation files were removed.' }
    }
    if (-not $Context['RestartWindows'] -and (Get-LyncarrService -Name 'W3SVC') -cne 'running') { Start-LyncarrService -Name 'W3SVC' }
}
