# Requests without TLS: no rule, a rule that forwards to the farm, or a redirect. Rules that lead to a farm and are not desired are removed; the
# public runbook deletes every HTTP rule of the server. Items: each farm, and those of Get-LyncarrRuleState.

function Get-LyncarrExtraRule {
    # The rules that lead to $Farm, and its redirect, where the configuration file has no rule of that name. Emits items.
    # A desired rule of another farm that leads to $Farm is fixed, not removed.
    param([object[]]$Rules, [string]$Farm, [Collections.IDictionary]$Parameters)
    foreach ($rule in $Rules) {
        $belongs = [string]::Equals($rule['Farm'], $Farm, [StringComparison]::OrdinalIgnoreCase) -or $rule['Name'] -ieq $Parameters['redirects'][$Farm]
        if ($belongs -and @($Parameters['keep']) -inotcontains $rule['Name']) { $rule }
    }
}

function Add-LyncarrPortNote {
    # Reports the names for which no web site has an http binding on port 80: without one HTTP.sys accepts no request. Any web site counts,
    # because global rules see all requests.
    param([Collections.IDictionary]$Parameters, [Collections.IDictionary]$Context)
    if ($null -eq (Get-LyncarrConfiguration -Context $Context)) { return }
    $unbound = New-Object System.Collections.ArrayList
    foreach ($rule in $Parameters['rules'].get_Values()) { [void]$unbound.Add([string]$rule['host']) }
    foreach ($site in $Context['Manager'].get_Sites()) {
        foreach ($binding in $site.get_Bindings()) {
            $found = [regex]::Match([string]$binding.get_BindingInformation(), ':80:([^:]*)$')
            if ($binding.get_Protocol() -ine 'http' -or -not $found.Success) { continue }
            $pattern = $found.Groups[1].Value
            if ($pattern -ceq '') { $pattern = '*' }
            foreach ($name in $unbound.ToArray()) { if ((Test-LyncarrPattern -Syntax 1 -Pattern $pattern -Text $name) -ceq 'yes') { [void]$unbound.Remove($name) } }
        }
    }
    if ($unbound.get_Count() -gt 0) { Add-LyncarrNote -Kind 'needs' -Item $Parameters['site'] -Text "no web site has an http binding on port 80 for $([string]::Join(', ', [string[]]$unbound.ToArray())), which the configuration file publishes there: add a binding to '$($Parameters['site'])' in IIS Manager" }
}

function Get-HttpRulesState {
    param([Collections.IDictionary]$Desired, [Collections.IDictionary]$Parameters, [Collections.IDictionary]$Context)
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
    param([Collections.IDictionary]$Desired, [Collections.IDictionary]$Parameters, [Collections.IDictionary]$Context, [Collections.IDictionary]$Secrets)
    $collection = Get-LyncarrRequiredCollection -Context $Context -Section 'system.webServer/rewrite/globalRules'
    # Read once, before any rule is removed: the farm of a rule does not change, and a rule is removed by its name.
    $rules = @(Get-LyncarrRule -Context $Context)
    foreach ($farm in $Parameters['redirects'].get_Keys()) {
        foreach ($rule in @(Get-LyncarrExtraRule -Rules $rules -Farm $farm -Parameters $Parameters)) {
            Remove-LyncarrElement -Collection $collection -Attribute 'name' -Value $rule['Name'] -Context $Context
        }
    }
    Set-LyncarrRuleState -Desired $Desired -Parameters $Parameters -Context $Context
}
