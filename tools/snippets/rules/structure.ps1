# The shape of ps_snippets/: what a step's file holds, what a getter may do, what only the platform layer may do.

$StepParameters = @('[Collections.IDictionary]$Desired', '[Collections.IDictionary]$Parameters', '[Collections.IDictionary]$Context')
# Verbs of commands and functions that change nothing on the host. The rest needs an exception with a reason.
$ReadingVerbs = @('Get', 'Test', 'Find', 'Select', 'Read', 'Resolve', 'ConvertTo', 'ConvertFrom', 'Compare', 'Join', 'Split', 'Where', 'ForEach', 'Measure', 'Format')
$WritingMethods = '^(Set|Add|Remove|Commit|Delete|Insert|Clear|Save|Write|Append|Create.|Move|Install|Import)|^(Start|Stop|Kill|Recycle|Restart|Flush|Encrypt|Decrypt)$'
$WritingFileMethods = '^(Copy|Replace|Open|Create)$'
# What is made in memory by New-Object and may be filled in a getter.
$MemoryTypes = '^System\.(Collections|Text)\.'
# Objects whose properties write through to the machine.
$LiveTypes = '^(Microsoft\.Web\.Administration|Microsoft\.Win32|System\.ServiceProcess)\.'

function Test-SharedFile($File) { return $File.Name.StartsWith('_') -or $File.Path.StartsWith('_') }

function Get-StepNoun($File) {
    # proxy_timeout.ps1 holds Get-ProxyTimeoutState.
    $words = foreach ($word in [IO.Path]::GetFileNameWithoutExtension($File.Name).Split('_')) { $word.Substring(0, 1).ToUpperInvariant() + $word.Substring(1) }
    return -join $words
}

function Get-StepFunction($File) {
    # The names that a step's file must define; none for a shared file.
    if (Test-SharedFile $File) { return }
    $noun = Get-StepNoun $File
    "Get-${noun}State"
    "Set-${noun}State"
}

$Rules['function-names'] = {
    param($File, $Bundle)
    $public = @(Get-StepFunction $File)
    $defined = @(foreach ($node in (Get-Node $File 'FunctionDefinitionAst')) { $node.Name })
    foreach ($name in $public) { if ($defined -cnotcontains $name) { New-Fault 1 "this file must define $name" $name } }
    foreach ($node in (Get-Node $File 'FunctionDefinitionAst')) {
        if ($public -cnotcontains $node.Name -and $node.Name -cnotmatch '^[A-Z][A-Za-z]+-Lyncarr([A-Z][A-Za-z]*)?$') { New-Fault $node "$($node.Name): helpers are named Verb-LyncarrNoun" $node.Name }
        if ($node.IsFilter -or $node.IsWorkflow -or (Get-Owner $node) -is [Management.Automation.Language.FunctionDefinitionAst]) { New-Fault $node "$($node.Name): plain functions at top level" $node.Name }
    }
}

$Rules['step-parameters'] = {
    param($File, $Bundle)
    foreach ($node in (Get-Node $File 'FunctionDefinitionAst')) {
        if (@(Get-StepFunction $File) -cnotcontains $node.Name) { continue }
        $expected = $StepParameters
        if ($node.Name.StartsWith('Set-')) { $expected = $expected + '[Collections.IDictionary]$Secrets' }
        $actual = @(foreach ($parameter in @(Get-Parameter $node)) { $parameter.Extent.Text })
        if (($actual -join ', ') -cne ($expected -join ', ')) { New-Fault $node "$($node.Name) takes param($($expected -join ', '))" $node.Name }
    }
}

$Rules['unique-function'] = {
    param($File, $Bundle)
    foreach ($node in (Get-Node $File 'FunctionDefinitionAst')) {
        $kept = $Bundle.Functions[$node.Name]
        if (-not [object]::ReferenceEquals($kept.Ast, $node)) { New-Fault $node "$($node.Name) is defined again in $($kept.File.Name), line $($kept.Ast.Extent.StartLineNumber)" $node.Name }
    }
}

$Rules['unused-function'] = {
    param($File, $Bundle)
    # Only a whole bundle can tell: its entry point calls everything, the steps included.
    if (-not $Bundle.Memo.ContainsKey('Called')) {
        $called = New-NameSet @()
        foreach ($other in $Bundle.Files) { foreach ($command in (Get-Node $other 'CommandAst')) { [void]$called.Add([string]$command.GetCommandName()) } }
        $Bundle.Memo['Called'] = $called
        $Bundle.Memo['Whole'] = @($Bundle.Files | Where-Object { $_.Name -eq '_main.ps1' }).Count -gt 0
    }
    if (-not $Bundle.Memo['Whole']) { return }
    foreach ($node in (Get-Node $File 'FunctionDefinitionAst')) { if (-not $Bundle.Memo['Called'].Contains($node.Name)) { New-Fault $node "$($node.Name) is called nowhere" $node.Name } }
}

function Get-GetterPath($Bundle) {
    # Name of each function that a getter reaches -> how: "Get-FarmsState > Get-LyncarrFarm".
    if ($Bundle.Memo.ContainsKey('Getters')) { return $Bundle.Memo['Getters'] }
    $paths = [Collections.Generic.Dictionary[string, string]]::new([StringComparer]::OrdinalIgnoreCase)
    $waiting = [Collections.Queue]::new()
    foreach ($name in $Bundle.Functions.Keys) {
        if ($name -eq 'Get-LyncarrHello' -or ($name -like 'Get-*State' -and $name -notlike 'Get-Lyncarr*')) {
            $paths[$name] = $name
            $waiting.Enqueue($name)
        }
    }
    while ($waiting.Count -gt 0) {
        $name = $waiting.Dequeue()
        foreach ($command in $Bundle.Functions[$name].Ast.FindAll({ $args[0] -is [Management.Automation.Language.CommandAst] }, $true)) {
            $callee = [string]$command.GetCommandName()
            if (-not $Bundle.Functions.ContainsKey($callee) -or $paths.ContainsKey($callee)) { continue }
            $paths[$callee] = "$($paths[$name]) > $callee"
            $waiting.Enqueue($callee)
        }
    }
    $Bundle.Memo['Getters'] = $paths
    return $paths
}

function Get-MadeType($Variable, $Owner) {
    # What a variable holds that its own function made: 'memory' (a literal or a collection), the type given to New-Object, '' for what came from elsewhere.
    if (-not $Variable.VariablePath.IsUnscopedVariable) { return '' }
    $made = New-NameSet @()
    foreach ($value in @(Get-AssignedValue $Owner $Variable.VariablePath.UserPath)) {
        $expression = Get-PureExpression $value
        if ($expression -is [Management.Automation.Language.ConvertExpressionAst] -and $expression.Child -is [Management.Automation.Language.HashtableAst]) { $expression = $expression.Child }
        $type = [string](Get-NewObjectType $value)
        if ($expression -is [Management.Automation.Language.HashtableAst] -or $expression -is [Management.Automation.Language.ArrayExpressionAst] -or $type -match $MemoryTypes) { $type = 'memory' }
        [void]$made.Add($type)
    }
    if ($made.Count -ne 1) { return '' }
    return @($made)[0]
}

function Get-WritingCall($Function) {
    # Calls of .NET methods in a function that may change something outside it.
    foreach ($node in $Function.FindAll({ $args[0] -is [Management.Automation.Language.InvokeMemberExpressionAst] }, $true)) {
        $name = [string](Get-ConstantText $node.Member)
        $onFile = $node.Static -and $node.Expression.Extent.Text -match '^\[(System\.)?IO\.(File|Directory)\]$'
        if ($name -notmatch $WritingMethods -and -not ($onFile -and $name -match $WritingFileMethods)) { continue }
        $root = Get-RootVariable $node
        if ($null -ne $root -and (Get-MadeType $root $Function) -eq 'memory') { continue }
        New-Fault $node "the call of $name" $name
    }
}

function Get-WritingAssignment($Function) {
    # Assignments to members and items of what the function did not make. $Context is the scratch table of a request.
    foreach ($node in $Function.FindAll({ $args[0] -is [Management.Automation.Language.AssignmentStatementAst] }, $true)) {
        $left = $node.Left
        if ($left -is [Management.Automation.Language.VariableExpressionAst] -or $left -is [Management.Automation.Language.AttributedExpressionAst]) { continue }
        $root = Get-RootVariable $left
        if ($null -ne $root) {
            if ($root.VariablePath.UserPath -eq 'Context' -and $left -is [Management.Automation.Language.IndexExpressionAst] -and $left.Target -eq $root) { continue }
            $made = Get-MadeType $root $Function
            if ($made -ne '' -and $made -notmatch $LiveTypes) { continue }
        }
        New-Fault $node "the assignment to $($left.Extent.Text)" $left.Extent.Text
    }
}

$Rules['getter-writes'] = {
    param($File, $Bundle)
    $paths = Get-GetterPath $Bundle
    foreach ($node in (Get-Node $File 'FunctionDefinitionAst')) {
        if (-not $paths.ContainsKey($node.Name)) { continue }
        $faults = @(
            foreach ($command in $node.FindAll({ $args[0] -is [Management.Automation.Language.CommandAst] }, $true)) {
                $name = [string]$command.GetCommandName()
                if ($name -ne '' -and $ReadingVerbs -notcontains $name.Split('-')[0]) { New-Fault $command "the command $name" $name }
            }
            Get-WritingCall $node
            Get-WritingAssignment $node
        )
        foreach ($fault in $faults) { New-Fault $fault.Line "a getter changes nothing, and $($fault.Text) may ($($paths[$node.Name]))" $fault.Subject }
    }
}

$Rules['platform-layer'] = {
    param($File, $Bundle)
    if ($File.Path -match '(^|/)_windows(/|\.ps1$)') { return }
    foreach ($node in (Get-Node $File 'CommandAst')) {
        $name = $node.GetCommandName()
        if ($null -ne $name -and $Facts.Commands.ContainsKey($name) -and -not $ForbiddenCommands.ContainsKey($name) -and -not $Bundle.Functions.ContainsKey($name) -and -not $Facts.Portable.ContainsKey($name)) {
            New-Fault $node "$name belongs in a function of _windows/ (or into tools/snippets/data/portable.txt, if it is the same everywhere)" $name
        }
    }
    foreach ($written in @(Get-WrittenType $File)) {
        if ($null -eq $written.TypeName) { continue }
        foreach ($name in @(Get-NamedType $written.TypeName)) {
            $type = Resolve-FullTypeName $name
            if ($null -eq $type -or $Facts.Portable.ContainsKey($type) -or $type.StartsWith('Microsoft.Web.Administration.')) { continue }
            New-Fault $written.At "$type belongs in a function of _windows/ (or into tools/snippets/data/portable.txt, if it is the same everywhere)" $type
        }
    }
    foreach ($node in (Get-Node $File 'VariableExpressionAst')) {
        if ($node.VariablePath.DriveName -eq 'env') { New-Fault $node "$($node.Extent.Text): the environment is read in _windows/" $node.VariablePath.UserPath }
    }
}

$Rules['declared-kind'] = {
    param($File, $Bundle)
    foreach ($node in (Get-Node $File 'CommandAst')) {
        $name = [string]$node.GetCommandName()
        if (-not $Facts.Kinds.ContainsKey($name)) { continue }
        for ($place = 1; $place -lt $node.CommandElements.Count; $place++) {
            $element = $node.CommandElements[$place]
            if ($element -isnot [Management.Automation.Language.CommandParameterAst] -or $element.ParameterName -ne 'Kind') { continue }
            $kind = $node.CommandElements[$place + 1]
            if ($kind -isnot [Management.Automation.Language.StringConstantExpressionAst]) { New-Fault $kind "the -Kind of $name must be a constant, so that its declaration can be checked" $name }
            elseif ($Facts.Kinds[$name] -cnotcontains $kind.Value) { New-Fault $kind "lyncarr/powershell/protocol.py does not declare the kind '$($kind.Value)' of $name" $kind.Value }
        }
    }
}

$Rules['declared-context'] = {
    param($File, $Bundle)
    # Only a bundle that makes the context can tell its keys.
    if (-not $Bundle.Functions.ContainsKey('New-LyncarrContext')) { return }
    if (-not $Bundle.Memo.ContainsKey('Context')) {
        $keys = New-NameSet @()
        foreach ($table in $Bundle.Functions['New-LyncarrContext'].Ast.FindAll({ $args[0] -is [Management.Automation.Language.HashtableAst] }, $true)) {
            foreach ($pair in $table.KeyValuePairs) { [void]$keys.Add($pair.Item1.Value) }
        }
        $Bundle.Memo['Context'] = $keys
    }
    foreach ($node in (Get-Node $File 'IndexExpressionAst')) {
        if ($node.Target -isnot [Management.Automation.Language.VariableExpressionAst] -or $node.Target.VariablePath.UserPath -ne 'Context') { continue }
        $key = $node.Index
        if ($key -is [Management.Automation.Language.StringConstantExpressionAst] -and $Bundle.Memo['Context'].Contains($key.Value)) { continue }
        New-Fault $node "New-LyncarrContext does not declare $($key.Extent.Text)" $key.Extent.Text
    }
}
