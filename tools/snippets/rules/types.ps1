# .NET types and members: they exist in .NET Framework 4.5, the floor of the hosts. The engine that runs the tests has many more.

function Get-WrittenType($File) {
    # Every type that a file names, as @{ At; TypeName }.
    foreach ($node in (Get-Node $File 'TypeExpressionAst', 'TypeConstraintAst')) { @{ At = $node; TypeName = $node.TypeName } }
    foreach ($node in (Get-Node $File 'CommandAst')) {
        $name = Get-NewObjectType $node
        if ($null -ne $name) { @{ At = $node; TypeName = (ConvertTo-TypeName $name) } }
    }
}

function Get-KnownVariableType($Variable, $Owner) {
    # Full name of the one type that a variable can have in its function, null where more is possible.
    $name = $Variable.VariablePath.UserPath
    $types = New-NameSet @()
    foreach ($parameter in @(Get-Parameter $Owner)) { if ($parameter.Name.VariablePath.UserPath -eq $name) { [void]$types.Add([string](Get-ConstraintName $parameter)) } }
    foreach ($value in @(Get-AssignedValue $Owner $name)) {
        $expression = Get-PureExpression $value
        if ($value.Extent.Text -eq '$null') { continue }
        if ($expression -is [Management.Automation.Language.ConvertExpressionAst]) { [void]$types.Add($expression.Type.TypeName.FullName) }
        else { [void]$types.Add([string](Get-NewObjectType $value)) }
    }
    if ($types.Count -ne 1) { return $null }
    $written = @($types)[0]
    if ($written -eq '' -or $written.Contains('[')) { return $null }
    $type = Resolve-FullTypeName $written
    # These two stand for whatever the caller passes.
    if (@('System.Object', 'System.Management.Automation.PSObject') -contains $type) { return $null }
    return $type
}

$Rules['known-type'] = {
    param($File, $Bundle)
    foreach ($written in @(Get-WrittenType $File)) {
        if ($null -eq $written.TypeName) { New-Fault $written.At 'not the name of a type'; continue }
        foreach ($name in @(Get-NamedType $written.TypeName)) {
            if ($name -ne 'ordered' -and $null -eq (Resolve-FullTypeName $name)) { New-Fault $written.At "the type $name is not known in .NET Framework 4.5 (tools/snippets/data/types.txt)" $name }
        }
    }
}

$Rules['known-member'] = {
    param($File, $Bundle)
    foreach ($node in (Get-Node $File 'MemberExpressionAst', 'InvokeMemberExpressionAst')) {
        $name = Get-ConstantText $node.Member
        if ($null -eq $name -or $name -eq 'new') { continue }
        $plain = $name -replace '^(get|set)_', ''
        if ($node.Static) {
            if ($node.Expression -isnot [Management.Automation.Language.TypeExpressionAst]) { continue }
            $type = Resolve-FullTypeName (@(Get-NamedType $node.Expression.TypeName)[0])
            if ($null -ne $type -and -not (Test-TypeMember $type $plain 'Static')) { New-Fault $node "$type has no static $plain in .NET Framework 4.5" "${type}::$plain" }
            continue
        }
        if (-not $Facts.Members.Contains($plain)) { New-Fault $node "no type of .NET Framework 4.5 has a member $plain; read a dictionary as `$x['$plain']" $plain; continue }
        if ($node.Expression -isnot [Management.Automation.Language.VariableExpressionAst]) { continue }
        $type = Get-KnownVariableType $node.Expression (Get-Owner $node)
        if ($null -ne $type -and $plain -ne 'PSObject' -and -not (Test-TypeMember $type $plain 'Instance')) { New-Fault $node "$type has no $plain in .NET Framework 4.5" "$type.$plain" }
    }
}
