# Text that PowerShell 7 takes and 4.0 or 5.1 does not, or takes as something else; and layout that keeps the bundle readable.

$NewOperators = @('QuestionMark', 'QuestionQuestion', 'QuestionQuestionEquals', 'QuestionDot', 'QuestionLBracket', 'AndAnd', 'OrOr')
$OldAttributes = @(
    'Parameter', 'CmdletBinding', 'OutputType', 'Alias', 'AllowNull', 'AllowEmptyString', 'AllowEmptyCollection', 'ValidateNotNull', 'ValidateNotNullOrEmpty',
    'ValidateSet', 'ValidateRange', 'ValidatePattern', 'ValidateScript', 'ValidateLength', 'ValidateCount'
)

$Rules['parses'] = {
    param($File, $Bundle)
    foreach ($problem in $File.Errors) { New-Fault $problem $problem.Message }
}

$Rules['no-static-new'] = {
    param($File, $Bundle)
    foreach ($node in (Get-Node $File 'MemberExpressionAst', 'InvokeMemberExpressionAst')) {
        if ($node.Static -and (Get-ConstantText $node.Member) -eq 'new') { New-Fault $node '::new is PowerShell 5.0; use New-Object' }
    }
}

$Rules['no-class'] = {
    param($File, $Bundle)
    foreach ($node in (Get-Node $File 'TypeDefinitionAst', 'UsingStatementAst')) { New-Fault $node 'class, enum and using are PowerShell 5.0' }
}

$Rules['no-new-operator'] = {
    param($File, $Bundle)
    foreach ($token in $File.Tokens) {
        if ($NewOperators -contains [string]$token.Kind) { New-Fault $token "the operator $($token.Text) is PowerShell 7" }
    }
}

$Rules['no-question-mark-variable'] = {
    param($File, $Bundle)
    foreach ($token in $File.Tokens) {
        if ([string]$token.Kind -eq 'Variable' -and $token.Name -match '.\?$') { New-Fault $token "$($token.Text) reads like the ?. of PowerShell 7 and is a variable" }
    }
}

$Rules['no-background'] = {
    param($File, $Bundle)
    foreach ($node in (Get-Node $File 'PipelineAst')) { if ($node.Background) { New-Fault $node 'a trailing & is PowerShell 6' } }
}

$Rules['no-leading-pipe'] = {
    param($File, $Bundle)
    for ($index = 1; $index -lt $File.Tokens.Count; $index++) {
        if ([string]$File.Tokens[$index].Kind -eq 'Pipe' -and @('NewLine', 'Comment') -contains [string]$File.Tokens[$index - 1].Kind) {
            New-Fault $File.Tokens[$index] 'a pipe that begins a line is PowerShell 7; end the line before with it'
        }
    }
}

$Rules['no-new-escape'] = {
    param($File, $Bundle)
    foreach ($token in $File.Tokens) {
        if (@('StringExpandable', 'HereStringExpandable', 'Generic', 'Identifier') -contains [string]$token.Kind -and $token.Text -cmatch '(?<!`)(``)*`[eu]') {
            New-Fault $token 'the escapes `e and `u{} are PowerShell 6; before it they are the letters e and u'
        }
    }
}

$Rules['no-new-number'] = {
    param($File, $Bundle)
    foreach ($token in $File.Tokens) {
        if ([string]$token.Kind -eq 'Number' -and $token.Text -match '^[+-]?0b|(u|n|y|s)(l|y|s)?(kb|mb|gb|tb|pb)?$') { New-Fault $token "the number $($token.Text) is written as PowerShell 6 or 7 writes it" }
    }
}

$Rules['no-generic-call'] = {
    param($File, $Bundle)
    foreach ($node in (Get-Node $File 'InvokeMemberExpressionAst')) {
        if ($null -ne $node.GenericTypeArguments -and $node.GenericTypeArguments.Count -gt 0) { New-Fault $node 'type arguments of a method are PowerShell 7.3' }
    }
}

$Rules['no-clean-block'] = {
    param($File, $Bundle)
    foreach ($node in (Get-Node $File 'ScriptBlockAst')) { if ($null -ne $node.CleanBlock) { New-Fault $node.CleanBlock 'a clean block is PowerShell 7.3; use finally' } }
}

$Rules['no-char-range'] = {
    param($File, $Bundle)
    foreach ($node in (Get-Node $File 'BinaryExpressionAst')) {
        if ([string]$node.Operator -eq 'DotDot' -and ($null -ne (Get-ConstantText $node.Left) -or $null -ne (Get-ConstantText $node.Right))) { New-Fault $node 'ranges of characters are PowerShell 6' }
    }
}

$Rules['no-replace-block'] = {
    param($File, $Bundle)
    foreach ($node in (Get-Node $File 'BinaryExpressionAst')) {
        if (@('Ireplace', 'Creplace') -notcontains [string]$node.Operator) { continue }
        if ($null -ne $node.Right.Find({ $args[0] -is [Management.Automation.Language.ScriptBlockExpressionAst] }, $true)) { New-Fault $node 'before PowerShell 6 the text of the block is inserted; use [regex]::Replace' }
    }
}

$Rules['known-attribute'] = {
    param($File, $Bundle)
    foreach ($node in (Get-Node $File 'AttributeAst')) {
        if ($OldAttributes -notcontains $node.TypeName.FullName) { New-Fault $node "the attribute $($node.TypeName.FullName) is not one of PowerShell 4.0" }
    }
}

$Rules['no-redirection'] = {
    param($File, $Bundle)
    foreach ($node in (Get-Node $File 'MergingRedirectionAst')) { New-Fault $node 'a merged stream turns a program''s standard error into errors' }
    foreach ($node in (Get-Node $File 'FileRedirectionAst')) {
        if ([string]$node.FromStream -eq 'Information') { New-Fault $node 'stream 6 is PowerShell 5.0' }
        elseif ([string]$node.Location -ne '$null') { New-Fault $node 'a redirect writes UTF-16 before PowerShell 6; use [IO.File]' }
    }
}

$Rules['ordered-literal'] = {
    param($File, $Bundle)
    foreach ($node in (Get-Node $File 'TypeConstraintAst', 'TypeExpressionAst')) {
        if ($node.TypeName.FullName -ne 'ordered') { continue }
        $before = $node.Parent
        if ($before -isnot [Management.Automation.Language.ConvertExpressionAst] -or $before.Child -isnot [Management.Automation.Language.HashtableAst]) {
            New-Fault $node '[ordered] is a type only since PowerShell 7.3; before it stands in front of @{} alone'
        }
    }
}

$Rules['only-functions'] = {
    param($File, $Bundle)
    $tree = $File.Ast
    if ($null -ne $tree.ParamBlock) { New-Fault $tree.ParamBlock 'a snippet has no parameters' }
    foreach ($block in @($tree.BeginBlock, $tree.ProcessBlock, $tree.EndBlock)) {
        if ($null -eq $block) { continue }
        foreach ($statement in $block.Statements) {
            if ($statement -isnot [Management.Automation.Language.FunctionDefinitionAst]) { New-Fault $statement 'only functions at top level: a bundle that is loaded does nothing yet' }
        }
    }
}

$Rules['no-exit'] = {
    param($File, $Bundle)
    foreach ($node in (Get-Node $File 'ExitStatementAst')) { New-Fault $node 'exit ends a remote pipeline as if all were well' }
}

$Rules['no-requires'] = {
    param($File, $Bundle)
    foreach ($token in $File.Tokens) {
        if ([string]$token.Kind -eq 'Comment' -and $token.Text -match '^#requires') { New-Fault $token '#requires means nothing in a text sent as a script' }
    }
}

$Rules['stray-jump'] = {
    param($File, $Bundle)
    foreach ($node in (Get-Node $File 'BreakStatementAst', 'ContinueStatementAst')) {
        $around = $node.Parent
        while ($around -isnot [Management.Automation.Language.LabeledStatementAst] -and $around -isnot [Management.Automation.Language.ScriptBlockAst]) { $around = $around.Parent }
        if ($around -is [Management.Automation.Language.ScriptBlockAst]) { New-Fault $node 'outside a loop it ends the whole run without an error' }
    }
}

$Rules['bare-throw'] = {
    param($File, $Bundle)
    foreach ($node in (Get-Node $File 'ThrowStatementAst')) {
        if ($null -ne $node.Pipeline) { continue }
        $around = $node.Parent
        while ($null -ne $around -and $around -isnot [Management.Automation.Language.CatchClauseAst]) { $around = $around.Parent }
        if ($null -eq $around) { New-Fault $node 'throw without a text says "ScriptHalted"' }
    }
}

$Rules['no-outer-scope'] = {
    param($File, $Bundle)
    foreach ($node in (Get-Node $File 'VariableExpressionAst')) {
        if ($node.VariablePath.IsGlobal -or $node.VariablePath.IsScript) { New-Fault $node 'state outside the function: pass it as a parameter' $node.VariablePath.UserPath }
    }
}

$Rules['typed-parameter'] = {
    param($File, $Bundle)
    foreach ($node in (Get-Node $File 'ParameterAst')) {
        $type = Get-ConstraintName $node
        if ($null -eq $type -or $type -eq 'object') { New-Fault $node "the parameter $($node.Name) has no type" }
    }
}

$Rules['no-assignment-in-condition'] = {
    param($File, $Bundle)
    $conditions = @(
        foreach ($node in (Get-Node $File 'IfStatementAst')) { foreach ($clause in $node.Clauses) { $clause.Item1 } }
        foreach ($node in (Get-Node $File 'WhileStatementAst', 'DoWhileStatementAst', 'DoUntilStatementAst')) { $node.Condition }
    )
    foreach ($condition in $conditions) {
        if ($condition -is [Management.Automation.Language.AssignmentStatementAst]) { New-Fault $condition 'an assignment as a condition reads like a comparison' }
    }
}

$Rules['ascii'] = {
    param($File, $Bundle)
    $number = 0
    foreach ($line in $File.Text.Split("`n")) {
        $number++
        if ($line -cmatch '[^\x09\x0d\x20-\x7e]') { New-Fault $number 'not ASCII: Windows PowerShell reads a file without BOM in the code page of the host' }
    }
}

$Rules['no-tab'] = {
    param($File, $Bundle)
    $number = 0
    foreach ($line in $File.Text.Split("`n")) {
        $number++
        if ($line.Contains("`t")) { New-Fault $number 'a tab' }
    }
}

$Rules['no-line-continuation'] = {
    param($File, $Bundle)
    foreach ($token in $File.Tokens) { if ([string]$token.Kind -eq 'LineContinuation') { New-Fault $token 'a backtick at the end of a line; a space behind it would break it unseen' } }
}

$Rules['no-here-string'] = {
    param($File, $Bundle)
    foreach ($token in $File.Tokens) { if ([string]$token.Kind -like 'HereString*') { New-Fault $token 'here-strings are not used: they change with the line ends of the file' } }
}
