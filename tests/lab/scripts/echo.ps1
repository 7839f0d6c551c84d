# Says what it was given, as the shipped script does: the text once, then its function for each further request.
param([string]$Request)
function Invoke-LyncarrRequest {
    param([string]$Request)
    $given = @($input)
    if ($null -eq (Get-Variable -Name Count -Scope Script -ErrorAction SilentlyContinue)) { $script:Count = 0 }
    $script:Count = $script:Count + 1
    '{"number":' + $script:Count + ',"request":' + $Request.Length + ',"input":' + ([string]::Join('', [string[]]$given)).Length + ',"process":' + $PID + '}'
}
Invoke-LyncarrRequest -Request $Request
