# Runs a driver and notes by breakpoints which statements of a script it reached: slow, and what coverage.ps1 is compared with.
#
#   pwsh -NoProfile -NonInteractive -File breakpoints.ps1 script.ps1 output.json driver.ps1 [arguments of the driver]
#
# The driver may load script.ps1 as often as it likes. output.json, written when the driver ends: {"statements": [...], "hit": [...]},
# both of "line:column", where a statement of the script begins.
param([string]$Script, [string]$Output, [string]$Driver, [Parameter(ValueFromRemainingArguments = $true)][string[]]$Arguments)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

function Get-Statement([string]$Path) {
    # Where a breakpoint can stop: statements of a block, and what if, while, for, foreach and switch ask first.
    $tokens = $null
    $errors = $null
    $tree = [Management.Automation.Language.Parser]::ParseFile($Path, [ref]$tokens, [ref]$errors)
    foreach ($node in $tree.FindAll({ $args[0] -is [Management.Automation.Language.StatementAst] }, $true)) {
        $isStep = $node -is [Management.Automation.Language.PipelineBaseAst] -or $node -is [Management.Automation.Language.ReturnStatementAst] -or
        $node -is [Management.Automation.Language.ThrowStatementAst] -or $node -is [Management.Automation.Language.BreakStatementAst] -or
        $node -is [Management.Automation.Language.ContinueStatementAst]
        $inBlock = $node.Parent -is [Management.Automation.Language.StatementBlockAst] -or $node.Parent -is [Management.Automation.Language.NamedBlockAst]
        $isAsked = $node.Parent -is [Management.Automation.Language.IfStatementAst] -or $node.Parent -is [Management.Automation.Language.LabeledStatementAst]
        if (-not $isStep -or -not ($inBlock -or $isAsked)) { continue }
        # Of return with a value the debugger stops at the value.
        if ($node -is [Management.Automation.Language.ReturnStatementAst] -and $null -ne $node.Pipeline) { $node.Pipeline.Extent } else { $node.Extent }
    }
}

$path = [IO.Path]::GetFullPath($Script)
$debugger = [Management.Automation.Runspaces.Runspace]::DefaultRunspace.Debugger
$hit = [Collections.Generic.SortedSet[string]]::new()
$statements = [Collections.Generic.SortedSet[string]]::new()
foreach ($extent in @(Get-Statement $path)) {
    if (-not $statements.Add("$($extent.StartLineNumber):$($extent.StartColumnNumber)")) { continue }
    # Once is enough: a breakpoint in a loop that stays on costs more than the loop.
    $action = { [void]$hit.Add("$($_.Line):$($_.Column)"); [void]$debugger.DisableBreakpoint($_) }.GetNewClosure()
    [void]$debugger.SetLineBreakpoint($path, $extent.StartLineNumber, $extent.StartColumnNumber, $action)
}
try { & $Driver @Arguments }
finally { [IO.File]::WriteAllText($Output, (ConvertTo-Json -InputObject @{ statements = @($statements); hit = @($hit) } -Compress)) }
