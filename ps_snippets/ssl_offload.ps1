# SSL offloading is not an attribute: the rules that exist decide. Off means one rule ARR_<farm>_loadbalance_SSL that rewrites to https://.
# Items: those of Get-LyncarrRuleState.

function Add-LyncarrMissingFarmNote {
    # Reports in a plan what apply would stop for and what this run does not create.
    param([Collections.IDictionary]$Parameters, [Collections.IDictionary]$Context)
    foreach ($section in @('system.webServer/rewrite/globalRules', 'webFarms')) {
        if ($null -ne (Get-LyncarrCollection -Context $Context -Section $section)) { continue }
        Add-LyncarrMissingStepNote -Context $Context -Step 'arr' -Reason "this host has no configuration section '$section'"
        return
    }
    foreach ($farm in $Parameters['redirects'].get_Keys()) {
        if ($null -eq (Get-LyncarrFarm -Context $Context -Name $farm)) { Add-LyncarrFarmNote -Context $Context -Farm $farm }
    }
}

function Get-SslOffloadState {
    param([Collections.IDictionary]$Desired, [Collections.IDictionary]$Parameters, [Collections.IDictionary]$Context)
    Add-LyncarrMissingFarmNote -Parameters $Parameters -Context $Context
    return Get-LyncarrRuleState -Rules @(Get-LyncarrRule -Context $Context) -Desired $Desired -Parameters $Parameters
}

#:write

function Set-SslOffloadState {
    param([Collections.IDictionary]$Desired, [Collections.IDictionary]$Parameters, [Collections.IDictionary]$Context, [Collections.IDictionary]$Secrets)
    foreach ($farm in $Parameters['redirects'].get_Keys()) { [void](Get-LyncarrRequiredFarm -Context $Context -Name $farm) }
    Set-LyncarrRuleState -Desired $Desired -Parameters $Parameters -Context $Context
}
