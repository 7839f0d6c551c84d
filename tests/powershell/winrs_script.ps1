# Stands for the script that goes to a host: it tells what it was called with, and how often.
param([string]$Request)

function Invoke-LyncarrRequest {
    param([string]$Request)
    $secrets = [string]::Join('', [string[]]@($input))
    if ($null -eq (Get-Variable -Name LyncarrCalls -Scope Script -ErrorAction SilentlyContinue)) { $script:LyncarrCalls = 0 }
    $script:LyncarrCalls = $script:LyncarrCalls + 1
    $asked = ConvertFrom-Json -InputObject $Request
    if ($null -ne $asked.PSObject.Properties['fail']) { throw $asked.fail }
    "call ${script:LyncarrCalls}: $($asked.say), $($secrets.Length) characters of secrets"
    if ($null -ne $asked.PSObject.Properties['wait']) {
        $folder = [System.IO.Directory]::CreateDirectory([System.IO.Path]::Combine([System.IO.Path]::GetTempPath(), [guid]::NewGuid().ToString())).FullName
        $folder
        while (-not [System.IO.File]::Exists("$folder/go")) { [System.Threading.Thread]::Sleep(10) }
        [System.IO.Directory]::Delete($folder, $true)
        'gone on'
    }
}

$input | Invoke-LyncarrRequest -Request $Request
