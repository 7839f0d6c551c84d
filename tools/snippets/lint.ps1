# Lints the PowerShell that lyncarr sends to hosts, with PowerShell's own parser. Needs PowerShell 7 to run; judges text for 4.0 and 5.1.
#
#   pwsh -NoProfile -NonInteractive -File lint.ps1 request.json
#
# request.json  {"bundles": [{"name": "...", "files": [{"name": "farms.ps1", "text": "..."}]}], "kinds": {"Stop-Lyncarr": ["busy", ...], ...}};
#               the files of a bundle may call each other; kinds: what -Kind of a function may be, from lyncarr/powershell/protocol.py.
# output        JSON lines: {"rules": [names]} first, then one
#               {"bundle","file","line","rule","subject","text","excuse"} for each finding; excuse: the reason of data/exceptions.json, or null.
param([string]$RequestFile)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

# A rule is a name and a block: param($File, $Bundle), one New-Fault for each violation. rules/*.ps1 fill this table.
$Rules = [ordered]@{}
$Folder = [IO.Path]::GetDirectoryName($PSCommandPath)
. ([IO.Path]::Combine($Folder, 'rules', 'tree.ps1'))
. ([IO.Path]::Combine($Folder, 'rules', 'facts.ps1'))
. ([IO.Path]::Combine($Folder, 'rules', 'syntax.ps1'))
. ([IO.Path]::Combine($Folder, 'rules', 'values.ps1'))
. ([IO.Path]::Combine($Folder, 'rules', 'commands.ps1'))
. ([IO.Path]::Combine($Folder, 'rules', 'types.ps1'))
. ([IO.Path]::Combine($Folder, 'rules', 'structure.ps1'))

function Write-Line($Value) { ConvertTo-Json -InputObject $Value -Compress }

$Facts = Read-Facts -Folder ([IO.Path]::Combine($Folder, 'data'))
$request = ConvertFrom-Json -InputObject ([IO.File]::ReadAllText($RequestFile))
foreach ($property in $request.kinds.PSObject.Properties) { $Facts.Kinds[$property.Name] = @($property.Value) }
Write-Line @{ rules = @($Rules.Keys) }
foreach ($wanted in $request.bundles) {
    $bundle = Read-Bundle -Wanted $wanted
    foreach ($file in $bundle.Files) {
        foreach ($rule in $Rules.Keys) {
            foreach ($fault in @(& $Rules[$rule] $file $bundle)) {
                Write-Line ([ordered]@{
                        bundle = $bundle.Name; file = $file.Path; line = $fault.Line; rule = $rule; subject = $fault.Subject; text = $fault.Text
                        excuse = Get-Excuse -Rule $rule -File $file.Path -Subject $fault.Subject
                    })
            }
        }
    }
}
