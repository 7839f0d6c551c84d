# For scripts of checks: one line a check, "ok NAME" or "failed NAME: why". Stops of the snippets are told by $LyncarrState.

function Test-That {
    # $Check emits what was seen; it must be the one value $Expected.
    param([string]$Name, [psobject]$Expected, [scriptblock]$Check)
    $script:LyncarrState['Failure'] = $null
    try {
        $seen = @(& $Check)
        if ($seen.Count -eq 1 -and $seen[0] -ceq $Expected) { "ok $Name" }
        else { "failed ${Name}: [$($seen -join ' | ')] instead of [$Expected]" }
    }
    catch { "failed ${Name}: $($_.Exception.Message) at $($_.InvocationInfo.ScriptLineNumber)" }
}

function Get-Failure {
    # "KIND: text" of what stops, or the exception's type.
    param([scriptblock]$Action)
    try { & $Action }
    catch {
        if ($null -ne $script:LyncarrState['Failure']) { return "$($script:LyncarrState['Failure']): $($_.Exception.Message)" }
        return $_.Exception.GetBaseException().GetType().Name
    }
    return 'nothing'
}
