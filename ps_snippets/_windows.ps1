# The seam: every line that touches Windows itself. Outside this file snippets use the language, .NET that runs anywhere, and these functions.

function Get-LyncarrRegistryValue {
    # A value of HKEY_LOCAL_MACHINE in the 64-bit view, or null where key or value is missing.
    # https://learn.microsoft.com/dotnet/api/microsoft.win32.registrykey.openbasekey
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

function Get-LyncarrPendingRename {
    # Full paths of what Windows replaces or deletes at its next start: pairs of \??\C:\... and what it is to become, empty for deleting,
    # with a ! before it where that may be there already. Emits items. https://learn.microsoft.com/windows/win32/api/winbase/nf-winbase-movefileexa
    foreach ($entry in @(Get-LyncarrRegistryValue -Key 'SYSTEM\CurrentControlSet\Control\Session Manager' -Name 'PendingFileRenameOperations')) {
        $path = ([string]$entry).TrimStart('!').Replace('\??\', '')
        if ($path -cne '') { $path }
    }
}

function Get-LyncarrRebootReason {
    # Why this host must restart before anything is installed; nothing where it need not. Emits items.
    # https://learn.microsoft.com/windows-hardware/manufacture/desktop/component-based-servicing
    if (Test-LyncarrRegistryKey -Key 'SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\RebootPending') { 'Windows waits for a restart to finish with roles, features or updates' }
    if (Test-LyncarrRegistryKey -Key 'SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\Auto Update\RebootRequired') { 'Windows Update waits for a restart' }
    $own = @(((Get-LyncarrInetsrv) + '\'), ((Get-LyncarrProgramFiles) + '\IIS\'))
    foreach ($file in @(Get-LyncarrPendingRename)) {
        if (@(foreach ($folder in $own) { if ($file.StartsWith($folder, [StringComparison]::OrdinalIgnoreCase)) { $folder } }).Count -gt 0) {
            "$file is replaced or deleted at the next restart"
            break
        }
    }
    $active = [string](Get-LyncarrRegistryValue -Key 'SYSTEM\CurrentControlSet\Control\ComputerName\ActiveComputerName' -Name 'ComputerName')
    $next = [string](Get-LyncarrRegistryValue -Key 'SYSTEM\CurrentControlSet\Control\ComputerName\ComputerName' -Name 'ComputerName')
    if (-not [string]::Equals($active, $next, [StringComparison]::OrdinalIgnoreCase)) { "the computer is called $next after the next restart" }
}

function Test-LyncarrPendingReboot {
    return (@(Get-LyncarrRebootReason).Count -gt 0)
}

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

function Get-LyncarrHello {
    param([string]$Run, [bool]$PendingReboot)
    $version = 'SOFTWARE\Microsoft\Windows NT\CurrentVersion'
    $build = 0
    [void][int]::TryParse([string](Get-LyncarrRegistryValue -Key $version -Name 'CurrentBuild'), [ref]$build)
    $principal = New-Object System.Security.Principal.WindowsPrincipal ([System.Security.Principal.WindowsIdentity]::GetCurrent())
    $elevated = $principal.IsInRole([System.Security.Principal.WindowsBuiltInRole]::Administrator)
    $bits = 32
    if ([Environment]::Is64BitProcess) { $bits = 64 }
    $running = [TimeSpan]::FromSeconds([System.Diagnostics.Stopwatch]::GetTimestamp() / [System.Diagnostics.Stopwatch]::Frequency)
    $shared = $false
    # Only an administrator may read redirection.config; a session without these rights is refused for that reason, told by elevated.
    if ($elevated) { $shared = Test-LyncarrSharedConfiguration }
    return @{
        event = 'hello'; protocol = 1; run = $Run; computer = [Environment]::MachineName
        os = [string](Get-LyncarrRegistryValue -Key $version -Name 'ProductName'); build = $build
        powershell = $PSVersionTable['PSVersion'].ToString(); bits = $bits; elevated = $elevated
        booted = ([datetime]::UtcNow - $running).ToString('yyyy-MM-ddTHH:mm:ssZ', [cultureinfo]::InvariantCulture)
        pending_reboot = $PendingReboot; shared_configuration = [bool]$shared
    }
}

function Get-LyncarrOwner {
    # The SID of the owner of a file or folder, who may always give himself any right to it.
    # https://learn.microsoft.com/dotnet/api/system.security.accesscontrol.filesecurity.-ctor
    param([string]$Path)
    $security = New-Object System.Security.AccessControl.FileSecurity ($Path, [System.Security.AccessControl.AccessControlSections]::Owner)
    return [string]$security.GetOwner([System.Security.Principal.SecurityIdentifier]).Value
}

function Protect-LyncarrFolder {
    # Full control for Administrators and SYSTEM (by SID, names are localised), nothing inherited. Rights that were given by name stay:
    # /reset would take them too, yet give back for a moment what every user inherits from ProgramData.
    # https://learn.microsoft.com/windows-server/administration/windows-commands/icacls
    param([string]$Path)
    $icacls = [System.IO.Path]::Combine([Environment]::GetFolderPath([Environment+SpecialFolder]::System), 'icacls.exe')
    foreach ($change in @('/setowner *S-1-5-32-544', '/inheritance:r /grant:r *S-1-5-32-544:(OI)(CI)F *S-1-5-18:(OI)(CI)F')) {
        $code = Invoke-LyncarrProgram -Path $icacls -Arguments ('"' + $Path + '" ' + $change + ' /q')
        if ($code -ne 0) { Stop-Lyncarr -Kind 'denied' -Text "the folder $Path could not be restricted to administrators: icacls ended with exit code $code" -Hint "Remove the folder $Path on the host, then run the command again." }
    }
}

function New-LyncarrFolder {
    # Under a name of its own until it is closed and known to be empty: in a new folder of ProgramData every user may create files.
    param([string]$Path)
    $new = $Path + '-' + [guid]::NewGuid().ToString()
    [void][System.IO.Directory]::CreateDirectory($new)
    Protect-LyncarrFolder -Path $new
    if (@([System.IO.Directory]::GetFileSystemEntries($new)).Count -ne 0) { Stop-Lyncarr -Kind 'denied' -Text "another account put files into the folder $new when lyncarr created it" -Hint "Find out which account it was, remove the folder, then run the command again." }
    try { [System.IO.Directory]::Move($new, $Path) }
    catch [System.IO.IOException] {
        # Somebody made one in the meantime: another run, or who must not.
        [System.IO.Directory]::Delete($new)
    }
}

function Confirm-LyncarrOwn {
    # Stops at what another than an administrator made, or what leads elsewhere: what follows would be done to another file or folder,
    # such as System32. The account of this session is an administrator, and may own what it made.
    param([string]$Item, [string]$Folder)
    if (([int][System.IO.File]::GetAttributes($Item) -band [int][System.IO.FileAttributes]::ReparsePoint) -ne 0) { Stop-Lyncarr -Kind 'denied' -Text "$Item is a link to another place" -Hint "Remove $Folder on the host, then run the command again." }
    $owner = Get-LyncarrOwner -Path $Item
    if (@('S-1-5-32-544', 'S-1-5-18', [System.Security.Principal.WindowsIdentity]::GetCurrent().User.Value) -cnotcontains $owner) {
        Stop-Lyncarr -Kind 'denied' -Text "the owner of $Item is $owner, which is neither the Administrators group nor SYSTEM" -Hint "Find out whose account that is, remove $Folder on the host, then run the command again."
    }
}

function Get-LyncarrFolder {
    # %ProgramData%\lyncarr: the lock, and files on their way. ProgramData lets every user create files and folders, this one among them.
    $path = [System.IO.Path]::Combine([Environment]::GetFolderPath([Environment+SpecialFolder]::CommonApplicationData), 'lyncarr')
    if (-not [System.IO.Directory]::Exists($path)) { New-LyncarrFolder -Path $path }
    Confirm-LyncarrOwn -Item $path -Folder $path
    Protect-LyncarrFolder -Path $path
    foreach ($item in [System.IO.Directory]::GetFileSystemEntries($path)) { Confirm-LyncarrOwn -Item $item -Folder $path }
    return $path
}

function Test-LyncarrSharingViolation {
    # ERROR_SHARING_VIOLATION as an HRESULT. https://learn.microsoft.com/windows/win32/debug/system-error-codes--0-499-
    param([System.Exception]$Cause)
    return ($Cause.get_HResult() -eq -2147024864)
}

function Open-LyncarrLock {
    # The open lock file, or null when another process holds it. A plan's look at the lock opens the file for a moment, hence the retries.
    param([string]$Holder)
    $folder = Get-LyncarrFolder
    for ($attempt = 0; $attempt -lt 5; $attempt++) {
        $stream = $null
        try {
            $stream = [System.IO.File]::Open([System.IO.Path]::Combine($folder, 'lock'), [System.IO.FileMode]::OpenOrCreate, [System.IO.FileAccess]::ReadWrite, [System.IO.FileShare]::None)
            [System.IO.File]::WriteAllText([System.IO.Path]::Combine($folder, 'holder.json'), $Holder)
            return $stream
        }
        catch [System.IO.IOException] {
            # A plan that reads holder.json keeps it from being written: a lock left open here would lock out this very process.
            if ($null -ne $stream) { $stream.Close() }
            if (-not (Test-LyncarrSharingViolation -Cause $_.Exception.GetBaseException())) { throw }
            [System.Threading.Thread]::Sleep(100)
        }
    }
    return $null
}

function Read-LyncarrHolder {
    # Who holds the lock: the text of holder.json, or '' when nobody does.
    $folder = [System.IO.Path]::Combine([Environment]::GetFolderPath([Environment+SpecialFolder]::CommonApplicationData), 'lyncarr')
    $file = [System.IO.Path]::Combine($folder, 'lock')
    if (-not [System.IO.File]::Exists($file)) { return '' }
    try {
        $stream = [System.IO.File]::Open($file, [System.IO.FileMode]::Open, [System.IO.FileAccess]::Read, [System.IO.FileShare]::ReadWrite)
        $stream.Close()
        return ''
    }
    catch [System.IO.IOException] {
        if (-not (Test-LyncarrSharingViolation -Cause $_.Exception.GetBaseException())) { throw }
        # The holder may be writing it at this moment, or not have written it yet.
        try { return [System.IO.File]::ReadAllText([System.IO.Path]::Combine($folder, 'holder.json')) }
        catch [System.IO.IOException] { return '{}' }
    }
}

function Invoke-LyncarrProgram {
    # Runs a program by its full path and returns its exit code. Not by & : in a remote session standard error becomes error records.
    # https://learn.microsoft.com/dotnet/api/system.diagnostics.process
    param([string]$Path, [string]$Arguments)
    $process = Start-LyncarrProgram -Name $Path -Arguments $Arguments -Read $false
    try {
        # Without a time it would wait for the end of its output too, which what it started may hold open.
        [void]$process.WaitForExit([int]::MaxValue)
        return $process.get_ExitCode()
    }
    finally { $process.Close() }
}

function Import-LyncarrIis {
    # Loads Microsoft.Web.Administration; $false where IIS is not installed.
    # By path: a name without one may bring the library of IIS Express, which reads another file.
    $library = [System.IO.Path]::Combine((Get-LyncarrInetsrv), 'Microsoft.Web.Administration.dll')
    $file = [System.IO.Path]::Combine((Get-LyncarrInetsrv), 'config', 'applicationHost.config')
    if (-not ([System.IO.File]::Exists($library) -and [System.IO.File]::Exists($file))) { return $false }
    [void][System.Reflection.Assembly]::LoadFrom($library)
    return $true
}

function Get-LyncarrConfiguration {
    # applicationHost.config, opened once a request; null where IIS is not installed.
    # https://learn.microsoft.com/dotnet/api/microsoft.web.administration.servermanager
    param([System.Collections.IDictionary]$Context)
    if (-not $Context['Opened']) {
        if (Import-LyncarrIis) {
            $Context['Manager'] = New-Object Microsoft.Web.Administration.ServerManager
            $Context['Configuration'] = $Context['Manager'].GetApplicationHostConfiguration()
        }
        $Context['Opened'] = $true
    }
    return $Context['Configuration']
}

function Close-LyncarrIis {
    # Discards what was not committed.
    param([System.Collections.IDictionary]$Context)
    if ($null -ne $Context['Manager']) { $Context['Manager'].Dispose() }
    $Context['Manager'] = $null
    $Context['Configuration'] = $null
    $Context['Opened'] = $false
}

function Test-LyncarrSchema {
    # The schema files that a section needs: a declaration can outlive the module that brought it.
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

function Select-LyncarrUnresolved {
    # Those of the names that this host cannot resolve. All are asked at once and given three seconds: a DMZ host without DNS takes its time.
    # Emits items: call it in @(...). https://learn.microsoft.com/dotnet/api/system.net.dns.gethostaddressesasync
    param([string[]]$Names)
    $lookups = @{}
    foreach ($name in $Names) { $lookups[$name] = [System.Net.Dns]::GetHostAddressesAsync($name) }
    $watch = [System.Diagnostics.Stopwatch]::StartNew()
    foreach ($name in $Names) {
        while (-not $lookups[$name].get_IsCompleted() -and $watch.get_ElapsedMilliseconds() -lt 3000) { [System.Threading.Thread]::Sleep(20) }
        if (-not $lookups[$name].get_IsCompleted() -or $lookups[$name].get_IsFaulted()) { $name }
    }
}

function Get-LyncarrRestartFile {
    return [System.IO.Path]::Combine([Environment]::GetFolderPath([Environment+SpecialFolder]::CommonApplicationData), 'lyncarr', 'restart-needed')
}

function Test-LyncarrRestartPending {
    return [System.IO.File]::Exists((Get-LyncarrRestartFile))
}

function Start-LyncarrProgram {
    # Starts a program of System32, or one by its full path; gives the process, to be waited for and closed. It gets streams of its own:
    # over WinRS those of this process are the wire, and what it printed there would stand among the events.
    # https://learn.microsoft.com/dotnet/api/system.diagnostics.processstartinfo
    param([string]$Name, [string]$Arguments, [bool]$Read)
    $start = New-Object System.Diagnostics.ProcessStartInfo
    $start.FileName = [System.IO.Path]::Combine([Environment]::GetFolderPath([Environment+SpecialFolder]::System), $Name)
    $start.Arguments = $Arguments
    $start.UseShellExecute = $false
    $start.CreateNoWindow = $true
    $start.RedirectStandardInput = $true
    $start.RedirectStandardOutput = $true
    $start.RedirectStandardError = $true
    $process = [System.Diagnostics.Process]::Start($start)
    $process.StandardInput.Close()
    # Read and dropped: a full pipe would stop it.
    $process.BeginErrorReadLine()
    if (-not $Read) { $process.BeginOutputReadLine() }
    return $process
}

function Get-LyncarrFeature {
    # Name -> install state of every role and feature that this edition offers, none on a client. Asked without a name: an unknown one
    # may be an error.
    # https://learn.microsoft.com/powershell/module/servermanager/get-windowsfeature
    $features = @{}
    if ($null -eq (Get-Command -Name Get-WindowsFeature -ErrorAction SilentlyContinue)) { return $features }
    foreach ($feature in @(Get-WindowsFeature -ErrorAction Stop)) { $features[[string]$feature.Name] = [string]$feature.InstallState }
    return $features
}

function Get-LyncarrService {
    # 'absent', 'running' or 'stopped'. https://learn.microsoft.com/dotnet/api/system.serviceprocess.servicecontrollerstatus (4 is Running)
    param([string]$Name)
    if (-not (Test-LyncarrRegistryKey -Key "SYSTEM\CurrentControlSet\Services\$Name")) { return 'absent' }
    if ([int](Get-Service -Name $Name -ErrorAction Stop).Status -eq 4) { return 'running' }
    return 'stopped'
}

function Get-LyncarrProgramFiles {
    return [Environment]::GetFolderPath([Environment+SpecialFolder]::ProgramFiles)
}

function Get-LyncarrFileVersion {
    # The version of a file, '' where it bears none, null where there is no such file.
    param([string]$Path)
    if (-not [System.IO.File]::Exists($Path)) { return $null }
    return [string][System.Diagnostics.FileVersionInfo]::GetVersionInfo($Path).FileVersion
}

function Find-LyncarrUninstall {
    # Version of the first of Windows' installed programs whose name begins with $Name, null where there is none.
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

function Find-LyncarrWebpi {
    # Full path of WebPI's command line, '' where it is not installed. Program Files and no other place: only administrators write there.
    foreach ($name in @('WebpiCmd-x64.exe', 'WebpiCmd.exe')) {
        $path = [System.IO.Path]::Combine((Get-LyncarrProgramFiles), 'Microsoft', 'Web Platform Installer', $name)
        if ([System.IO.File]::Exists($path)) { return $path }
    }
    return ''
}

function Get-LyncarrStore {
    # A store of LocalMachine, for looking or for adding but never for both: what was written through one that was looked through can get lost.
    # https://learn.microsoft.com/dotnet/api/system.security.cryptography.x509certificates.x509store
    param([string]$Store, [string]$Mode)
    $opened = New-Object System.Security.Cryptography.X509Certificates.X509Store ($Store, [System.Security.Cryptography.X509Certificates.StoreLocation]::LocalMachine)
    [void]$opened.Open($Mode)
    return $opened
}

function Get-LyncarrCertificate {
    # Emits the certificates of a store, or the one with a thumbprint.
    param([string]$Store, [string]$Thumbprint)
    $opened = Get-LyncarrStore -Store $Store -Mode 'ReadOnly'
    try { foreach ($certificate in $opened.get_Certificates()) { if ($Thumbprint -ceq '' -or $certificate.get_Thumbprint() -ceq $Thumbprint) { $certificate } } }
    finally { $opened.Close() }
}

function Test-LyncarrPrivateKey {
    # Is there a private key, and does it open? HasPrivateKey says yes to one that was deleted, too.
    # .NET Framework 4.5 opens RSA keys of the older providers only; of others (0x80090014, NotSupported) it knows that they are there.
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
    # Is it the key in the machine's default container? Wine files every imported key there, and finds it by no other name.
    param([System.Security.Cryptography.X509Certificates.X509Certificate2]$Certificate)
    $container = New-Object System.Security.Cryptography.CspParameters
    $container.Flags = [System.Security.Cryptography.CspProviderFlags]'UseMachineKeyStore, UseDefaultKeyContainer, UseExistingKey'
    try { $modulus = [System.BitConverter]::ToString((New-Object System.Security.Cryptography.RSACryptoServiceProvider $container).ExportParameters($false).Modulus) }
    catch [System.Security.Cryptography.CryptographicException] { return $false }
    return [System.BitConverter]::ToString($Certificate.PublicKey.EncodedKeyValue.RawData).Contains($modulus)
}

function Get-LyncarrSslRecord {
    # Emits address (or SNI name) and certificate of the records of HTTP.sys. netsh speaks the host's language, so only the form of the values
    # is read: name:port at the end of a line, then 40 hexadecimal digits.
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

function Test-LyncarrSiteStarted {
    # Answered by the running service, which throws for a site that it does not know (yet), as one without an http binding.
    # https://learn.microsoft.com/dotnet/api/microsoft.web.administration.objectstate (1 is Started)
    param([Microsoft.Web.Administration.Site]$Site)
    try { return ([int]$Site.get_State() -eq 1) }
    catch [System.Runtime.InteropServices.COMException] { return $false }
}

#:write

function Save-LyncarrIis {
    # Commits; $false where the file was changed or held by something else and another attempt is due. Both are FileLoadException,
    # and mean that nothing is written: then no restart is owed that was not before.
    param([System.Collections.IDictionary]$Context, [bool]$LastAttempt)
    $owed = Test-LyncarrRestartPending
    if ([bool]$Context['RestartIis']) { Set-LyncarrRestartPending -Pending $true }
    try { $Context['Manager'].CommitChanges() }
    catch [System.IO.FileLoadException] {
        Set-LyncarrRestartPending -Pending $owed
        if ($LastAttempt) { throw }
        return $false
    }
    catch [System.ComponentModel.Win32Exception] {
        # HTTP.sys comes last: the file is written by now.
        Stop-Lyncarr -Kind 'binding' -Text "the configuration is written, but HTTP.sys refused the certificate ($($_.Exception.GetBaseException().Message.Trim()))" -Hint 'Check its private key with lyncarr plan --step certificate, then run the command again.'
    }
    return $true
}

function Save-LyncarrBackup {
    # A copy of the configuration beside appcmd's own backups, made once a run, before its first write.
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

function Set-LyncarrRestartPending {
    # Remembered on disk, so that a run that ended between the commit and iisreset is finished by the next one.
    param([bool]$Pending)
    if ($Pending) { [System.IO.File]::WriteAllText((Get-LyncarrRestartFile), '') }
    else { [System.IO.File]::Delete((Get-LyncarrRestartFile)) }
}

function Restart-LyncarrIis {
    # Farm settings take effect for certain only after a restart of IIS. /noforce never kills a worker process that does not stop.
    # https://learn.microsoft.com/previous-versions/windows/it-pro/windows-server-2012-r2-and-2012/jj635851(v=ws.11)
    $program = [System.IO.Path]::Combine([Environment]::GetFolderPath([Environment+SpecialFolder]::System), 'iisreset.exe')
    $code = Invoke-LyncarrProgram -Path $program -Arguments '/noforce'
    if ($code -ne 0) { Stop-Lyncarr -Kind 'restart' -Text "the configuration is written, but iisreset /noforce ended with exit code $code" -Hint 'Run iisreset /noforce on the host, or run the command again.' }
    Set-LyncarrRestartPending -Pending $false
}

function Install-LyncarrFeature {
    # True where Windows must restart first. Names of its enumerations are not translated, its messages are.
    # https://learn.microsoft.com/powershell/module/servermanager/install-windowsfeature
    param([string[]]$Names)
    $why = ''
    try {
        $result = Install-WindowsFeature -Name $Names -ErrorAction Stop -WarningAction SilentlyContinue
        if ([bool]$result.Success) { return ([string]$result.RestartNeeded -cne 'No') }
        $why = [string]$result.ExitCode
    }
    catch { $why = $_.Exception.GetBaseException().Message.Trim() }
    Stop-Lyncarr -Kind 'feature' -Text "Windows did not install $([string]::Join(', ', $Names)) ($why)" -Hint 'Run Install-WindowsFeature on the host. Add -Source if the installation files were removed.'
}

function Stop-LyncarrWithoutIis {
    # For what cannot go on without it.
    if ((Get-LyncarrService -Name 'W3SVC') -ceq 'absent') { Stop-LyncarrNeed -Step 'iis' -Reason 'IIS is not installed on this host' }
}

function Start-LyncarrService {
    param([string]$Name)
    try { Start-Service -Name $Name -ErrorAction Stop -WarningAction SilentlyContinue }
    catch { Stop-Lyncarr -Kind 'error' -Text "the service $Name does not start ($($_.Exception.GetBaseException().Message.Trim()))" -Hint 'Check its start type and the System event log on the host.' }
}

function Get-LyncarrData {
    # %ProgramData%\lyncarr. Get-LyncarrFolder makes it, and makes it one for Administrators only, before the lock is taken.
    return [System.IO.Path]::Combine([Environment]::GetFolderPath([Environment+SpecialFolder]::CommonApplicationData), 'lyncarr')
}

function Get-LyncarrPackagePath {
    # Where the package $Name of a run lies. Both come from a request and become parts of a path.
    param([string]$Run, [string]$Name)
    if ($Run -cnotmatch '^[0-9a-f-]{36}\z' -or $Name -cnotmatch '^[a-z_]{1,40}\z') { throw "'$Run' and '$Name' name no package" }
    return [System.IO.Path]::Combine((Get-LyncarrData), $Run, "$Name.msi")
}

function Add-LyncarrUpload {
    # One piece of a package. Pieces come in order: one that does not begin where the file ends, such as one sent twice, is refused.
    param([System.Collections.IDictionary]$Request)
    if ($null -eq $script:LyncarrState['Lock']) { Stop-Lyncarr -Kind 'error' -Text 'the request upload came without the lock' -Hint 'Send observe with the lock first.' }
    Stop-LyncarrWithoutIis
    $path = Get-LyncarrPackagePath -Run ([string]$Request['run']) -Name ([string]$Request['file'])
    if (([string]$Request['data']).Length -gt 300000) { throw 'a piece of more than 300,000 characters' }
    $bytes = [Convert]::FromBase64String([string]$Request['data'])
    [void][System.IO.Directory]::CreateDirectory([System.IO.Path]::GetDirectoryName($path))
    $mode = [System.IO.FileMode]::Open
    if ([int]$Request['offset'] -eq 0) { $mode = [System.IO.FileMode]::CreateNew }
    $stream = [System.IO.File]::Open($path, $mode, [System.IO.FileAccess]::Write, [System.IO.FileShare]::None)
    try {
        if ($stream.Seek(0, [System.IO.SeekOrigin]::End) -ne [int]$Request['offset']) { throw 'a piece that does not begin where the one before it ended' }
        [void]$stream.Write($bytes, 0, $bytes.Length)
    }
    finally { $stream.Close() }
}

function Remove-LyncarrUpload {
    # Deletes the packages of this run, and of runs that ended before they could. One that Windows Installer still reads is left to the next run.
    foreach ($folder in [System.IO.Directory]::GetDirectories((Get-LyncarrData))) {
        try { [System.IO.Directory]::Delete($folder, $true) }
        catch [System.IO.IOException] { continue }
    }
}

function Receive-LyncarrFile {
    # .NET 4.5 must be told to speak TLS 1.2; 0 means that Windows decides, which may be better than that.
    # https://learn.microsoft.com/dotnet/api/system.net.servicepointmanager.securityprotocol
    param([string]$Url, [string]$Path, [string]$Key)
    [void][System.IO.Directory]::CreateDirectory([System.IO.Path]::GetDirectoryName($Path))
    $protocols = [int][System.Net.ServicePointManager]::SecurityProtocol
    if ($protocols -ne 0) { [System.Net.ServicePointManager]::SecurityProtocol = [System.Net.SecurityProtocolType]($protocols -bor 3072) }
    $client = New-Object System.Net.WebClient
    try { [void]$client.DownloadFile($Url, $Path) }
    catch { Stop-Lyncarr -Kind 'installer' -Text "the host cannot download $Url ($($_.Exception.GetBaseException().Message.Trim()))" -Hint "Download the file to the controller, and set $Key in the configuration file to its path." }
    finally { $client.Dispose() }
}

function Open-LyncarrPackage {
    # Open for reading, and closed to every writer until it is installed: what was checked is what runs.
    param([string]$Path)
    return [System.IO.File]::Open($Path, [System.IO.FileMode]::Open, [System.IO.FileAccess]::Read, [System.IO.FileShare]::Read)
}

function Get-LyncarrHash {
    # SHA-256 in upper hex. This class and not SHA256.Create(), whose managed code a host under FIPS policy refuses.
    param([System.IO.Stream]$Stream)
    return [System.BitConverter]::ToString((New-Object System.Security.Cryptography.SHA256CryptoServiceProvider).ComputeHash($Stream)).Replace('-', '')
}

function Get-LyncarrSignature {
    # What Windows thinks of the Authenticode signature (a name that is not translated), and the subject of the signer.
    # https://learn.microsoft.com/dotnet/api/system.management.automation.signaturestatus
    param([string]$Path)
    $signature = Get-AuthenticodeSignature -LiteralPath $Path -ErrorAction Stop
    $subject = ''
    if ($null -ne $signature.SignerCertificate) { $subject = [string]$signature.SignerCertificate.Subject }
    return @{ Status = [string]$signature.Status; Subject = $subject }
}

function Get-LyncarrErrorText {
    # Windows' own sentence for an error code, in the host's language.
    param([int]$Code)
    return (New-Object System.ComponentModel.Win32Exception $Code).Message.Trim()
}

function Read-LyncarrInstallerLog {
    # Why an installer failed, as far as its log tells: the first action that ended with 3, a fatal error, and the line before it, which
    # mostly says why; else the last two lines; '' without a log. A log speaks the host's language, hence by the time and the number alone.
    # https://learn.microsoft.com/windows/win32/msi/logging-of-action-return-values
    param([string]$Log)
    if (-not [System.IO.File]::Exists($Log)) { return '' }
    $stream = [System.IO.File]::Open($Log, [System.IO.FileMode]::Open, [System.IO.FileAccess]::Read, [System.IO.FileShare]::ReadWrite)
    try { $lines = (New-Object System.IO.StreamReader $stream).ReadToEnd().Split([char[]]"`r`n") }
    finally { $stream.Close() }
    $before = ''
    $last = ''
    foreach ($line in $lines) {
        # Not: the installer's list of its properties, WebPI's time of the line above, the frame of the log.
        $text = $line.Trim()
        if ($text -ceq '' -or $text -cmatch '^(Property\(|DateTime=|===)') { continue }
        $before = $last
        $last = $text
        if ($text -cnotmatch '^MSI \(' -and $text -cmatch '[0-9][:.][0-9]{2}[:.][0-9]{2}.*[^0-9]3\W*$') { break }
    }
    return "$before $last".Trim()
}

function Add-LyncarrCertificate {
    # $Data: the certificate as DER in base64.
    param([string]$Store, [string]$Data)
    $opened = Get-LyncarrStore -Store $Store -Mode 'ReadWrite'
    try { [void]$opened.Add((New-Object System.Security.Cryptography.X509Certificates.X509Certificate2 (,[Convert]::FromBase64String($Data)))) }
    finally { $opened.Close() }
}

function Import-LyncarrKey {
    # The certificate of the PFX with its private key into LocalMachine\My. The key belongs to the machine, stays, and cannot be exported.
    # Bytes and password go to a .NET method: the arguments of a command are what module logging (event 4103) writes down.
    # https://learn.microsoft.com/dotnet/api/system.security.cryptography.x509certificates.x509keystorageflags
    param([System.Collections.IDictionary]$Secrets, [string]$Thumbprint)
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
        # E_ACCESSDENIED: seen in remote sessions of an account that has no profile on the host yet.
        if ($cause.get_HResult() -eq -2147024891) { $hint = 'Log on to the host once with this account, because Windows refuses a key to an account without a profile. Then run the command again.' }
        Stop-Lyncarr -Kind 'certificate' -Text "Windows did not import the private key ($($cause.Message.Trim()))" -Hint $hint
    }
    finally {
        $opened.Close()
        [array]::Clear($bytes, 0, $bytes.Length)
    }
}

function Start-LyncarrSite {
    # After the commit, hence with a new manager; the service learns of what was committed a moment later.
    param([System.Collections.IDictionary]$Context)
    for ($attempt = 1; $true; $attempt++) {
        Close-LyncarrIis -Context $Context
        [void](Get-LyncarrConfiguration -Context $Context)
        $why = 'Windows reported no error'
        # Start answers with the state, 1 for Started; it may be Starting.
        try { if ([int](Find-LyncarrSite -Context $Context -Name $Context['StartSite']).Start() -eq 1) { return } }
        catch [System.Runtime.InteropServices.COMException] { $why = $_.Exception.GetBaseException().Message.Trim() }
        if ($attempt -ge 5) { Stop-Lyncarr -Kind 'binding' -Text "the web site '$($Context['StartSite'])' does not start ($why)" -Hint 'Check whether another web site or program uses its address and port.' }
        [System.Threading.Thread]::Sleep(1000)
    }
}
