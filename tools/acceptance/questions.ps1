# What documents leave open and only a real server can say. Nothing is written: the configuration is changed in memory and thrown away.

function Get-LyncarrVersionAnswer {
    $windows = 'SOFTWARE\Microsoft\Windows NT\CurrentVersion'
    "Windows: $(Get-LyncarrRegistryValue -Key $windows -Name 'ProductName'), build $(Get-LyncarrRegistryValue -Key $windows -Name 'CurrentBuild')"
    "PowerShell: $($PSVersionTable['PSVersion']), CLR $([Environment]::Version)"
    foreach ($file in @(
            [System.IO.Path]::Combine((Get-LyncarrInetsrv), 'rewrite.dll'),
            [System.IO.Path]::Combine((Get-LyncarrProgramFiles), 'IIS', 'Application Request Routing', 'requestRouter.dll'))) {
        $version = Get-LyncarrFileVersion -Path $file
        if ($null -eq $version) { $version = 'not there' }
        "${file}: $version"
    }
}

function Get-LyncarrSectionAnswer {
    # The declarations that the packages wrote, as they stand in the file.
    $file = [System.IO.Path]::Combine((Get-LyncarrInetsrv), 'config', 'applicationHost.config')
    foreach ($line in [System.IO.File]::ReadAllLines($file)) {
        if ($line -cmatch '<section(Group)? [^>]*name="(webFarms|proxy|diskCache|rewrite|globalRules|rules|allowedServerVariables|rewriteMaps|outboundRules|providers)"') { [string]$line.Trim() }
    }
}

function Get-LyncarrSchemaAnswer {
    foreach ($path in [System.IO.Directory]::GetFiles([System.IO.Path]::Combine((Get-LyncarrInetsrv), 'config', 'schema'))) { [string][System.IO.Path]::GetFileName($path) }
}

function Get-LyncarrTypeAnswer {
    # The .NET types in which attribute values come: an int, a time span, a flag, and four enumerations.
    param([string]$Farm, [Collections.IDictionary]$Context)
    $found = Get-LyncarrFarm -Context $Context -Name $Farm
    if ($null -eq $found) { throw "there is no farm '$Farm' on this host" }
    foreach ($server in $found.GetCollection()) {
        $routing = $server.GetChildElement('applicationRequestRouting')
        foreach ($name in @('httpPort', 'httpsPort', 'weight')) { "server ${name}: $($routing.GetAttributeValue($name).GetType().FullName)" }
    }
    "farm enabled: $($found.GetAttributeValue('enabled').GetType().FullName)"
    "farm timeout: $((Get-LyncarrFarmProtocol -Farm $found).GetAttributeValue('timeout').GetType().FullName)"
    "farm algorithm (an enumeration): $($found.GetChildElement('applicationRequestRouting').GetChildElement('loadBalancing').GetAttributeValue('algorithm').GetType().FullName)"
    foreach ($rule in (Get-LyncarrCollection -Context $Context -Section 'system.webServer/rewrite/globalRules')) {
        "rule patternSyntax (an enumeration): $($rule.GetAttributeValue('patternSyntax').GetType().FullName)"
        "rule action type (an enumeration): $($rule.GetChildElement('action').GetAttributeValue('type').GetType().FullName)"
        "rule logicalGrouping (an enumeration): $($rule.GetChildElement('conditions').GetAttributeValue('logicalGrouping').GetType().FullName)"
        return
    }
}

function Get-LyncarrRuleOrder {
    param([psobject]$Rules)
    $names = foreach ($rule in $Rules) { [string]$rule.GetAttributeValue('name') }
    return [string]::Join(', ', [string[]]@($names))
}

function Get-LyncarrPositionAnswer {
    # Where does AddAt(Count) put a rule?
    param([Collections.IDictionary]$Context)
    $rules = Get-LyncarrCollection -Context $Context -Section 'system.webServer/rewrite/globalRules'
    "before: $(Get-LyncarrRuleOrder -Rules $rules)"
    $rule = $rules.CreateElement('rule')
    $rule.SetAttributeValue('name', 'lyncarr-acceptance')
    [void]$rules.AddAt($rules.get_Count(), $rule)
    "after AddAt(Count): $(Get-LyncarrRuleOrder -Rules $rules)"
}

function Get-LyncarrAgainAnswer {
    # Can a rule that was removed be added again as the same object, and where does it stand then?
    param([Collections.IDictionary]$Context)
    $rules = Get-LyncarrCollection -Context $Context -Section 'system.webServer/rewrite/globalRules'
    $rule = Find-LyncarrElement -Collection $rules -Attribute 'name' -Value 'lyncarr-acceptance'
    [void]$rules.Remove($rule)
    [void]$rules.AddAt(0, $rule)
    "after Remove and AddAt(0) of the same object: $(Get-LyncarrRuleOrder -Rules $rules)"
}

function Get-LyncarrAnswer {
    # Emits {"question","answer":[lines]} for each question; where there is no answer, the reason is the answer.
    param([string]$Farm)
    Set-StrictMode -Version Latest
    $ErrorActionPreference = 'Stop'
    $context = @{ Manager = $null; Configuration = $null; Opened = $false }
    try {
        foreach ($question in @('versions', 'sections', 'schema', 'types', 'position', 'again')) {
            try {
                $lines = @(switch -CaseSensitive ($question) {
                        'versions' { Get-LyncarrVersionAnswer }
                        'sections' { Get-LyncarrSectionAnswer }
                        'schema' { Get-LyncarrSchemaAnswer }
                        'types' { Get-LyncarrTypeAnswer -Farm $Farm -Context $context }
                        'position' { Get-LyncarrPositionAnswer -Context $context }
                        'again' { Get-LyncarrAgainAnswer -Context $context }
                    })
            }
            catch {
                $cause = $_.Exception.GetBaseException()
                $lines = @("no answer, $($cause.GetType().FullName): $($cause.Message.Trim())")
            }
            ConvertTo-LyncarrJson -Value @{ question = $question; answer = [string[]]$lines }
        }
    }
    finally { Close-LyncarrConfiguration -Context $context }
}
