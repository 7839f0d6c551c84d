# Creates the rule for the HTTPS requests of one farm, with its conditions, in one commit. Prints 'changed' or 'ok'.
param([string]$Name, [string]$Farm, [string]$Pattern, [bool]$Check)
$ErrorActionPreference = 'Stop'
[void][Reflection.Assembly]::LoadFrom("$env:windir\System32\inetsrv\Microsoft.Web.Administration.dll")
$manager = New-Object Microsoft.Web.Administration.ServerManager
try {
    $rules = $manager.GetApplicationHostConfiguration().GetSection('system.webServer/rewrite/globalRules').GetCollection()
    $wanted = "True 1 True * 1 https://$Farm/{R:0} 0 {HTTPS}=On {HTTP_HOST}=$Pattern"
    $at = -1
    for ($i = 0; $i -lt $rules.Count; $i++) {
        $rule = $rules[$i]
        if ($rule.GetAttributeValue('name') -ne $Name) { continue }
        $at = $i
        $action = $rule.GetChildElement('action')
        $group = $rule.GetChildElement('conditions')
        $seen = @($rule.GetAttributeValue('enabled'), [int]$rule.GetAttributeValue('patternSyntax'), $rule.GetAttributeValue('stopProcessing'))
        $seen += @($rule.GetChildElement('match').GetAttributeValue('url'), [int]$action.GetAttributeValue('type'), $action.GetAttributeValue('url'))
        $seen += [int]$group.GetAttributeValue('logicalGrouping')
        foreach ($each in $group.GetCollection()) { $seen += $each.GetAttributeValue('input') + '=' + $each.GetAttributeValue('pattern') }
        if ("$seen" -eq $wanted) { return 'ok' }
    }
    if ($Check) { return 'changed' }
    if ($at -ge 0) { $rules.RemoveAt($at) } else { $at = $rules.Count }
    $rule = $rules.CreateElement('rule')
    $rule.SetAttributeValue('name', $Name)
    $rule.SetAttributeValue('patternSyntax', 1)
    $rule.SetAttributeValue('stopProcessing', $true)
    $rule.GetChildElement('match').SetAttributeValue('url', '*')
    $rule.GetChildElement('action').SetAttributeValue('type', 1)
    $rule.GetChildElement('action').SetAttributeValue('url', "https://$Farm/{R:0}")
    $conditions = $rule.GetChildElement('conditions').GetCollection()
    foreach ($pair in @(@('{HTTPS}', 'On'), @('{HTTP_HOST}', $Pattern))) {
        $condition = $conditions.CreateElement('add')
        $condition.SetAttributeValue('input', $pair[0])
        $condition.SetAttributeValue('pattern', $pair[1])
        [void]$conditions.AddAt($conditions.Count, $condition)
    }
    [void]$rules.AddAt($at, $rule)
    $manager.CommitChanges()
    'changed'
}
finally { $manager.Dispose() }
