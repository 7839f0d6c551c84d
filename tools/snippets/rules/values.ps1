# Expressions that parse everywhere and mean something else on 4.0, on 5.1, under strict mode or under another culture.

$AutomaticVariables = @(
    'args', 'input', 'matches', 'host', 'error', 'home', 'pid', 'event', 'eventargs', 'eventsubscriber', 'profile', 'sender', 'sourceargs', 'this', 'foreach', 'switch', '_', 'psitem',
    'pwd', 'true', 'false', 'null', 'pshome', 'psversiontable', 'psboundparameters', 'myinvocation', 'psscriptroot', 'pscommandpath', 'pscmdlet', 'lastexitcode',
    'executioncontext', 'shellid', 'stacktrace', 'nestedpromptlevel', 'consolefilename', 'psculture', 'psuiculture'
)
$NewVariables = '^(IsWindows|IsLinux|IsMacOS|IsCoreCLR|PSStyle|InformationPreference|PSNative\w+|EnabledExperimentalFeatures)$'
# Methods whose result is an array or a string whatever it holds: unlike a command's output it is never unrolled.
$CountedMethods = @('Split', 'ToArray', 'ToCharArray', 'ToString', 'Substring', 'Trim', 'TrimStart', 'TrimEnd', 'GetBytes', 'ReadAllBytes', 'ReadAllLines', 'ReadAllText', 'FromBase64String', 'Join')
# Methods that return nothing. Every other call that stands alone would leave its result in the output of the function.
$SilentMethods = @(
    'AddRange', 'Clear', 'Close', 'CommitChanges', 'Copy', 'CopyTo', 'Delete', 'DeleteValue', 'Dispose', 'Flush', 'FreeBSTR', 'FreeHGlobal', 'Load', 'LoadXml', 'Move', 'Open', 'ReleaseMutex', 'RemoveAt',
    'RemoveRange', 'Reset', 'Reverse', 'Seek', 'SetAccessControl', 'SetAttributes', 'SetAttributeValue', 'SetLength', 'SetValue', 'Sleep', 'Sort', 'Write', 'WriteAllBytes', 'WriteAllLines',
    'WriteAllText', 'WriteLine', 'ZeroFreeBSTR', 'BeginOutputReadLine', 'BeginErrorReadLine', 'DeleteSubKey', 'DeleteSubKeyTree', 'Refresh', 'SetMetadata'
)

$Rules['automatic-variable'] = {
    param($File, $Bundle)
    $targets = @(
        foreach ($node in (Get-Node $File 'AssignmentStatementAst')) { Get-TargetVariable $node.Left }
        foreach ($node in (Get-Node $File 'ForEachStatementAst')) { $node.Variable }
        foreach ($node in (Get-Node $File 'ParameterAst')) { $node.Name }
    )
    foreach ($target in $targets) {
        if ($AutomaticVariables -contains $target.VariablePath.UserPath) { New-Fault $target "$($target.Extent.Text) belongs to PowerShell" }
    }
}

$Rules['new-variable'] = {
    param($File, $Bundle)
    foreach ($node in (Get-Node $File 'VariableExpressionAst')) {
        if ($node.VariablePath.UserPath -match $NewVariables) { New-Fault $node "$($node.Extent.Text) is missing before PowerShell 5 or 6: reading it throws" }
    }
}

function Test-Counted($Expression, $Owner) {
    # Has the value a Count and a Length on every version, and with 0 and 1 elements too?
    if ($Expression -is [Management.Automation.Language.ParenExpressionAst]) { return Test-Counted (Get-PureExpression $Expression) $Owner }
    if ($Expression -is [Management.Automation.Language.ArrayExpressionAst] -or $Expression -is [Management.Automation.Language.ExpandableStringExpressionAst]) { return $true }
    if ($Expression -is [Management.Automation.Language.StringConstantExpressionAst]) { return $true }
    if ($Expression -is [Management.Automation.Language.ConvertExpressionAst]) { return ($Expression.Type.TypeName.IsArray -or $Expression.Type.TypeName.FullName -eq 'string') }
    if ($Expression -is [Management.Automation.Language.InvokeMemberExpressionAst]) { return ($CountedMethods -contains (Get-ConstantText $Expression.Member)) }
    if ($Expression -isnot [Management.Automation.Language.VariableExpressionAst]) { return $false }
    $name = $Expression.VariablePath.UserPath
    $declared = @(foreach ($parameter in @(Get-Parameter $Owner)) { if ($parameter.Name.VariablePath.UserPath -eq $name) { Get-ConstraintName $parameter } })
    if ($declared.Count -gt 0 -and $declared[0] -ne 'string') { return $false }
    $values = @(Get-AssignedValue $Owner $name)
    foreach ($value in $values) { if (-not (Test-Counted (Get-PureExpression $value) $Owner)) { return $false } }
    return ($declared.Count + $values.Count -gt 0)
}

$Rules['safe-count'] = {
    param($File, $Bundle)
    foreach ($node in (Get-Node $File 'MemberExpressionAst')) {
        if ($node.Static -or @('Count', 'Length') -notcontains (Get-ConstantText $node.Member)) { continue }
        if (-not (Test-Counted $node.Expression (Get-Owner $node))) { New-Fault $node 'a single object has no Count under strict mode: @(...).Count, or get_Count() of a .NET collection' }
    }
}

$Rules['null-left'] = {
    param($File, $Bundle)
    foreach ($node in (Get-Node $File 'BinaryExpressionAst')) {
        if (@('Ieq', 'Ine', 'Ceq', 'Cne') -contains [string]$node.Operator -and $node.Right.Extent.Text -eq '$null') { New-Fault $node '$null stands on the left: on the right it filters a list' }
    }
}

$Rules['empty-catch'] = {
    param($File, $Bundle)
    foreach ($node in (Get-Node $File 'CatchClauseAst')) {
        if ($node.Body.Statements.Count -eq 0) { New-Fault $node 'an empty catch makes "access denied" an absence' }
    }
}

$Rules['culture'] = {
    param($File, $Bundle)
    $least = @{ ToLower = 99; ToUpper = 99; CompareTo = 99; StartsWith = 2; EndsWith = 2; IndexOf = 2; LastIndexOf = 2 }
    foreach ($node in (Get-Node $File 'InvokeMemberExpressionAst')) {
        $name = [string](Get-ConstantText $node.Member)
        $count = @($node.Arguments | Where-Object { $null -ne $_ }).Count
        if ($least.ContainsKey($name) -and $count -lt $least[$name]) { New-Fault $node "$name follows the culture of the session: give a StringComparison, or use the Invariant method" }
        if ($name -eq 'ToString' -and $count -eq 1 -and $null -ne (Get-ConstantText $node.Arguments[0])) { New-Fault $node 'ToString with a format alone follows the culture of the session: add [cultureinfo]::InvariantCulture' }
    }
    foreach ($node in (Get-Node $File 'BinaryExpressionAst')) {
        if ([string]$node.Operator -eq 'Format') { New-Fault $node '-f follows the culture of the session' }
        # Under Turkish rules i and I are different letters.
        if (@('Imatch', 'Inotmatch', 'Ireplace', 'Isplit') -contains [string]$node.Operator -and $node.Right.Extent.Text -match '[a-z]') {
            New-Fault $node "a pattern with letters follows the culture of the session: -c$(([string]$node.Operator).Substring(1)), or [regex] with CultureInvariant"
        }
    }
}

$Rules['no-string-order'] = {
    param($File, $Bundle)
    foreach ($node in (Get-Node $File 'BinaryExpressionAst')) {
        if ([string]$node.Operator -notmatch '^[IC](lt|gt|le|ge)$') { continue }
        foreach ($side in @($node.Left, $node.Right)) {
            if ($side -is [Management.Automation.Language.StringConstantExpressionAst] -or $side -is [Management.Automation.Language.ExpandableStringExpressionAst]) {
                New-Fault $node 'the order of strings follows the culture of the session: [string]::CompareOrdinal'
            }
        }
    }
}

$Rules['split-characters'] = {
    param($File, $Bundle)
    foreach ($node in (Get-Node $File 'InvokeMemberExpressionAst')) {
        if ((Get-ConstantText $node.Member) -ne 'Split' -or $null -eq $node.Arguments) { continue }
        $text = Get-ConstantText $node.Arguments[0]
        if ($null -ne $text -and $text.Length -gt 1) { New-Fault $node 'Split takes a string as its characters on 4.0 and 5.1, as a whole on 7: [char[]] or -split' }
    }
}

$Rules['leaked-result'] = {
    param($File, $Bundle)
    foreach ($node in (Get-Node $File 'InvokeMemberExpressionAst')) {
        $statement = $node.Parent.Parent
        if ($node.Parent -isnot [Management.Automation.Language.CommandExpressionAst] -or $statement -isnot [Management.Automation.Language.PipelineAst]) { continue }
        $block = $statement.Parent
        $alone = $block -is [Management.Automation.Language.NamedBlockAst] -or $block -is [Management.Automation.Language.StatementBlockAst]
        $isValue = $block.Parent -is [Management.Automation.Language.ArrayExpressionAst] -or $block.Parent -is [Management.Automation.Language.SubExpressionAst]
        $name = [string](Get-ConstantText $node.Member)
        $silent = $SilentMethods -contains $name -or ($name -eq 'WaitForExit' -and $null -eq $node.Arguments)
        if ($alone -and -not $isValue -and -not $silent) {
            New-Fault $node 'the result of a call that stands alone becomes output: [void], assign it or return it'
        }
    }
}

$Rules['drive-variable'] = {
    param($File, $Bundle)
    foreach ($node in (Get-Node $File 'VariableExpressionAst')) {
        $drive = $node.VariablePath.DriveName
        if (-not [string]::IsNullOrEmpty($drive) -and $drive -ne 'env') { New-Fault $node "$($node.Extent.Text) is a variable of the drive ${drive}: write `${$drive}: in a text" }
    }
}

$Rules['reserved-key'] = {
    param($File, $Bundle)
    foreach ($node in (Get-Node $File 'HashtableAst')) {
        foreach ($pair in $node.KeyValuePairs) {
            $name = Get-ConstantText $pair.Item1
            if (@('Count', 'Keys', 'Values', 'Item') -contains $name) { New-Fault $pair.Item1 'a key of this name hides the property of the dictionary' $name }
        }
    }
}
