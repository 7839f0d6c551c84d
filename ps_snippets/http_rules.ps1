# What answers without TLS: nothing of ours, a rule that forwards to the farm, or a redirect of ours. Rules that lead to a farm and are not
# wanted go; the runbook deletes every HTTP rule of the server. Items: each farm, and those of Get-LyncarrRuleState.

function Get-LyncarrExtraRule {
    # Rules that lead to $Farm, and its redirect, where the site file wants no rule of that name. Emits items: call it in @(...).
    # The wanted rule of another farm that leads here is mended, not removed.
    param([object[]]$Rules, [string]$Farm, [System.Collections.IDictionary]$Parameters)
    foreach ($rule in $Rules) {
        $leads = [string]::Equals($rule['Farm'], $Farm, [StringComparison]::OrdinalIgnoreCase) -or $rule['Name'] -ieq $Parameters['redirects'][$Farm]
        if ($leads -and @($Parameters['keep']) -inotcontains $rule['Name']) { $rule }
    }
}

function Add-LyncarrPortNote {
    # Tells which names nobody hears on port 80: HTTP.sys takes it for IIS where a site has an http binding there. Global rules see the
    # requests of all sites.
    param([System.Collections.IDictionary]$Parameters, [System.Collections.IDictionary]$Context)
    if ($null -eq (Get-LyncarrConfiguration -Context $Context)) { return }
    $deaf = New-Object System.Collections.ArrayList
    foreach ($rule in $Parameters['rules'].get_Values()) { [void]$deaf.Add([string]$rule['host']) }
    foreach ($site in $Context['Manager'].get_Sites()) {
        foreach ($binding in $site.get_Bindings()) {
            $found = [regex]::Match([string]$binding.get_BindingInformation(), ':80:([^:]*)$')
            if ($binding.get_Protocol() -ine 'http' -or -not $found.Success) { continue }
            $pattern = $found.Groups[1].Value
            if ($pattern -ceq '') { $pattern = '*' }
            foreach ($name in $deaf.ToArray()) { if ((Test-LyncarrPattern -Syntax 1 -Pattern $pattern -Text $name) -ceq 'yes') { [void]$deaf.Remove($name) } }
        }
    }
    if ($deaf.get_Count() -gt 0) { Add-LyncarrNote -Kind 'needs' -Item $Parameters['site'] -Text "no web site has an http binding on port 80 for $([string]::Join(', ', [string[]]$deaf.ToArray())), which the configuration file publishes there: add a binding to '$($Parameters['site'])' in IIS Manager" }
}

function Get-HttpRulesState {
    param([System.Collections.IDictionary]$Desired, [System.Collections.IDictionary]$Parameters, [System.Collections.IDictionary]$Context)
    Add-LyncarrPortNote -Parameters $Parameters -Context $Context
    $state = [ordered]@{}
    $rules = @(Get-LyncarrRule -Context $Context)
    foreach ($farm in $Parameters['redirects'].get_Keys()) {
        $names = New-Object System.Collections.ArrayList
        foreach ($rule in @(Get-LyncarrExtraRule -Rules $rules -Farm $farm -Parameters $Parameters)) { [void]$names.Add($rule['Name']) }
        $state[$farm] = @{ extra_rules = $names.ToArray() }
    }
    $made = Get-LyncarrRuleState -Rules $rules -Desired $Desired -Parameters $Parameters
    foreach ($item in $made.get_Keys()) { $state[$item] = $made[$item] }
    return $state
}

#:write

function Set-HttpRulesState {
    param([System.Collections.IDictionary]$Desired, [System.Collections.IDictionary]$Parameters, [System.Collections.IDictionary]$Context, [System.Collections.IDictionary]$Secrets)
    $collection = Get-LyncarrNeededCollection -Context $Context -Section 'system.webServer/rewrite/globalRules'
    # Read once, before any goes: which farm a rule leads to does not change, and a rule is removed by its name.
    $rules = @(Get-LyncarrRule -Context $Context)
    foreach ($farm in $Parameters['redirects'].get_Keys()) {
        foreach ($rule in @(Get-LyncarrExtraRule -Rules $rules -Farm $farm -Parameters $Parameters)) {
            Remove-LyncarrElement -Collection $collection -Attribute 'name' -Value $rule['Name'] -Context $Context
        }
    }
    Set-LyncarrRuleState -Desired $Desired -Parameters $Parameters -Context $Context
}
