# Runs the console script in one engine process. Reads JSON lines {"machine", "arguments"}; after each the output of the script, and one line
# of JSON: END, its exit code, and the machine as it is now.
param([string]$Script)
$ErrorActionPreference = 'Stop'
while ($null -ne ($line = [Console]::In.ReadLine())) {
    $case = ConvertFrom-Json -InputObject $line -AsHashtable
    $Machine = $case['machine']
    $arguments = $case['arguments']
    $global:LASTEXITCODE = 0
    & $Script @arguments
    'END ' + (ConvertTo-Json -InputObject @{ code = $global:LASTEXITCODE; machine = $Machine } -Depth 5 -Compress)
}
