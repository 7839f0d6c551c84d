# Runs composed scripts in one engine process. Reads JSON lines: {"script","state","request","input","fresh"}; after each request the
# output strings of the script, then a line that says END. "fresh" stands for a new shell: its state is new, its functions are those of
# the first one, because reading the script again costs more than most cases.
param([string]$Assembly)
$ErrorActionPreference = 'Stop'
[void][System.Reflection.Assembly]::LoadFrom($Assembly)
while ($true) {
    $line = [Console]::In.ReadLine()
    if ($null -eq $line) { break }
    $case = ConvertFrom-Json -InputObject $line
    foreach ($property in $case.environment.PSObject.Properties) { [Environment]::SetEnvironmentVariable($property.Name, [string]$property.Value) }
    if ($case.fresh) {
        $known = Get-Variable -Name LyncarrState -Scope Script -ErrorAction SilentlyContinue
        if ($null -ne $known) {
            if ($null -ne $LyncarrState['Lock']) { $LyncarrState['Lock'].Dispose() }
            Remove-Variable -Name LyncarrState -Scope Script
        }
        if ($null -eq (Get-Command -Name Invoke-LyncarrRequest -ErrorAction SilentlyContinue)) { . $case.script -Request ([string]$case.request) }
        else { Invoke-LyncarrRequest -Request ([string]$case.request) }
    }
    elseif ($null -ne $case.input) { [string]$case.input | Invoke-LyncarrRequest -Request ([string]$case.request) }
    else { Invoke-LyncarrRequest -Request ([string]$case.request) }
    'END'
}
