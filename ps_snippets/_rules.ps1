# Shared by the three steps for global rewrite rules: which rules lyncarr manages, what a rule does, and whether another rule takes requests
# for published names. Managed are the rules that rewrite to a farm of the configuration file and the rules that have a name of lyncarr.
# All other rules are foreign and stay as they are.
# $Parameters of the steps that create rules: keep (the names of all desired rules), redirects (farm -> the name of its redirect), rules
# (those of the step: name -> host, https, pattern and conditions), sample_paths (URL paths that clients request).

function Get-LyncarrCondition {
    # The text of one condition: "{HTTPS}=On", or "{X}!=y" where it is negated.
    param([Microsoft.Web.Administration.ConfigurationElement]$Element)
    $sign = '='
    if ([bool]$Element.GetAttributeValue('negate')) { $sign = '!=' }
    $text = [string]$Element.GetAttributeValue('input') + $sign + [string]$Element.GetAttributeValue('pattern')
    if ([int]$Element.GetAttributeValue('matchType') -eq 1) { $text = $text + ' (is a file)' }
    if ([int]$Element.GetAttributeValue('matchType') -eq 2) { $text = $text + ' (is a directory)' }
    if (-not [bool]$Element.GetAttributeValue('ignoreCase')) { $text = $text + ' (case-sensitive)' }
    return $text
}

function Get-LyncarrRule {
    # Every global rule in its order, as plain tables; Element is the rule itself. Emits items.
    param([Collections.IDictionary]$Context)
    $rules = Get-LyncarrCollection -Context $Context -Section 'system.webServer/rewrite/globalRules'
    if ($null -eq $rules) { return }
    foreach ($element in $rules) {
        $match = $element.GetChildElement('match')
        $action = $element.GetChildElement('action')
        $url = [string]$match.GetAttributeValue('url')
        if ([bool]$match.GetAttributeValue('negate')) { $url = '!' + $url }
        $conditions = New-Object System.Collections.ArrayList
        foreach ($condition in $element.GetChildElement('conditions').GetCollection()) { [void]$conditions.Add((Get-LyncarrCondition -Element $condition)) }
        $target = [regex]::Match([string]$action.GetAttributeValue('url'), '^https?://([^/:{}]+)(:[0-9]+)?(/.*|\{(REQUEST_URI|UNENCODED_URL|URL|PATH_INFO)\}.*)?$', 'IgnoreCase, CultureInvariant')
        $farm = ''
        if ([int]$action.GetAttributeValue('type') -eq 1 -and $target.Success) { $farm = $target.Groups[1].Value }
        @{
            Element = $element; Name = [string]$element.GetAttributeValue('name'); Enabled = [bool]$element.GetAttributeValue('enabled')
            Syntax = [int]$element.GetAttributeValue('patternSyntax'); Stop = [bool]$element.GetAttributeValue('stopProcessing')
            Match = $url; Type = [int]$action.GetAttributeValue('type'); Action = [string]$action.GetAttributeValue('url'); Farm = $farm
            Query = [bool]$action.GetAttributeValue('appendQueryString'); Redirect = [int]$action.GetAttributeValue('redirectType')
            Conditions = $conditions.ToArray(); Grouping = [int]$element.GetChildElement('conditions').GetAttributeValue('logicalGrouping')
        }
    }
}

function Find-LyncarrRule {
    param([object[]]$Rules, [string]$Name)
    foreach ($rule in $Rules) { if ([string]::Equals($rule['Name'], $Name, [StringComparison]::OrdinalIgnoreCase)) { return $rule } }
    return $null
}

function Select-LyncarrSpelling {
    # $Preferred where it differs from $Text in letter case only, else $Text: IIS ignores the case of names, hosts and conditions.
    param([string]$Text, [string]$Preferred)
    if ([string]::Equals($Text, $Preferred, [StringComparison]::OrdinalIgnoreCase)) { return $Preferred }
    return $Text
}

function Test-LyncarrPattern {
    # Does a pattern match? 'yes', 'no', or 'maybe' where it cannot be evaluated. Syntax: 0 ECMAScript, 1 Wildcard, 2 ExactMatch.
    param([int]$Syntax, [string]$Pattern, [string]$Text)
    $hit = $false
    if ($Syntax -eq 2) { $hit = [string]::Equals($Pattern, $Text, [StringComparison]::OrdinalIgnoreCase) }
    else {
        $expression = $Pattern
        if ($Syntax -eq 1) { $expression = '^' + [regex]::Escape($Pattern).Replace('\*', '.*').Replace('\?', '.') + '$' }
        try { $hit = [regex]::IsMatch($Text, $expression, 'IgnoreCase, CultureInvariant', [TimeSpan]::FromSeconds(1)) }
        catch { return 'maybe' }
    }
    if ($hit) { return 'yes' }
    return 'no'
}

function Test-LyncarrPathMatch {
    # Does the match element of a rule accept every path? $Paths are samples: 'yes' where it accepts all of them, else 'maybe', because no
    # list of samples proves that it accepts none.
    param([Collections.IDictionary]$Rule, [string[]]$Paths)
    $pattern = [string]$Rule['Match']
    $negated = $pattern.StartsWith('!', [StringComparison]::Ordinal)
    if ($negated) { $pattern = $pattern.Substring(1) }
    $misses = 0
    foreach ($path in $Paths) {
        $answer = Test-LyncarrPattern -Syntax ([int]$Rule['Syntax']) -Pattern $pattern -Text $path
        if ($answer -ceq 'maybe') { return 'maybe' }
        if (($answer -ceq 'yes') -eq $negated) { $misses++ }
    }
    if ($misses -eq 0) { return 'yes' }
    return 'maybe'
}

function Test-LyncarrCondition {
    # Does a condition hold for every request for $HostHeader? 'yes', 'no', or 'maybe' where it tests anything else.
    param([Microsoft.Web.Administration.ConfigurationElement]$Element, [int]$Syntax, [string]$HostHeader, [bool]$Https)
    $name = ([string]$Element.GetAttributeValue('input')).Trim([char[]]'{}')
    $known = @{ 'HTTPS' = 'off'; 'HTTP_HOST' = $HostHeader; 'SERVER_PORT' = '80'; 'SERVER_PORT_SECURE' = '0'; 'REQUEST_SCHEME' = 'http' }
    if ($Https) {
        $known['HTTPS'] = 'on'; $known['SERVER_PORT_SECURE'] = '1'; $known['REQUEST_SCHEME'] = 'https'
        # A client sends the port where it is not the default of HTTPS.
        $known['SERVER_PORT'] = [regex]::Match("${HostHeader}:443", ':([0-9]+)').Groups[1].Value
    }
    if (-not $known.Contains($name)) { return 'maybe' }
    if ([int]$Element.GetAttributeValue('matchType') -ne 0) { return 'maybe' }
    $answer = Test-LyncarrPattern -Syntax $Syntax -Pattern ([string]$Element.GetAttributeValue('pattern')) -Text $known[$name]
    if ($answer -ceq 'maybe' -or -not [bool]$Element.GetAttributeValue('negate')) { return $answer }
    if ($answer -ceq 'yes') { return 'no' }
    return 'yes'
}

function Test-LyncarrRuleTakesRequest {
    # Does this rule take every request for $HostHeader, so that later rules get none? 'yes', 'no' or 'maybe'.
    param([Collections.IDictionary]$Rule, [string]$HostHeader, [bool]$Https, [string[]]$Paths)
    # After None (0) and Rewrite (1) IIS goes on with later rules, unless stopProcessing is set. Other actions answer the client.
    if ([int]$Rule['Type'] -le 1 -and -not $Rule['Stop']) { return 'no' }
    return Test-LyncarrRuleApplies -Rule $Rule -HostHeader $HostHeader -Https $Https -Paths $Paths
}

function Test-LyncarrRuleApplies {
    # Does this rule apply to every request for $HostHeader that reaches it? 'yes', 'no' or 'maybe'.
    param([Collections.IDictionary]$Rule, [string]$HostHeader, [bool]$Https, [string[]]$Paths)
    if (-not $Rule['Enabled']) { return 'no' }
    $verdict = Test-LyncarrPathMatch -Rule $Rule -Paths $Paths
    $conditions = $Rule['Element'].GetChildElement('conditions').GetCollection()
    if ($conditions.get_Count() -eq 0) { return $verdict }
    $answers = New-Object System.Collections.ArrayList
    foreach ($condition in $conditions) { [void]$answers.Add((Test-LyncarrCondition -Element $condition -Syntax ([int]$Rule['Syntax']) -HostHeader $HostHeader -Https $Https)) }
    $all = [string[]]$answers.ToArray()
    if ([int]$Rule['Grouping'] -eq 1) {
        if ($all -ccontains 'yes') { return $verdict }
        if ($all -ccontains 'maybe') { return 'maybe' }
        return 'no'
    }
    if ($all -ccontains 'no') { return 'no' }
    if ($all -ccontains 'maybe') { return 'maybe' }
    return $verdict
}

function Get-LyncarrForeignRule {
    # Tables of the foreign rules: Rule; Hosts, the published addresses behind it whose requests it takes or may take; Certain: it takes all
    # requests of one of them; Before, the managed rules before it. Emits items.
    param([object[]]$Rules, [Collections.IDictionary]$Parameters)
    $behind = New-Object System.Collections.ArrayList
    $behind.AddRange(@($Parameters['rules'].get_Keys()))
    $before = New-Object System.Collections.ArrayList
    foreach ($rule in $Rules) {
        foreach ($name in @($Parameters['rules'].get_Keys()) -ieq $rule['Name']) { [void]$behind.Remove($name); [void]$before.Add($name) }
        if (@($Parameters['keep']) -icontains $rule['Name'] -or @($Parameters['redirects'].get_Values()) -icontains $rule['Name']) { continue }
        if (@($Parameters['redirects'].get_Keys()) -icontains $rule['Farm']) { continue }
        $hosts = New-Object System.Collections.ArrayList
        $certain = $false
        foreach ($name in $behind) {
            $managed = $Parameters['rules'][$name]
            $answer = Test-LyncarrRuleTakesRequest -Rule $rule -HostHeader ([string]$managed['host']) -Https ([bool]$managed['https']) -Paths $Parameters['sample_paths']
            $scheme = ''
            if (-not $managed['https']) { $scheme = 'http://' }
            if ($answer -cne 'no') { [void]$hosts.Add($scheme + [string]$managed['host']) }
            if ($answer -ceq 'yes') { $certain = $true }
        }
        @{ Rule = $rule; Certain = $certain; Hosts = $hosts.ToArray(); Before = $before.ToArray() }
    }
}

function Add-LyncarrForeignRuleNote {
    # Reports a foreign rule, as Get-LyncarrForeignRule emits it, that takes or may take requests, or that gets none itself.
    param([Collections.IDictionary]$Foreign, [Collections.IDictionary]$Parameters)
    $name = [string]$Foreign['Rule']['Name']
    $hosts = [string]::Join(', ', [string[]]$Foreign['Hosts'])
    if ($Foreign['Certain']) { Add-LyncarrNote -Kind 'foreign-rule' -Item $name -Text "the global rule '$name' comes before the rules of lyncarr and takes all requests for $hosts" }
    elseif ($hosts -cne '') { Add-LyncarrNote -Kind 'foreign-rule' -Item $name -Text "the global rule '$name' comes before the rules of lyncarr and may take requests for ${hosts}: check its purpose" }
    Add-LyncarrUnreachedRuleNote -Rule $Foreign['Rule'] -Before ([string[]]$Foreign['Before']) -Parameters $Parameters
}

function Add-LyncarrUnreachedRuleNote {
    # Reports a foreign rule for a host whose requests a managed rule before it takes: 'dialin.*' also matches dialin of another domain.
    param([Collections.IDictionary]$Rule, [string[]]$Before, [Collections.IDictionary]$Parameters)
    foreach ($condition in $Rule['Element'].GetChildElement('conditions').GetCollection()) {
        if ([string]$condition.GetAttributeValue('input') -ine '{HTTP_HOST}' -or [bool]$condition.GetAttributeValue('negate')) { continue }
        $pattern = [string]$condition.GetAttributeValue('pattern')
        # A pattern that matches a host that cannot exist is for all hosts, not for a certain one.
        if ((Test-LyncarrPattern -Syntax ([int]$Rule['Syntax']) -Pattern $pattern -Text 'host.invalid') -cne 'no') { continue }
        $plain = $pattern
        if ([int]$Rule['Syntax'] -eq 0) { $plain = $pattern.Trim([char[]]'^$').Replace('\.', '.') }
        foreach ($name in $Before) {
            $managed = $Parameters['rules'][$name]
            foreach ($header in @($plain, [string]$managed['host'])) {
                if ((Test-LyncarrPattern -Syntax 1 -Pattern ([string]$managed['pattern']) -Text $header) -cne 'yes') { continue }
                if ((Test-LyncarrRuleApplies -Rule $Rule -HostHeader $header -Https ([bool]$managed['https']) -Paths $Parameters['sample_paths']) -ceq 'no') { continue }
                Add-LyncarrNote -Kind 'foreign-rule' -Item $Rule['Name'] -Text "the global rule '$($Rule['Name'])' is for $pattern, but '$name' comes before it and takes all requests that $($managed['pattern']) matches: set a narrower host_pattern in the configuration file, or remove the rule if nothing needs it"
                return
            }
        }
    }
}

function Get-LyncarrRuleState {
    # The rules of one step. Items: each rule, and "rules" for their order and for the foreign rules before them that take their requests.
    param([object[]]$Rules, [Collections.IDictionary]$Desired, [Collections.IDictionary]$Parameters)
    $state = [ordered]@{}
    $seen = New-Object System.Collections.ArrayList
    foreach ($rule in $Rules) {
        foreach ($name in @($Parameters['rules'].get_Keys()) -ieq $rule['Name']) {
            [void]$seen.Add($name)
            $action = Select-LyncarrSpelling -Text $rule['Action'] -Preferred ([string]$Desired[$name]['action'])
            # The parameters of meeting and autodiscover requests would get lost.
            if (-not $rule['Query']) { $action = $action + ' (without the query string)' }
            $state[$name] = @{
                enabled = $rule['Enabled']; match = $rule['Match']; pattern_syntax = @('ECMAScript', 'Wildcard', 'ExactMatch')[$rule['Syntax']]
                stop_processing = $rule['Stop']; action = $action; type = @('None', 'Rewrite', 'Redirect', 'CustomResponse', 'AbortRequest')[[int]$rule['Type']]
            }
            if ($Desired[$name].Contains('redirect_type')) { $state[$name]['redirect_type'] = @{ 301 = 'Permanent'; 302 = 'Found'; 303 = 'SeeOther'; 307 = 'Temporary' }[[int]$rule['Redirect']] }
        }
    }
    $foreign = @(Get-LyncarrForeignRule -Rules $Rules -Parameters $Parameters)
    foreach ($entry in $foreign) { Add-LyncarrForeignRuleNote -Foreign $entry -Parameters $Parameters }
    $taken = @(foreach ($entry in $foreign) { if ($entry['Certain']) { $entry['Rule']['Name'] } })
    if ($seen.get_Count() -gt 0 -or $taken.Count -gt 0) { $state['rules'] = @{ order = $seen.ToArray(); taken_by = $taken } }
    return $state
}

#:write

function Add-LyncarrCondition {
    # Adds one condition from its text, which has the form {INPUT}=pattern for all rules of lyncarr.
    param([Microsoft.Web.Administration.ConfigurationElementCollection]$Conditions, [string]$Text)
    $split = $Text.IndexOf('=', [StringComparison]::Ordinal)
    $element = $Conditions.CreateElement('add')
    $element.SetAttributeValue('input', $Text.Substring(0, $split))
    $element.SetAttributeValue('pattern', $Text.Substring($split + 1))
    [void]$Conditions.AddAt($Conditions.get_Count(), $element)
}

function Set-LyncarrRuleCondition {
    # Sets exactly the desired conditions, all of which must hold. Conditions that differ in letter case only stay as they are.
    param([Microsoft.Web.Administration.ConfigurationElement]$Rule, [string[]]$Desired, [Collections.IDictionary]$Context)
    $group = $Rule.GetChildElement('conditions')
    Set-LyncarrAttribute -Element $group -Name 'logicalGrouping' -Value 0 -Context $Context
    $conditions = $group.GetCollection()
    $present = New-Object System.Collections.ArrayList
    for ($index = $conditions.get_Count() - 1; $index -ge 0; $index--) {
        $text = Get-LyncarrCondition -Element $conditions[$index]
        if ($Desired -icontains $text) { [void]$present.Add($text); continue }
        [void]$conditions.RemoveAt($index)
        $Context['Writes'] = [int]$Context['Writes'] + 1
    }
    foreach ($text in $Desired) {
        if ($present.ToArray() -inotcontains $text) {
            Add-LyncarrCondition -Conditions $conditions -Text $text
            $Context['Writes'] = [int]$Context['Writes'] + 1
        }
    }
}

function Copy-LyncarrElement {
    # Copies the written attributes, the children and the collection items of one element into a new one of the same kind.
    param([Microsoft.Web.Administration.ConfigurationElement]$From, [Microsoft.Web.Administration.ConfigurationElement]$To)
    foreach ($attribute in $From.get_Attributes()) {
        if (-not $attribute.get_IsInheritedFromDefaultValue()) { $To.SetAttributeValue($attribute.get_Name(), $attribute.get_Value()) }
    }
    foreach ($child in $From.get_ChildElements()) { Copy-LyncarrElement -From $child -To $To.GetChildElement($child.get_ElementTagName()) }
    if ($null -ne $From.get_Schema().get_CollectionSchema()) {
        $target = $To.GetCollection()
        foreach ($item in $From.GetCollection()) {
            $copy = $target.CreateElement($item.get_ElementTagName())
            Copy-LyncarrElement -From $item -To $copy
            [void]$target.AddAt($target.get_Count(), $copy)
        }
    }
}

function Set-LyncarrRule {
    # Sets one rule, and creates it where it is missing. A new rule gets its conditions at once: without them it would match every host.
    param([Microsoft.Web.Administration.ConfigurationElementCollection]$Rules, [string]$Name, [Collections.IDictionary]$Attributes, [string[]]$Conditions, [Collections.IDictionary]$Context)
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
    # Enumerations are set by number: patternSyntax 1 is Wildcard, type 1 Rewrite and 2 Redirect, redirectType 301 Permanent.
    param([Microsoft.Web.Administration.ConfigurationElement]$Rule, [Collections.IDictionary]$Attributes, [Collections.IDictionary]$Context)
    Set-LyncarrAttribute -Element $Rule -Name 'enabled' -Value ([bool]$Attributes['enabled']) -Context $Context
    Set-LyncarrAttribute -Element $Rule -Name 'patternSyntax' -Value 1 -Context $Context
    Set-LyncarrAttribute -Element $Rule -Name 'stopProcessing' -Value ([bool]$Attributes['stop_processing']) -Context $Context
    $match = $Rule.GetChildElement('match')
    Set-LyncarrAttribute -Element $match -Name 'url' -Value ([string]$Attributes['match']) -Context $Context
    Set-LyncarrAttribute -Element $match -Name 'negate' -Value $false -Context $Context
    $action = $Rule.GetChildElement('action')
    $type = 1
    if ($Attributes['type'] -ceq 'Redirect') {
        $type = 2
        Set-LyncarrAttribute -Element $action -Name 'redirectType' -Value 301 -Context $Context
    }
    Set-LyncarrAttribute -Element $action -Name 'type' -Value $type -Context $Context
    # The present spelling stays where only letter case differs.
    $url = Select-LyncarrSpelling -Text ([string]$Attributes['action']) -Preferred ([string]$action.GetAttributeValue('url'))
    Set-LyncarrAttribute -Element $action -Name 'url' -Value $url -Context $Context
    Set-LyncarrAttribute -Element $action -Name 'appendQueryString' -Value $true -Context $Context
}

function Set-LyncarrRuleOrder {
    # Sorts the managed rules into the desired order within their own positions. Foreign rules keep theirs.
    param([Microsoft.Web.Administration.ConfigurationElementCollection]$Rules, [string[]]$Order, [Collections.IDictionary]$Context)
    $places = New-Object System.Collections.ArrayList
    for ($index = 0; $index -lt $Rules.get_Count(); $index++) {
        if ($Order -icontains [string]$Rules[$index].GetAttributeValue('name')) { [void]$places.Add($index) }
    }
    $misplaced = New-Object System.Collections.ArrayList
    for ($slot = 0; $slot -lt $places.get_Count(); $slot++) {
        $current = [string]$Rules[[int]$places[$slot]].GetAttributeValue('name')
        if (-not [string]::Equals($current, $Order[$slot], [StringComparison]::OrdinalIgnoreCase)) { [void]$misplaced.Add($slot) }
    }
    if ($misplaced.get_Count() -eq 0) { return }
    $copies = New-Object System.Collections.ArrayList
    foreach ($slot in $misplaced) {
        $copy = $Rules.CreateElement('rule')
        Copy-LyncarrElement -From (Find-LyncarrElement -Collection $Rules -Attribute 'name' -Value $Order[$slot]) -To $copy
        [void]$copies.Add($copy)
    }
    for ($index = $misplaced.get_Count() - 1; $index -ge 0; $index--) { $Rules.RemoveAt([int]$places[[int]$misplaced[$index]]) }
    for ($index = 0; $index -lt $misplaced.get_Count(); $index++) { [void]$Rules.AddAt([int]$places[[int]$misplaced[$index]], $copies[$index]) }
    $Context['Writes'] = [int]$Context['Writes'] + 1
}

function Set-LyncarrRuleState {
    # Sets the rules of one step and their order. Ends the request where a foreign rule would take their requests.
    param([Collections.IDictionary]$Desired, [Collections.IDictionary]$Parameters, [Collections.IDictionary]$Context)
    $rules = Get-LyncarrRequiredCollection -Context $Context -Section 'system.webServer/rewrite/globalRules'
    foreach ($entry in @(Get-LyncarrForeignRule -Rules @(Get-LyncarrRule -Context $Context) -Parameters $Parameters)) {
        if ($entry['Certain']) { Stop-Lyncarr -Kind 'foreign' -Text "the global rule '$($entry['Rule']['Name'])' comes before the rules of lyncarr and takes their requests" -Hint 'Disable it, narrow it, or move it below the rules of lyncarr, then run the command again.' }
    }
    $order = [string[]]@($Parameters['rules'].get_Keys())
    foreach ($name in $order) {
        Set-LyncarrRule -Rules $rules -Name $name -Attributes $Desired[$name] -Conditions ([string[]]@($Parameters['rules'][$name]['conditions'])) -Context $Context
    }
    Set-LyncarrRuleOrder -Rules $rules -Order $order -Context $Context
}
