# Rules of ours that must not be there: the http:// rules that IIS Manager makes for a farm, and any further rule that rewrites to one.
# The runbook deletes every HTTP rule of the server; this removes only those whose action leads to a farm of the site file.

function Get-LyncarrExtraRule {
    # Rules that lead to $Farm and are not its desired one. Emits items: call it in @(...).
    param([object[]]$Rules, [string]$Farm, [string]$Keep)
    foreach ($rule in $Rules) {
        $leads = [string]::Equals($rule['Farm'], $Farm, [StringComparison]::OrdinalIgnoreCase)
        if ($leads -and -not [string]::Equals($rule['Name'], $Keep, [StringComparison]::OrdinalIgnoreCase)) { $rule }
    }
}

function Get-LyncarrFarmExtra {
    # The same, less the desired rules of the other farms: one that leads to the wrong farm is mended, not removed.
    param([object[]]$Rules, [string]$Farm, [System.Collections.IDictionary]$Parameters)
    foreach ($rule in @(Get-LyncarrExtraRule -Rules $Rules -Farm $Farm -Keep ([string]$Parameters['keep'][$Farm]))) {
        if (@($Parameters['keep'].get_Values()) -inotcontains $rule['Name']) { $rule }
    }
}

function Get-HttpRulesState {
    param([System.Collections.IDictionary]$Desired, [System.Collections.IDictionary]$Parameters, [System.Collections.IDictionary]$Context)
    $state = [ordered]@{}
    $rules = @(Get-LyncarrRule -Context $Context)
    foreach ($farm in $Desired.get_Keys()) {
        $names = New-Object System.Collections.ArrayList
        foreach ($rule in @(Get-LyncarrFarmExtra -Rules $rules -Farm $farm -Parameters $Parameters)) { [void]$names.Add($rule['Name']) }
        $state[$farm] = @{ extra_rules = $names.ToArray() }
    }
    return $state
}

#:write

function Set-HttpRulesState {
    param([System.Collections.IDictionary]$Desired, [System.Collections.IDictionary]$Parameters, [System.Collections.IDictionary]$Context, [System.Collections.IDictionary]$Secrets)
    $collection = Get-LyncarrNeededCollection -Context $Context -Section 'system.webServer/rewrite/globalRules'
    foreach ($farm in $Desired.get_Keys()) {
        foreach ($rule in @(Get-LyncarrFarmExtra -Rules @(Get-LyncarrRule -Context $Context) -Farm $farm -Parameters $Parameters)) {
            Remove-LyncarrElement -Collection $collection -Attribute 'name' -Value $rule['Name'] -Context $Context
        }
    }
}
