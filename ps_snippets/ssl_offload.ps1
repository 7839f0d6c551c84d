# SSL offloading is no attribute: it is which rules exist. Off means one rule ARR_<farm>_loadbalance_SSL that rewrites to https://.
# Items: one for each rule, and "rules" for their order and for foreign rules that stand before them and take their traffic.

function Get-SslOffloadState {
    param([System.Collections.IDictionary]$Desired, [System.Collections.IDictionary]$Parameters, [System.Collections.IDictionary]$Context)
    $state = [ordered]@{}
    $rules = @(Get-LyncarrRule -Context $Context)
    $seen = New-Object System.Collections.ArrayList
    foreach ($rule in $rules) {
        foreach ($name in @($Desired['rules']['order'])) {
            if ([string]::Equals($rule['Name'], $name, [StringComparison]::OrdinalIgnoreCase)) {
                [void]$seen.Add($name)
                $action = Get-LyncarrDesiredSpelling -Observed $rule['Action'] -Desired ([string]$Desired[$name]['action'])
                # A meeting's or an autodiscover request's parameters would not arrive.
                if (-not $rule['Query']) { $action = $action + ' (without the query string)' }
                $state[$name] = @{
                    enabled = $rule['Enabled']; match = $rule['Match']; pattern_syntax = (Get-LyncarrSyntaxName -Syntax $rule['Syntax'])
                    stop_processing = $rule['Stop']; rewrite = ([int]$rule['Type'] -eq 1); action = $action
                }
            }
        }
    }
    $taken = @(Get-LyncarrShadow -Rules $rules -Desired $Desired -Parameters $Parameters)
    if ($seen.get_Count() -gt 0 -or $taken.Count -gt 0) { $state['rules'] = @{ order = $seen.ToArray(); taken_by = $taken } }
    return $state
}

function Get-LyncarrShadow {
    # Names of the foreign rules that take the traffic of one of our rules before it is asked. Emits names: call it in @(...).
    # A rule that may take some of it is told and no more: only a person can judge what it is for.
    param([object[]]$Rules, [System.Collections.IDictionary]$Desired, [System.Collections.IDictionary]$Parameters)
    $waiting = New-Object System.Collections.ArrayList
    $waiting.AddRange(@($Parameters['rules'].get_Keys()))
    foreach ($rule in $Rules) {
        $ours = $null
        foreach ($name in @($Parameters['rules'].get_Keys())) {
            if ([string]::Equals($rule['Name'], $name, [StringComparison]::OrdinalIgnoreCase)) { $ours = $name }
        }
        if ($null -ne $ours) { [void]$waiting.Remove($ours); continue }
        if (@($Parameters['farms']) -icontains $rule['Farm']) { continue }
        $hosts = New-Object System.Collections.ArrayList
        $certain = $false
        foreach ($name in $waiting) {
            $answer = Test-LyncarrRuleTakes -Rule $rule -HostHeader ([string]$Parameters['rules'][$name]['host'])
            if ($answer -cne 'no') { [void]$hosts.Add([string]$Parameters['rules'][$name]['host']) }
            if ($answer -ceq 'yes') { $certain = $true }
        }
        if ($hosts.get_Count() -eq 0) { continue }
        $names = [string]::Join(', ', [string[]]$hosts.ToArray())
        if ($certain) {
            Add-LyncarrNote -Kind 'foreign-rule' -Text "the global rule '$($rule['Name'])' stands before ours and takes the requests for ${names}: disable it, narrow it or move it below them"
            $rule['Name']
        }
        else { Add-LyncarrNote -Kind 'foreign-rule' -Text "the global rule '$($rule['Name'])' stands before ours and may take requests for ${names}: check what it is for" }
    }
}

#:write

function Set-LyncarrRule {
    # One rule of ours, made where it is missing. It is born with its conditions: no moment may exist in which it matches every host.
    param([Microsoft.Web.Administration.ConfigurationElementCollection]$Rules, [string]$Name, [System.Collections.IDictionary]$Attributes, [string[]]$Conditions, [System.Collections.IDictionary]$Context)
    $rule = Find-LyncarrElement -Collection $Rules -Attribute 'name' -Value $Name
    if ($null -eq $rule) {
        $rule = $Rules.CreateElement('rule')
        $rule.SetAttributeValue('name', $Name)
        Set-LyncarrRuleBody -Rule $rule -Attributes $Attributes -Context $Context
        Set-LyncarrRuleCondition -Rule $rule -Desired $Conditions -Context $Context
        [void]$Rules.AddAt($Rules.get_Count(), $rule)
        $Context['Writes'] = [int]$Context['Writes'] + 1
        return
    }
    $before = [int]$Context['Writes']
    Set-LyncarrRuleBody -Rule $rule -Attributes $Attributes -Context $Context
    if ([int]$Context['Writes'] -gt $before) { Set-LyncarrRuleCondition -Rule $rule -Desired $Conditions -Context $Context }
}

function Set-LyncarrRuleBody {
    # Enums by their numbers: 1 is Wildcard, and Rewrite.
    param([Microsoft.Web.Administration.ConfigurationElement]$Rule, [System.Collections.IDictionary]$Attributes, [System.Collections.IDictionary]$Context)
    Set-LyncarrAttribute -Element $Rule -Name 'enabled' -Value ([bool]$Attributes['enabled']) -Context $Context
    Set-LyncarrAttribute -Element $Rule -Name 'patternSyntax' -Value 1 -Context $Context
    Set-LyncarrAttribute -Element $Rule -Name 'stopProcessing' -Value ([bool]$Attributes['stop_processing']) -Context $Context
    $match = $Rule.GetChildElement('match')
    Set-LyncarrAttribute -Element $match -Name 'url' -Value ([string]$Attributes['match']) -Context $Context
    Set-LyncarrAttribute -Element $match -Name 'negate' -Value $false -Context $Context
    $action = $Rule.GetChildElement('action')
    Set-LyncarrAttribute -Element $action -Name 'type' -Value 1 -Context $Context
    $url = Get-LyncarrDesiredSpelling -Observed ([string]$Attributes['action']) -Desired ([string]$action.GetAttributeValue('url'))
    Set-LyncarrAttribute -Element $action -Name 'url' -Value $url -Context $Context
    Set-LyncarrAttribute -Element $action -Name 'appendQueryString' -Value $true -Context $Context
}

function Set-LyncarrRuleOrder {
    # Puts our rules into the desired order within the places that they hold; foreign rules keep theirs.
    param([Microsoft.Web.Administration.ConfigurationElementCollection]$Rules, [string[]]$Order, [System.Collections.IDictionary]$Context)
    $places = New-Object System.Collections.ArrayList
    for ($index = 0; $index -lt $Rules.get_Count(); $index++) {
        if ($Order -icontains [string]$Rules[$index].GetAttributeValue('name')) { [void]$places.Add($index) }
    }
    $wrong = New-Object System.Collections.ArrayList
    for ($slot = 0; $slot -lt $places.get_Count(); $slot++) {
        $there = [string]$Rules[[int]$places[$slot]].GetAttributeValue('name')
        if (-not [string]::Equals($there, $Order[$slot], [StringComparison]::OrdinalIgnoreCase)) { [void]$wrong.Add($slot) }
    }
    if ($wrong.get_Count() -eq 0) { return }
    $copies = New-Object System.Collections.ArrayList
    foreach ($slot in $wrong) {
        $copy = $Rules.CreateElement('rule')
        Copy-LyncarrElement -From (Find-LyncarrElement -Collection $Rules -Attribute 'name' -Value $Order[$slot]) -To $copy
        [void]$copies.Add($copy)
    }
    for ($index = $wrong.get_Count() - 1; $index -ge 0; $index--) { $Rules.RemoveAt([int]$places[[int]$wrong[$index]]) }
    for ($index = 0; $index -lt $wrong.get_Count(); $index++) { [void]$Rules.AddAt([int]$places[[int]$wrong[$index]], $copies[$index]) }
    $Context['Writes'] = [int]$Context['Writes'] + 1
}

function Set-SslOffloadState {
    param([System.Collections.IDictionary]$Desired, [System.Collections.IDictionary]$Parameters, [System.Collections.IDictionary]$Context, [System.Collections.IDictionary]$Secrets)
    $rules = Get-LyncarrNeededCollection -Context $Context -Section 'system.webServer/rewrite/globalRules'
    $taken = @(Get-LyncarrShadow -Rules @(Get-LyncarrRule -Context $Context) -Desired $Desired -Parameters $Parameters)
    if ($taken.Count -gt 0) { Stop-Lyncarr -Kind 'foreign' -Text "the global rule '$($taken[0])' stands before ours and takes their requests: disable it, narrow it or move it below them, then run again" }
    foreach ($farm in @($Parameters['farms'])) { [void](Get-LyncarrNeededFarm -Context $Context -Name $farm) }
    $order = [string[]]@($Desired['rules']['order'])
    foreach ($name in $order) {
        Set-LyncarrRule -Rules $rules -Name $name -Attributes $Desired[$name] -Conditions ([string[]]@($Parameters['rules'][$name]['conditions'])) -Context $Context
    }
    Set-LyncarrRuleOrder -Rules $rules -Order $order -Context $Context
}
