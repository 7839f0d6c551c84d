# The conditions of the managed rules: {HTTPS}=On or Off, and the HTTP_HOST pattern. Without it the first rule would take all requests.

function Get-HostConditionsState {
    param([Collections.IDictionary]$Desired, [Collections.IDictionary]$Parameters, [Collections.IDictionary]$Context)
    $state = [ordered]@{}
    $rules = @(Get-LyncarrRule -Context $Context)
    foreach ($name in $Desired.get_Keys()) {
        $rule = Find-LyncarrRule -Rules $rules -Name $name
        if ($null -eq $rule) { continue }
        $conditions = [string[]]@($Desired[$name]['conditions'])
        $seen = [string[]]$rule['Conditions']
        # All conditions must hold, so their order does not matter, and IIS ignores letter case.
        if (Test-LyncarrSameSet -Left $seen -Right $conditions) { $seen = $conditions }
        $state[$name] = @{ conditions = $seen; grouping = @('MatchAll', 'MatchAny')[[int]$rule['Grouping']] }
    }
    return $state
}

#:write

function Set-HostConditionsState {
    param([Collections.IDictionary]$Desired, [Collections.IDictionary]$Parameters, [Collections.IDictionary]$Context, [Collections.IDictionary]$Secrets)
    $collection = Get-LyncarrRequiredCollection -Context $Context -Section 'system.webServer/rewrite/globalRules'
    foreach ($name in $Desired.get_Keys()) {
        $rule = Find-LyncarrElement -Collection $collection -Attribute 'name' -Value $name
        if ($null -eq $rule) { Stop-Lyncarr -Kind 'needs' -Text "needs steps ssl-offload and http-rules: the global rule '$name' does not exist on this host" -Hint 'Run the command with both steps as well, or without --step.' }
        Set-LyncarrRuleCondition -Rule $rule -Desired ([string[]]@($Desired[$name]['conditions'])) -Context $Context
    }
}
