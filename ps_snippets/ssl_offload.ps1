# SSL offloading is no attribute: it is which rules exist. Off means one rule ARR_<farm>_loadbalance_SSL that rewrites to https://.
# Items and $Parameters: see Get-LyncarrRuleState.

function Add-LyncarrRuleNeedNote {
    # Reports in a plan what apply would stop for and what this run does not create.
    param([System.Collections.IDictionary]$Parameters, [System.Collections.IDictionary]$Context)
    foreach ($section in @('system.webServer/rewrite/globalRules', 'webFarms')) {
        if ($null -ne (Get-LyncarrCollection -Context $Context -Section $section)) { continue }
        Add-LyncarrNeedNote -Context $Context -Step 'arr' -Reason "this host has no configuration section '$section'"
        return
    }
    foreach ($farm in $Parameters['redirects'].get_Keys()) {
        if ($null -eq (Get-LyncarrFarm -Context $Context -Name $farm)) { Add-LyncarrFarmNote -Context $Context -Farm $farm }
    }
}

function Get-SslOffloadState {
    param([System.Collections.IDictionary]$Desired, [System.Collections.IDictionary]$Parameters, [System.Collections.IDictionary]$Context)
    Add-LyncarrRuleNeedNote -Parameters $Parameters -Context $Context
    return Get-LyncarrRuleState -Rules @(Get-LyncarrRule -Context $Context) -Desired $Desired -Parameters $Parameters
}

#:write

function Set-SslOffloadState {
    param([System.Collections.IDictionary]$Desired, [System.Collections.IDictionary]$Parameters, [System.Collections.IDictionary]$Context, [System.Collections.IDictionary]$Secrets)
    foreach ($farm in $Parameters['redirects'].get_Keys()) { [void](Get-LyncarrNeededFarm -Context $Context -Name $farm) }
    Set-LyncarrRuleState -Desired $Desired -Parameters $Parameters -Context $Context
}
