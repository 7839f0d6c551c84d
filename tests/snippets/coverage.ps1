# Runs a driver and notes which lines of a script it reached.
#
#   pwsh -NoProfile -NonInteractive -File coverage.ps1 script.ps1 output.json driver.ps1 [arguments of the driver]
#
# The driver may load script.ps1 as often as it likes. output.json, written when the driver ends: {"lines": [...], "hit": [...]},
# both ascending line numbers of the script; lines are those that begin a statement.
param([string]$Script, [string]$Output, [string]$Driver, [Parameter(ValueFromRemainingArguments = $true)][string[]]$Arguments)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

function Get-StatementLine([string]$Path) {
    # Lines on which a breakpoint can stop: statements of a block, and what if, while, for, foreach and switch ask first.
    $tokens = $null
    $errors = $null
    $tree = [Management.Automation.Language.Parser]::ParseFile($Path, [ref]$tokens, [ref]$errors)
    $lines = [Collections.Generic.SortedSet[int]]::new()
    foreach ($node in $tree.FindAll({ $args[0] -is [Management.Automation.Language.StatementAst] }, $true)) {
        $isStep = $node -is [Management.Automation.Language.PipelineBaseAst] -or $node -is [Management.Automation.Language.ReturnStatementAst] -or
        $node -is [Management.Automation.Language.ThrowStatementAst] -or $node -is [Management.Automation.Language.BreakStatementAst] -or
        $node -is [Management.Automation.Language.ContinueStatementAst]
        $inBlock = $node.Parent -is [Management.Automation.Language.StatementBlockAst] -or $node.Parent -is [Management.Automation.Language.NamedBlockAst]
        $isAsked = $node.Parent -is [Management.Automation.Language.IfStatementAst] -or $node.Parent -is [Management.Automation.Language.LabeledStatementAst]
        if ($isStep -and ($inBlock -or $isAsked)) { [void]$lines.Add($node.Extent.StartLineNumber) }
    }
    return @($lines)
}

$path = [IO.Path]::GetFullPath($Script)
$debugger = [Management.Automation.Runspaces.Runspace]::DefaultRunspace.Debugger
$hit = [Collections.Generic.SortedSet[int]]::new()
$lines = @(Get-StatementLine $path)
foreach ($line in $lines) {
    # Once is enough: a breakpoint in a loop that stays on costs more than the loop.
    $action = { [void]$hit.Add($_.Line); [void]$debugger.DisableBreakpoint($_) }.GetNewClosure()
    [void]$debugger.SetLineBreakpoint($path, $line, 0, $action)
}
try { & $Driver @Arguments }
finally { [IO.File]::WriteAllText($Output, (ConvertTo-Json -InputObject @{ lines = $lines; hit = @($hit) } -Compress)) }
