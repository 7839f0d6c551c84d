# Runs a driver and records which statements of some scripts it reached.
#
#   pwsh -NoProfile -NonInteractive -File coverage.ps1 plan.json driver.ps1 [arguments of the driver]
#
# plan.json is a list of {"script", "copy", "output"}, each the path of a file. For each script a copy is written that does the same and
# marks the statements that it reaches. The driver loads the copies, as often as it likes. Each output, written when the driver ends, is
# {"statements": [...], "hit": [...]}: both lists of "line:column", where a statement of the script begins.
#
# A mark is an assignment on the line of its statement, so line numbers are those of the script. Columns are not, and $? after a mark is
# true: a script that reads $? is refused.
param([string]$Plan, [string]$Driver, [Parameter(ValueFromRemainingArguments = $true)][string[]]$Arguments)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

# Statement n was reached when element n is 0. A mark in a condition is false therefore, and the condition decides alone.
$global:LyncarrUnreached = [Collections.Generic.List[int]]::new()

function Test-Block([Management.Automation.Language.Ast]$Node) {
    $Node -is [Management.Automation.Language.StatementBlockAst] -or $Node -is [Management.Automation.Language.NamedBlockAst]
}

function Test-Counted([Management.Automation.Language.Ast]$Node) {
    # Statements of a block, and what if, while, for, foreach and switch evaluate first: what a debugger can stop at.
    $isStep = $Node -is [Management.Automation.Language.PipelineBaseAst] -or $Node -is [Management.Automation.Language.ReturnStatementAst] -or
    $Node -is [Management.Automation.Language.ThrowStatementAst] -or $Node -is [Management.Automation.Language.BreakStatementAst] -or
    $Node -is [Management.Automation.Language.ContinueStatementAst]
    $isStep -and ((Test-Block $Node.Parent) -or $Node.Parent -is [Management.Automation.Language.IfStatementAst] -or
        $Node.Parent -is [Management.Automation.Language.LabeledStatementAst])
}

function Test-PartOfExpression([Management.Automation.Language.Ast]$Node) {
    # The only expression in $( ) or @( ): PowerShell evaluates it as a part of the expression around it, and a second statement beside
    # it could change the result. The debugger does not stop at it either, but at the statement around it.
    $block = $Node.Parent
    $block -is [Management.Automation.Language.StatementBlockAst] -and $block.Statements.Count -eq 1 -and
    ($block.Parent -is [Management.Automation.Language.SubExpressionAst] -or $block.Parent -is [Management.Automation.Language.ArrayExpressionAst]) -and
    $Node -is [Management.Automation.Language.PipelineBaseAst] -and $null -ne $Node.GetPureExpression()
}

function Get-Beginning([Management.Automation.Language.Ast]$Loop) {
    # Where a statement can stand before a loop or a switch, which may be the value of an assignment.
    $statement = $Loop
    while (-not (Test-Block $statement.Parent)) {
        $isValue = $statement.Parent -is [Management.Automation.Language.AssignmentStatementAst] -and [object]::ReferenceEquals($statement.Parent.Right, $statement)
        if (-not $isValue) { throw "line $($Loop.Extent.StartLineNumber): no statement can be put before this: $($statement.Parent.GetType().Name)" }
        $statement = $statement.Parent
    }
    $statement.Extent.StartOffset
}

function Add-Mark([Management.Automation.Language.Ast]$Node, [int]$Number, [Collections.Generic.List[object]]$Inserts) {
    $mark = "`$global:LyncarrUnreached[$Number]=0"
    $parent = $Node.Parent
    $from, $to = $Node.Extent.StartOffset, $Node.Extent.EndOffset
    $around = $null
    if (Test-Block $parent) { $Inserts.Add(@($from, "$mark;")) }
    elseif ($parent -is [Management.Automation.Language.IfStatementAst]) { $around = "($mark) -or (", ')' }
    elseif ($parent -is [Management.Automation.Language.ForStatementAst] -and [object]::ReferenceEquals($parent.Iterator, $Node)) {
        $isPlain = $Node -is [Management.Automation.Language.AssignmentStatementAst] -or $Node.GetPureExpression() -is [Management.Automation.Language.UnaryExpressionAst]
        if (-not $isPlain) { throw "line $($Node.Extent.StartLineNumber): only an assignment, ++ and -- are known at this place" }
        $around = "[void](($mark) -or (", '))'
    }
    elseif ($parent -is [Management.Automation.Language.LoopStatementAst] -and $parent -isnot [Management.Automation.Language.ForEachStatementAst] -and
        [object]::ReferenceEquals($parent.Condition, $Node)) { $around = "($mark) -or (", ')' }
    else { $Inserts.Add(@((Get-Beginning $parent), "$mark;")) }
    if ($null -ne $around) {
        $Inserts.Add(@($from, $around[0]))
        $Inserts.Add(@($to, $around[1]))
    }
}

function Write-Copy([string]$Script, [string]$Copy) {
    # Writes the copy and returns the places of the counted statements, each with its number in $LyncarrUnreached.
    $tokens = $null
    $errors = $null
    $tree = [Management.Automation.Language.Parser]::ParseFile([IO.Path]::GetFullPath($Script), [ref]$tokens, [ref]$errors)
    if ($errors.Count -gt 0) { throw "$($Script): $($errors[0].Message)" }
    $places = [Collections.Generic.SortedDictionary[string, int]]::new([StringComparer]::Ordinal)
    $inserts = [Collections.Generic.List[object]]::new()
    $numbers = [Collections.Generic.Dictionary[object, int]]::new()
    foreach ($node in $tree.FindAll({ $args[0] -is [Management.Automation.Language.StatementAst] -or $args[0] -is [Management.Automation.Language.VariableExpressionAst] }, $true)) {
        if ($node -is [Management.Automation.Language.VariableExpressionAst]) {
            if ($node.VariablePath.UserPath -ceq '?') { throw "$($Script), line $($node.Extent.StartLineNumber): `$? would not be what it is without the marks" }
            continue
        }
        if (-not (Test-Counted $node)) { continue }
        # Of return with a value the debugger stops at the value.
        $extent = if ($node -is [Management.Automation.Language.ReturnStatementAst] -and $null -ne $node.Pipeline) { $node.Pipeline.Extent } else { $node.Extent }
        $place = "$($extent.StartLineNumber):$($extent.StartColumnNumber)"
        if ($places.ContainsKey($place)) { continue }
        if (Test-PartOfExpression $node) {
            $around = $node.Parent
            while ($null -ne $around -and -not $numbers.ContainsKey($around)) { $around = $around.Parent }
            if ($null -eq $around) { throw "$($Script), line $($extent.StartLineNumber): no statement is around this expression" }
            $places[$place] = $numbers[$around]
            continue
        }
        $number = $LyncarrUnreached.Count
        $LyncarrUnreached.Add(1)
        $numbers[$node] = $number
        $places[$place] = $number
        Add-Mark $node $number $inserts
    }
    $text = $tree.Extent.Text
    $copied = [Text.StringBuilder]::new()
    $done = 0
    foreach ($insert in @($inserts.ToArray() | Sort-Object -Stable -Property { $_[0] })) {
        [void]$copied.Append($text, $done, $insert[0] - $done).Append($insert[1])
        $done = $insert[0]
    }
    [void]$copied.Append($text, $done, $text.Length - $done)
    [IO.File]::WriteAllText($Copy, $copied.ToString())
    return , $places
}

$recorded = @(foreach ($entry in @(ConvertFrom-Json -InputObject ([IO.File]::ReadAllText($Plan)))) {
        @{ Output = $entry.output; Places = (Write-Copy $entry.script $entry.copy) }
    })
try { & $Driver @Arguments }
finally {
    foreach ($entry in $recorded) {
        $statements = @($entry.Places.Keys)
        $hit = @(foreach ($place in $entry.Places.Keys) { if ($LyncarrUnreached[$entry.Places[$place]] -eq 0) { $place } })
        [IO.File]::WriteAllText($entry.output, (ConvertTo-Json -InputObject @{ statements = $statements; hit = $hit } -Compress))
    }
}
