# Parsing, and the questions about a syntax tree that several rules ask.

function Read-Bundle($Wanted) {
    $files = @(foreach ($entry in $Wanted.files) { Read-SnippetFile -Name $entry.name -Text $entry.text })
    $functions = [Collections.Generic.Dictionary[string, object]]::new([StringComparer]::OrdinalIgnoreCase)
    foreach ($file in $files) {
        foreach ($definition in (Get-Node $file 'FunctionDefinitionAst')) { $functions[$definition.Name] = @{ Ast = $definition; File = $file } }
    }
    return @{ Name = $Wanted.name; Files = $files; Functions = $functions; Memo = @{} }
}

function Read-SnippetFile([string]$Name, [string]$Text) {
    $tokens = $null
    $errors = $null
    $tree = [Management.Automation.Language.Parser]::ParseInput($Text, [ref]$tokens, [ref]$errors)
    # One walk for all rules: the nodes of each type, in the order of the text.
    $nodes = @{}
    foreach ($node in $tree.FindAll({ $true }, $true)) {
        $type = $node.GetType().Name
        if (-not $nodes.ContainsKey($type)) { $nodes[$type] = [Collections.ArrayList]::new() }
        [void]$nodes[$type].Add($node)
    }
    # Name is the last part of the path: it tells what kind of file it is.
    return @{ Path = $Name; Name = $Name.Split('/')[-1]; Text = $Text; Ast = $tree; Tokens = $tokens; Errors = $errors; Nodes = $nodes }
}

function Get-Node($File, [string[]]$Type) {
    foreach ($name in $Type) { if ($File.Nodes.ContainsKey($name)) { $File.Nodes[$name] } }
}

function New-Fault($At, [string]$Text, [string]$Subject = '') {
    # $At: a node, a token, a parse error or a line number.
    $line = $At
    if ($At -isnot [int]) { $line = $At.Extent.StartLineNumber }
    return @{ Line = $line; Text = $Text; Subject = $Subject }
}

function Get-Owner($Node) {
    # The function around a node, or the whole script.
    $parent = $Node.Parent
    while ($parent -isnot [Management.Automation.Language.FunctionDefinitionAst] -and $null -ne $parent.Parent) { $parent = $parent.Parent }
    return $parent
}

function Get-ConstantText($Node) {
    # Text of a plain string or bare word; null for anything that is computed.
    if ($Node -is [Management.Automation.Language.StringConstantExpressionAst]) { return $Node.Value }
    return $null
}

function Get-TargetVariable($Left) {
    # The variables that an assignment's left side sets: $x, [int]$x, $x, $y. Not those of $x.a and $x[0].
    if ($Left -is [Management.Automation.Language.VariableExpressionAst]) { return $Left }
    if ($Left -is [Management.Automation.Language.AttributedExpressionAst]) { return Get-TargetVariable $Left.Child }
    if ($Left -is [Management.Automation.Language.ArrayLiteralAst]) { foreach ($element in $Left.Elements) { Get-TargetVariable $element } }
}

function Get-RootVariable($Expression) {
    # The variable at the beginning of $x.a['b'].C(), or null.
    $current = $Expression
    while ($true) {
        if ($current -is [Management.Automation.Language.VariableExpressionAst]) { return $current }
        if ($current -is [Management.Automation.Language.MemberExpressionAst]) { $current = $current.Expression }
        elseif ($current -is [Management.Automation.Language.IndexExpressionAst]) { $current = $current.Target }
        elseif ($current -is [Management.Automation.Language.AttributedExpressionAst]) { $current = $current.Child }
        else { return $null }
    }
}

function Get-PureExpression($Pipeline) {
    # The expression that a pipeline consists of, without its parentheses; null when it runs a command.
    $current = $Pipeline
    while ($true) {
        if ($current -is [Management.Automation.Language.PipelineAst] -and $current.PipelineElements.Count -eq 1) { $current = $current.PipelineElements[0] }
        elseif ($current -is [Management.Automation.Language.CommandExpressionAst]) { $current = $current.Expression }
        elseif ($current -is [Management.Automation.Language.ParenExpressionAst]) { $current = $current.Pipeline }
        elseif ($current -is [Management.Automation.Language.ExpressionAst]) { return $current }
        else { return $null }
    }
}

function Get-AssignedValue($Owner, [string]$Name) {
    # Right sides of every plain assignment to a variable in a function. A variable that a loop sets yields the loop itself.
    foreach ($node in $Owner.FindAll({ $args[0] -is [Management.Automation.Language.AssignmentStatementAst] -or $args[0] -is [Management.Automation.Language.ForEachStatementAst] }, $true)) {
        if ($node -is [Management.Automation.Language.ForEachStatementAst]) {
            if ($node.Variable.VariablePath.UserPath -eq $Name) { $node }
        }
        elseif ($node.Operator -eq 'Equals') {
            foreach ($variable in @(Get-TargetVariable $node.Left)) { if ($variable.VariablePath.UserPath -eq $Name) { $node.Right } }
        }
    }
}

function Get-Parameter($Owner) {
    # The parameters of a function or script.
    $body = $Owner
    if ($Owner -is [Management.Automation.Language.FunctionDefinitionAst]) {
        if ($null -ne $Owner.Parameters) { return $Owner.Parameters }
        $body = $Owner.Body
    }
    if ($null -ne $body.ParamBlock) { return $body.ParamBlock.Parameters }
}

function Get-ConstraintName($Parameter) {
    # The type that a parameter is declared with, as written; null without one. StaticType would be [object] for a type that is not loaded here.
    foreach ($attribute in $Parameter.Attributes) {
        if ($attribute -is [Management.Automation.Language.TypeConstraintAst]) { return $attribute.TypeName.FullName }
    }
    return $null
}

function Get-NewObjectType($Node) {
    # The type name that New-Object is called with in `New-Object T`, `(New-Object T ...)`; null for anything else.
    $command = $Node
    while ($true) {
        if ($command -is [Management.Automation.Language.PipelineAst] -and $command.PipelineElements.Count -eq 1) { $command = $command.PipelineElements[0] }
        elseif ($command -is [Management.Automation.Language.ParenExpressionAst]) { $command = $command.Pipeline }
        elseif ($command -is [Management.Automation.Language.CommandExpressionAst]) { $command = $command.Expression }
        else { break }
    }
    if ($command -isnot [Management.Automation.Language.CommandAst] -or $command.GetCommandName() -ne 'New-Object') { return $null }
    $elements = $command.CommandElements
    for ($index = 1; $index -lt $elements.Count; $index++) {
        if ($elements[$index] -is [Management.Automation.Language.CommandParameterAst]) {
            if ($elements[$index].ParameterName -ne 'TypeName') { return $null }
            continue
        }
        return Get-ConstantText $elements[$index]
    }
    return $null
}
