# The conditions of our rules: {HTTPS}=On or Off, and the HTTP_HOST pattern without which the first rule would take everybody's requests.

function Get-HostConditionsState {
    param([System.Collections.IDictionary]$Desired, [System.Collections.IDictionary]$Parameters, [System.Collections.IDictionary]$Context)
    $state = [ordered]@{}
    $rules = @(Get-LyncarrRule -Context $Context)
    foreach ($name in $Desired.get_Keys()) {
        $rule = Find-LyncarrRule -Rules $rules -Name $name
        if ($null -eq $rule) { continue }
        $wanted = [string[]]@($Desired[$name]['conditions'])
        $seen = [string[]]$rule['Conditions']
        # All must hold, in any order, and IIS compares without case.
        if (Test-LyncarrSameSet -Left $seen -Right $wanted) { $seen = $wanted }
        $state[$name] = @{ conditions = $seen; grouping = @('MatchAll', 'MatchAny')[[int]$rule['Grouping']] }
    }
    return $state
}

#:write

function Set-HostConditionsState {
    param([System.Collections.IDictionary]$Desired, [System.Collections.IDictionary]$Parameters, [System.Collections.IDictionary]$Context, [System.Collections.IDictionary]$Secrets)
    $collection = Get-LyncarrNeededCollection -Context $Context -Section 'system.webServer/rewrite/globalRules'
    foreach ($name in $Desired.get_Keys()) {
        $rule = Find-LyncarrElement -Collection $collection -Attribute 'name' -Value $name
        if ($null -eq $rule) { Stop-Lyncarr -Kind 'needs' -Text "needs steps ssl-offload and http-rules: the global rule '$name' does not exist on this host" -Hint 'Run the command with both steps as well, or without --step.' }
        Set-LyncarrRuleCondition -Rule $rule -Desired ([string[]]@($Desired[$name]['conditions'])) -Context $Context
    }
}
