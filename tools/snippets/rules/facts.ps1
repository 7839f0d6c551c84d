# What data/ says: commands and types that exist on the hosts, names that are the same everywhere, exceptions.

function Read-Table([string]$Path) {
    # Lines "name rest" as a dictionary, letter case aside.
    $table = [Collections.Generic.Dictionary[string, string]]::new([StringComparer]::OrdinalIgnoreCase)
    foreach ($line in [IO.File]::ReadAllLines($Path)) {
        if ($line -eq '' -or $line.StartsWith('#')) { continue }
        $end = $line.IndexOfAny([char[]]' |')
        if ($end -lt 0) { $table[$line] = '' } else { $table[$line.Substring(0, $end)] = $line.Substring($end + 1) }
    }
    return $table
}

function New-NameSet([string[]]$Names) {
    $set = [Collections.Generic.HashSet[string]]::new([StringComparer]::OrdinalIgnoreCase)
    foreach ($name in $Names) { [void]$set.Add($name) }
    # Unary comma: an empty set would otherwise unroll to nothing.
    return , $set
}

function Read-Facts([string]$Folder) {
    $types = Read-Table ([IO.Path]::Combine($Folder, 'types.txt'))
    $members = New-NameSet @()
    foreach ($line in $types.Values) { foreach ($name in $line.Split('|')[2].Split(' ')) { [void]$members.Add($name) } }
    # Members that the engine itself adds to every object.
    foreach ($name in 'PSObject', 'PSTypeNames', 'Where', 'ForEach') { [void]$members.Add($name) }
    $exceptions = ConvertFrom-Json -InputObject ([IO.File]::ReadAllText([IO.Path]::Combine($Folder, 'exceptions.json')))
    return @{
        Commands = Read-Table ([IO.Path]::Combine($Folder, 'commands.txt'))
        Types = $types
        Accelerators = Read-Table ([IO.Path]::Combine($Folder, 'accelerators.txt'))
        Portable = Read-Table ([IO.Path]::Combine($Folder, 'portable.txt'))
        Members = $members
        Exceptions = @($exceptions.exceptions)
        Kinds = @{}
    }
}

function Get-Excuse([string]$Rule, [string]$File, [string]$Subject) {
    # The reason why a violation is allowed, or null.
    foreach ($entry in $Facts.Exceptions) {
        if ($entry.rule -eq $Rule -and @('*', $File) -contains $entry.file -and @('*', $Subject) -contains $entry.subject) { return $entry.reason }
    }
    return $null
}

function Get-TypeFact([string]$Name) {
    # What is known of a type by its full name: base, static and instance members; null for an unknown one.
    if (-not $Facts.Types.ContainsKey($Name)) { return $null }
    $fields = $Facts.Types[$Name].Split('|')
    return @{ Name = $Name; Base = $fields[0]; Static = (New-NameSet $fields[1].Split(' ')); Instance = (New-NameSet $fields[2].Split(' ')) }
}

function Test-TypeMember([string]$Type, [string]$Member, [string]$Kind) {
    # Does a type or one of its bases have the member? $Kind: Static or Instance. True where the facts end before Object.
    $current = $Type
    while ($current -ne '') {
        $fact = Get-TypeFact $current
        if ($null -eq $fact -or $fact.Base -eq 'interface') { return $true }
        if ($fact[$Kind].Contains($Member)) { return $true }
        $current = $fact.Base
    }
    return (Get-TypeFact 'System.Object')[$Kind].Contains($Member)
}

function Resolve-FullTypeName([string]$Written) {
    # The full name of a type as PowerShell finds it: accelerator, full name, name without "System."; null for an unknown one.
    if ($Facts.Accelerators.ContainsKey($Written)) { return $Facts.Accelerators[$Written] }
    if ($Facts.Types.ContainsKey($Written)) { return $Written }
    if ($Facts.Types.ContainsKey("System.$Written")) { return "System.$Written" }
    return $null
}

function Get-NamedType($TypeName) {
    # The written names inside a type name, e.g. Dictionary[string,int[]] gives Dictionary`2, string, int.
    if ($TypeName -is [Management.Automation.Language.ArrayTypeName]) { return Get-NamedType $TypeName.ElementType }
    if ($TypeName -is [Management.Automation.Language.GenericTypeName]) {
        $count = $TypeName.GenericArguments.Count
        $plain = $TypeName.TypeName.FullName
        if (-not $plain.Contains('`')) { $plain = $plain + '`' + $count }
        $plain
        foreach ($argument in $TypeName.GenericArguments) { Get-NamedType $argument }
        return
    }
    return $TypeName.FullName
}

function ConvertTo-TypeName([string]$Text) {
    # A type name given as text, as to New-Object, in the parser's form; null for a text that is none.
    $tokens = $null
    $errors = $null
    $tree = [Management.Automation.Language.Parser]::ParseInput("[$Text]", [ref]$tokens, [ref]$errors)
    $found = $tree.Find({ $args[0] -is [Management.Automation.Language.TypeExpressionAst] }, $true)
    if ($null -eq $found) { return $null }
    return $found.TypeName
}
