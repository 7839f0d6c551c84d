# IIS: its configuration, its schema, its web sites and the records of HTTP.sys.

function Get-LyncarrInetsrv {
    return [System.IO.Path]::Combine([Environment]::GetFolderPath([Environment+SpecialFolder]::System), 'inetsrv')
}

function Test-LyncarrSharedConfiguration {
    # https://learn.microsoft.com/iis/configuration/configurationredirection/
    $file = [System.IO.Path]::Combine((Get-LyncarrInetsrv), 'config', 'redirection.config')
    if (-not [System.IO.File]::Exists($file)) { return $false }
    $document = New-Object System.Xml.XmlDocument
    $document.Load($file)
    $node = $document.SelectSingleNode('/configuration/configurationRedirection/@enabled')
    return ($null -ne $node -and [string]::Equals($node.Value, 'true', [StringComparison]::OrdinalIgnoreCase))
}

function Import-LyncarrIis {
    # Loads Microsoft.Web.Administration; $false where IIS is not installed.
    # By its path: without a path .NET may load the library of IIS Express, which reads another file.
    $library = [System.IO.Path]::Combine((Get-LyncarrInetsrv), 'Microsoft.Web.Administration.dll')
    $file = [System.IO.Path]::Combine((Get-LyncarrInetsrv), 'config', 'applicationHost.config')
    if (-not ([System.IO.File]::Exists($library) -and [System.IO.File]::Exists($file))) { return $false }
    [void][System.Reflection.Assembly]::LoadFrom($library)
    return $true
}

function Get-LyncarrConfiguration {
    # applicationHost.config, opened once per request; null where IIS is not installed.
    param([Collections.IDictionary]$Context)
    if (-not $Context['Opened']) {
        if (Import-LyncarrIis) {
            $Context['Manager'] = New-Object Microsoft.Web.Administration.ServerManager
            $Context['Configuration'] = $Context['Manager'].GetApplicationHostConfiguration()
        }
        $Context['Opened'] = $true
    }
    return $Context['Configuration']
}

function Close-LyncarrConfiguration {
    # Discards what was not committed.
    param([Collections.IDictionary]$Context)
    if ($null -ne $Context['Manager']) { $Context['Manager'].Dispose() }
    $Context['Manager'] = $null
    $Context['Configuration'] = $null
    $Context['Opened'] = $false
}

function Test-LyncarrSchema {
    # Do the schema files of a section exist? The declaration of a section can remain after its module was removed.
    param([string]$Section)
    $files = @()
    switch -CaseSensitive ($Section) {
        'webFarms' { $files = @('webfarm.xml', 'arr_schema.xml') }
        'system.webServer/rewrite/globalRules' { $files = @('rewrite_schema.xml') }
    }
    foreach ($file in $files) {
        if (-not [System.IO.File]::Exists([System.IO.Path]::Combine((Get-LyncarrInetsrv), 'config', 'schema', $file))) { return $false }
    }
    return $true
}

function Find-LyncarrSite {
    param([Collections.IDictionary]$Context, [string]$Name)
    foreach ($site in $Context['Manager'].get_Sites()) { if ($site.get_Name() -ieq $Name) { return ,$site } }
    return $null
}

function Test-LyncarrSiteStarted {
    # The running service answers. It throws for a site that it does not know (yet), such as one without an http binding.
    # https://learn.microsoft.com/dotnet/api/microsoft.web.administration.objectstate (1 is Started)
    param([Microsoft.Web.Administration.Site]$Site)
    try { return ([int]$Site.get_State() -eq 1) }
    catch [System.Runtime.InteropServices.COMException] { return $false }
}

function Get-LyncarrSslRecord {
    # Emits the address (or SNI name) and the certificate of each record of HTTP.sys. netsh prints in the language of the host, so only the
    # form of the values counts: name:port at the end of a line, then 40 hexadecimal digits.
    # https://learn.microsoft.com/windows-server/networking/technologies/netsh/netsh-http
    $process = Start-LyncarrProgram -Name 'netsh.exe' -Arguments 'http show sslcert' -Read $true
    try {
        $text = $process.StandardOutput.ReadToEnd()
        [void]$process.WaitForExit([int]::MaxValue)
    }
    finally { $process.Close() }
    $endpoint = ''
    foreach ($match in [regex]::Matches($text, '(?m)(\S+:[0-9]{1,5})\s*$|\b([0-9a-fA-F]{40})\b')) {
        if ($match.Groups[1].Success) { $endpoint = $match.Groups[1].Value }
        else { @{ Endpoint = $endpoint; Thumbprint = $match.Groups[2].Value.ToUpperInvariant() } }
    }
}

#:write

function Assert-LyncarrIis {
    # Ends the request where IIS is not installed.
    if ((Get-LyncarrService -Name 'W3SVC') -ceq 'absent') { Stop-LyncarrMissingStep -Step 'iis' -Reason 'IIS is not installed on this host' }
}

function Save-LyncarrConfiguration {
    # Commits the changes; $false where another program changed or locked the file, so that another attempt is due. Both raise
    # FileLoadException, and nothing is written then: the mark for a restart of IIS is set back.
    param([Collections.IDictionary]$Context, [bool]$LastAttempt)
    $before = Test-LyncarrRestartPending
    if ([bool]$Context['RestartIis']) { Set-LyncarrRestartPending -Pending $true }
    try { $Context['Manager'].CommitChanges() }
    catch [System.IO.FileLoadException] {
        Set-LyncarrRestartPending -Pending $before
        if ($LastAttempt) { throw }
        return $false
    }
    catch [System.ComponentModel.Win32Exception] {
        # HTTP.sys is written last, so the file is written already.
        Stop-Lyncarr -Kind 'binding' -Text "the configuration is written, but HTTP.sys refused the certificate ($($_.Exception.GetBaseException().Message.Trim()))" -Hint 'Check its private key with lyncarr plan --step certificate, then run the command again.'
    }
    return $true
}

function Save-LyncarrBackup {
    # Copies the configuration to the folder of appcmd's backups, once per run, before the first write.
    param([string]$Name)
    if ($null -ne $script:LyncarrState['Backup']) { return }
    $source = [System.IO.Path]::Combine((Get-LyncarrInetsrv), 'config')
    if (-not [System.IO.File]::Exists([System.IO.Path]::Combine($source, 'applicationHost.config'))) { return }
    $target = [System.IO.Path]::Combine((Get-LyncarrInetsrv), 'backup', $Name)
    if (-not [System.IO.Directory]::Exists($target)) {
        [void][System.IO.Directory]::CreateDirectory($target)
        foreach ($file in @('applicationHost.config', 'administration.config', 'redirection.config')) {
            $path = [System.IO.Path]::Combine($source, $file)
            if ([System.IO.File]::Exists($path)) { [System.IO.File]::Copy($path, [System.IO.Path]::Combine($target, $file)) }
        }
    }
    $script:LyncarrState['Backup'] = $Name
    Add-LyncarrNote -Kind 'backup' -Text $Name
}

function Restart-LyncarrIis {
    # Farm settings are sure to take effect only after a restart of IIS. /noforce never kills a worker process that does not stop.
    # https://learn.microsoft.com/previous-versions/windows/it-pro/windows-server-2012-r2-and-2012/jj635851(v=ws.11)
    $code = Invoke-LyncarrProgram -Name 'iisreset.exe' -Arguments '/noforce'
    if ($code -ne 0) { Stop-Lyncarr -Kind 'restart' -Text "the configuration is written, but iisreset /noforce ended with exit code $code" -Hint 'Run iisreset /noforce on the host, or run the command again.' }
    Set-LyncarrRestartPending -Pending $false
}

function Start-LyncarrSite {
    # Starts the web site after the commit, with a new ServerManager. The service learns of the committed changes a moment later.
    param([Collections.IDictionary]$Context)
    for ($attempt = 1; $true; $attempt++) {
        Close-LyncarrConfiguration -Context $Context
        [void](Get-LyncarrConfiguration -Context $Context)
        $cause = 'Windows reported no error'
        # Start returns the state: 1 is Started, and it may still be Starting.
        try { if ([int](Find-LyncarrSite -Context $Context -Name $Context['StartSite']).Start() -eq 1) { return } }
        catch [System.Runtime.InteropServices.COMException] { $cause = $_.Exception.GetBaseException().Message.Trim() }
        if ($attempt -ge 5) { Stop-Lyncarr -Kind 'binding' -Text "the web site '$($Context['StartSite'])' does not start ($cause)" -Hint 'Check whether another web site or program uses its address and port.' }
        [System.Threading.Thread]::Sleep(1000)
    }
}
