# Installer packages: upload, download, signature, log.

function Find-LyncarrWebpi {
    # The full path of WebPI's command line, '' where it is not installed. Only Program Files is searched: only administrators write there.
    foreach ($name in @('WebpiCmd-x64.exe', 'WebpiCmd.exe')) {
        $path = [System.IO.Path]::Combine((Get-LyncarrProgramFiles), 'Microsoft', 'Web Platform Installer', $name)
        if ([System.IO.File]::Exists($path)) { return $path }
    }
    return ''
}

#:write

function Get-LyncarrPackagePath {
    # The path of the package $Name of a run. Both come from a request and become parts of a path, so both are checked.
    param([string]$Run, [string]$Name)
    if ($Run -cnotmatch '^[0-9a-f-]{36}\z' -or $Name -cnotmatch '^[a-z_]{1,40}\z') { throw "'$Run' and '$Name' are not the names of a run and a package" }
    return [System.IO.Path]::Combine((Get-LyncarrFolder), $Run, "$Name.msi")
}

function Add-LyncarrUpload {
    # Appends one piece of a package. A piece that does not begin where the file ends, such as one sent twice, is refused.
    param([Collections.IDictionary]$Request)
    Assert-LyncarrLock -Operation 'upload'
    Assert-LyncarrIis
    $path = Get-LyncarrPackagePath -Run ([string]$Request['run']) -Name ([string]$Request['file'])
    if (([string]$Request['data']).Length -gt 300000) { throw 'the piece of a package has more than 300,000 characters' }
    $bytes = [Convert]::FromBase64String([string]$Request['data'])
    [void][System.IO.Directory]::CreateDirectory([System.IO.Path]::GetDirectoryName($path))
    $mode = [System.IO.FileMode]::Open
    if ([int]$Request['offset'] -eq 0) { $mode = [System.IO.FileMode]::CreateNew }
    $stream = [System.IO.File]::Open($path, $mode, [System.IO.FileAccess]::Write, [System.IO.FileShare]::None)
    try {
        if ($stream.Seek(0, [System.IO.SeekOrigin]::End) -ne [int]$Request['offset']) { throw 'the piece of a package does not begin where the one before it ended' }
        [void]$stream.Write($bytes, 0, $bytes.Length)
    }
    finally { $stream.Close() }
}

function Remove-LyncarrUpload {
    # Deletes the packages of this run, and those that earlier runs left. A package that Windows Installer still reads stays until the next run.
    foreach ($folder in [System.IO.Directory]::GetDirectories((Get-LyncarrFolder))) {
        try { [System.IO.Directory]::Delete($folder, $true) }
        catch [System.IO.IOException] { continue }
    }
}

function Receive-LyncarrFile {
    # .NET 4.5 uses TLS 1.2 only where it is set here. 0 means that Windows decides, and stays as it is.
    # $Key is the key of the configuration file, for the hint.
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
    # Opens the package for reading and blocks every writer until the package is installed, so that the checked file is the one that runs.
    param([string]$Path)
    return [System.IO.File]::Open($Path, [System.IO.FileMode]::Open, [System.IO.FileAccess]::Read, [System.IO.FileShare]::Read)
}

function Get-LyncarrHash {
    # SHA-256 in upper-case hex. This class works under a FIPS policy; the managed class of SHA256.Create() does not.
    param([System.IO.Stream]$Stream)
    return [System.BitConverter]::ToString((New-Object System.Security.Cryptography.SHA256CryptoServiceProvider).ComputeHash($Stream)).Replace('-', '')
}

function Get-LyncarrSignature {
    # The status of the Authenticode signature (a name that is not translated), and the subject of the signer.
    # https://learn.microsoft.com/dotnet/api/system.management.automation.signaturestatus
    param([string]$Path)
    $signature = Get-AuthenticodeSignature -LiteralPath $Path -ErrorAction Stop
    $subject = ''
    if ($null -ne $signature.SignerCertificate) { $subject = [string]$signature.SignerCertificate.Subject }
    return @{ Status = [string]$signature.Status; Subject = $subject }
}

function Read-LyncarrInstallerLog {
    # The cause of a failed installation from its log: the first action that ended with 3 (a fatal error) and the line before it, which
    # usually has the cause; else the last two lines; '' without a log. A log is in the language of the host, so only the time and the
    # number at the end of a line count.
    # https://learn.microsoft.com/windows/win32/msi/logging-of-action-return-values
    param([string]$Log)
    if (-not [System.IO.File]::Exists($Log)) { return '' }
    $stream = [System.IO.File]::Open($Log, [System.IO.FileMode]::Open, [System.IO.FileAccess]::Read, [System.IO.FileShare]::ReadWrite)
    try { $lines = (New-Object System.IO.StreamReader $stream).ReadToEnd().Split([char[]]"`r`n") }
    finally { $stream.Close() }
    $before = ''
    $last = ''
    foreach ($line in $lines) {
        # Skipped: the list of properties, the time that WebPI prints below each line, and the frame of the log.
        $text = $line.Trim()
        if ($text -ceq '' -or $text -cmatch '^(Property\(|DateTime=|===)') { continue }
        $before = $last
        $last = $text
        if ($text -cnotmatch '^MSI \(' -and $text -cmatch '[0-9][:.][0-9]{2}[:.][0-9]{2}.*[^0-9]3\W*$') { break }
    }
    return "$before $last".Trim()
}
