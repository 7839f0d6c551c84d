param([int]$Number)
Set-StrictMode -Version Latest
# Every kind of statement that a recorder counts, and every place of one, reached with some values of $Number and not with others.

function Get-Values {
    param([int]$Number = $(if ($Number -gt 100) { 1 } else { 2 }), [scriptblock]$Each = { $_ + 1 })
    begin {
        $seen = @()
    }
    process {
        $seen += 1
    }
    end {
        foreach ($value in 1, 2) { & $Each }
        if ($Number -eq 3) {
            return
        }
        elseif (
            $Number -eq 4
        ) {
            return @(
                Get-Date |
                    ForEach-Object { 'date' }
            )
        } elseif ($Number -eq 5) { throw 'five' } else { $Number }
    }
}

function Get-Text { param([int]$Number) return "text $(if ($Number -eq 2) { 'two' } else { "other $(
        $Number)" }) and $(
    $Number + 1
) and $(
    Get-Date | ForEach-Object { 1 }
)" }

filter Get-Double { $_ * 2 }

function Use-Loops {
    param([int]$Number)
    $found = @(
        foreach ($value in 1..$Number) {
            if ($value -eq 2) { continue }
            if ($value -eq 4) {
                break
            }
            $value
        }
    )
    for ($index = 0; $index -lt $Number; $index++) { $found += $index }
    for (
        $index = 0
        $index -lt $Number
        $index += 2
    ) {
        if ($index -gt 2) { break }
    }
    for ($index = 9; $index -lt $Number; $index++) { 'never' }
    while ($index -gt 8) {
        $index--
    }
    while ($(Get-Double -Number 1 | Out-Null; $index -gt 100)) { 'never' }
    do {
        $index++
        if ($index -gt 12) { break }
    } while (
        $index -lt 11
    )
    do { $index-- } until ($index -lt 5)
    :outer foreach ($one in 1, 2) {
        foreach ($two in 1, 2) {
            if ($two -eq $Number) { continue outer }
            if ($Number -eq 5) { break outer }
        }
    }
    return $found.Count
}

function Use-Switch {
    param([int]$Number)
    $kind = switch ($Number) {
        1 { 'one' }
        { $_ -eq 2 } {
            'two'
            break
        }
        default {
            $null = 1
            'other'
        }
    }
    $text = if ($kind -ceq 'one') { 'is one' }
    elseif ($kind -ceq 'two' -and
        $(Get-Date | ForEach-Object { $true })) { 'is two' }
    else {
        'is another'
    }
    switch -Regex ($text) {
        'one' { return 'first' }
        'two' { 'second' }
    }
    $values = foreach ($value in @($Number)) { $value }
    $table = [ordered]@{
        text = $text
        kind = if ($Number -eq 3) { 3 } else { $null }
        list = @($values)
        none = @()
        much = @(
            $Number
        )
    }
    $table['text'], @($table['kind'])[0]
    $Number -eq 2 -and @(
        $Number)[0] -eq 2 -and @(
        Get-Date | ForEach-Object { 1 })[0] -eq 1
}

function Use-Errors {
    param([int]$Number)
    trap [System.InvalidOperationException] {
        'trapped'
        continue
    }
    try {
        if ($Number -eq 1) { [int]'x' }
        if ($Number -eq 2) { throw (New-Object System.ArgumentException 'two') }
        'fine'
    }
    catch [System.ArgumentException] {
        'argument'
        if ($Number -eq 9) { throw }
    }
    catch {
        "line $($_.InvocationInfo.ScriptLineNumber)"
    }
    finally { 'at last' }
    if ($Number -eq 3) { throw (New-Object System.InvalidOperationException 'three') }
    $block = { param($Value) $Value; if ($Value -eq 4) { 'four' } }
    & $block $Number
    . { 'dotted' }
    @(3, 1, 2) | Sort-Object { -$_ } | Where-Object { $_ -ne $Number } | ForEach-Object -Begin { 'begin' } -Process { $_ } -End { 'end' }
    if (($same = $Number) -eq 5) { $same } ; if ($Number -ne 5) { return }
    exit 0
}

try { 1, 2 | Get-Values -Number $Number } catch { "stopped at $($_.InvocationInfo.ScriptLineNumber)" }
Get-Text -Number $Number
Use-Loops -Number $Number
Use-Switch -Number $Number
Use-Errors -Number $Number
