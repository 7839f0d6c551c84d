# Commands and their parameters: known to 4.0 and to 5.1, or functions of the bundle; none whose behaviour differs.

$CommonParameters = @('Verbose', 'Debug', 'ErrorAction', 'WarningAction', 'ErrorVariable', 'WarningVariable', 'OutVariable', 'OutBuffer', 'PipelineVariable')
$ForbiddenCommands = @{
    'ConvertTo-Json' = 'differs between 4.0, 5.1 and 7 in escapes, arrays, dates and depth: ConvertTo-LyncarrJson'
    'Select-Object' = 'differs between versions: index the array, or build a dictionary'
    'Group-Object' = 'differs between versions: use a dictionary'
    'Measure-Object' = 'differs between versions: use @(...).Count or a loop'
    'Sort-Object' = 'follows the culture and is not stable before 7: [array]::Sort with [StringComparer]::Ordinal'
    'Write-Host' = 'is a call to the client''s screen in 4.0: add an event'
    'Invoke-Expression' = 'makes code of text'
    'Write-Information' = 'is PowerShell 5.0'
    'Start-Process' = 'loses exit codes: [System.Diagnostics.Process]'
    'Add-Type' = 'compiles C# 5 on the host: not in a snippet'
}

function Get-PositionalArgument($Command, [string[]]$Switches) {
    # The arguments of a command that no parameter name stands before.
    $elements = $Command.CommandElements
    for ($index = 1; $index -lt $elements.Count; $index++) {
        $element = $elements[$index]
        if ($element -is [Management.Automation.Language.CommandParameterAst]) {
            if ($null -eq $element.Argument -and $Switches -notcontains $element.ParameterName) { $index++ }
        }
        elseif ($element -isnot [Management.Automation.Language.VariableExpressionAst] -or -not $element.Splatted) { $element }
    }
}

function Get-UsedParameter($Command) {
    foreach ($element in $Command.CommandElements) { if ($element -is [Management.Automation.Language.CommandParameterAst]) { $element } }
}

$Rules['known-command'] = {
    param($File, $Bundle)
    foreach ($node in (Get-Node $File 'CommandAst')) {
        $name = $node.GetCommandName()
        if ($null -eq $name -or $ForbiddenCommands.ContainsKey($name)) { continue }
        if (-not $Bundle.Functions.ContainsKey($name) -and -not $Facts.Commands.ContainsKey($name)) { New-Fault $node "'$name' is no function of the bundle and no command of both 4.0 and 5.1" $name }
    }
}

$Rules['known-parameter'] = {
    param($File, $Bundle)
    foreach ($node in (Get-Node $File 'CommandAst')) {
        $name = $node.GetCommandName()
        if ($null -eq $name) { continue }
        if ($Bundle.Functions.ContainsKey($name)) {
            $declared = @(Get-Parameter $Bundle.Functions[$name].Ast)
            $known = @(foreach ($parameter in $declared) { $parameter.Name.VariablePath.UserPath })
            $switches = @(foreach ($parameter in $declared) { if ((Get-ConstraintName $parameter) -eq 'switch') { $parameter.Name.VariablePath.UserPath } })
            $where = $Bundle.Functions[$name].File.Name
            foreach ($argument in @(Get-PositionalArgument $node $switches)) { New-Fault $argument "an argument of $name without its parameter's name" $name }
        }
        elseif ($Facts.Commands.ContainsKey($name)) {
            $known = $Facts.Commands[$name].Split(' ') + $CommonParameters
            $where = 'both 4.0 and 5.1'
        }
        else { continue }
        foreach ($used in @(Get-UsedParameter $node)) {
            if ($known -notcontains $used.ParameterName) { New-Fault $used "$name has no parameter -$($used.ParameterName) in $where; names are written in full" $name }
        }
    }
}

$Rules['forbidden-command'] = {
    param($File, $Bundle)
    foreach ($node in (Get-Node $File 'CommandAst')) {
        $name = $node.GetCommandName()
        if ($null -ne $name -and $ForbiddenCommands.ContainsKey($name)) { New-Fault $node "$name $($ForbiddenCommands[$name])" $name }
    }
}

$Rules['dynamic-code'] = {
    param($File, $Bundle)
    foreach ($node in (Get-Node $File 'CommandAst')) {
        if ([string]$node.InvocationOperator -eq 'Dot') { New-Fault $node 'dot-sourcing' }
        elseif ($null -eq $node.GetCommandName() -and $node.CommandElements[0] -isnot [Management.Automation.Language.ScriptBlockExpressionAst]) { New-Fault $node 'a command whose name is computed' }
    }
    foreach ($node in (Get-Node $File 'MemberExpressionAst', 'InvokeMemberExpressionAst')) {
        $name = Get-ConstantText $node.Member
        if ($null -eq $name) { New-Fault $node 'a member whose name is computed' }
        elseif ($name -eq 'PtrToStringAuto') { New-Fault $node 'PtrToStringAuto gives one character where strings are UTF-8: PtrToStringBSTR' }
        elseif ($node.Static -and $name -eq 'Create' -and $node.Expression.Extent.Text -match '^\[(System\.Management\.Automation\.)?scriptblock\]$') { New-Fault $node 'code made of text' }
        elseif (@('InvokeScript', 'NewScriptBlock', 'ExpandString') -contains $name) { New-Fault $node 'code made of text' }
    }
}

$Rules['literal-path'] = {
    param($File, $Bundle)
    foreach ($node in (Get-Node $File 'CommandAst')) {
        $name = $node.GetCommandName()
        if ($null -eq $name -or $name -notmatch '-(Item|ChildItem|Content|ItemProperty)$|^(Test|Resolve)-Path$') { continue }
        if (@(Get-UsedParameter $node | Where-Object { $_.ParameterName -eq 'LiteralPath' }).Count -eq 0) { New-Fault $node "$name takes [ and ] for wildcards unless -LiteralPath is written (New-Item has none: use .NET)" $name }
    }
}
