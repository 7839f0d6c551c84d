# What the three rule steps share: which global rules are ours, what a rule does, and whether a foreign one takes our traffic.
# Ours: rules that rewrite to one of the site's farms, and rules that bear one of our names. All else is foreign and stays as it is.
# $Parameters of the steps that make rules: keep (the names of all wanted rules), redirects (farm -> the name of its redirect), and rules
# (those of the step: name -> host, https, pattern and conditions).

function Get-LyncarrCondition {
    # Canonical text of one condition: "{HTTPS}=On", "{X}!=y" when negated.
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
    # Every global rule in its order, as plain tables; Element is the rule itself. Emits items: call it in @(...).
    param([System.Collections.IDictionary]$Context)
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

function Get-LyncarrSyntaxName {
    param([int]$Syntax)
    return @('ECMAScript', 'Wildcard', 'ExactMatch')[$Syntax]
}

function Get-LyncarrDesiredSpelling {
    # The observed text in the desired letter case where nothing but the case differs: IIS ignores it in names, hosts and conditions.
    param([string]$Observed, [string]$Desired)
    if ([string]::Equals($Observed, $Desired, [StringComparison]::OrdinalIgnoreCase)) { return $Desired }
    return $Observed
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

function Test-LyncarrMatch {
    # Does the rule's match element accept every path that a client may ask for? 'maybe' means some: no list of samples can say none.
    param([System.Collections.IDictionary]$Rule)
    $pattern = [string]$Rule['Match']
    $negated = $pattern.StartsWith('!', [StringComparison]::Ordinal)
    if ($negated) { $pattern = $pattern.Substring(1) }
    $misses = 0
    foreach ($path in @('', 'abs/', 'meet/user/ABCDEFGH', 'Autodiscover/AutodiscoverService.svc/root', 'hosting/discovery')) {
        $answer = Test-LyncarrPattern -Syntax ([int]$Rule['Syntax']) -Pattern $pattern -Text $path
        if ($answer -ceq 'maybe') { return 'maybe' }
        if (($answer -ceq 'yes') -eq $negated) { $misses++ }
    }
    if ($misses -eq 0) { return 'yes' }
    return 'maybe'
}

function Test-LyncarrOneCondition {
    param([Microsoft.Web.Administration.ConfigurationElement]$Element, [int]$Syntax, [string]$HostHeader, [bool]$Https)
    $name = ([string]$Element.GetAttributeValue('input')).Trim([char[]]'{}')
    $known = @{ 'HTTPS' = 'off'; 'HTTP_HOST' = $HostHeader; 'SERVER_PORT' = '80'; 'SERVER_PORT_SECURE' = '0'; 'REQUEST_SCHEME' = 'http' }
    if ($Https) {
        $known['HTTPS'] = 'on'; $known['SERVER_PORT_SECURE'] = '1'; $known['REQUEST_SCHEME'] = 'https'
        # A client says the port where it is not HTTPS's own.
        $known['SERVER_PORT'] = [regex]::Match("${HostHeader}:443", ':([0-9]+)').Groups[1].Value
    }
    if (-not $known.Contains($name)) { return 'maybe' }
    if ([int]$Element.GetAttributeValue('matchType') -ne 0) { return 'maybe' }
    $answer = Test-LyncarrPattern -Syntax $Syntax -Pattern ([string]$Element.GetAttributeValue('pattern')) -Text $known[$name]
    if ($answer -ceq 'maybe' -or -not [bool]$Element.GetAttributeValue('negate')) { return $answer }
    if ($answer -ceq 'yes') { return 'no' }
    return 'yes'
}

function Test-LyncarrRuleTakes {
    # Would this foreign rule take every request for $HostHeader before a rule that stands after it? 'yes', 'no' or 'maybe'.
    param([System.Collections.IDictionary]$Rule, [string]$HostHeader, [bool]$Https)
    # None and Rewrite let the evaluation go on unless stopProcessing says otherwise; the other actions answer the client.
    if ([int]$Rule['Type'] -le 1 -and -not $Rule['Stop']) { return 'no' }
    return Test-LyncarrRuleApplies -Rule $Rule -HostHeader $HostHeader -Https $Https
}

function Test-LyncarrRuleApplies {
    # Does this rule apply to every request for $HostHeader that reaches it? 'yes', 'no' or 'maybe'.
    param([System.Collections.IDictionary]$Rule, [string]$HostHeader, [bool]$Https)
    if (-not $Rule['Enabled']) { return 'no' }
    $verdict = Test-LyncarrMatch -Rule $Rule
    $conditions = $Rule['Element'].GetChildElement('conditions').GetCollection()
    if ($conditions.get_Count() -eq 0) { return $verdict }
    $answers = New-Object System.Collections.ArrayList
    foreach ($condition in $conditions) { [void]$answers.Add((Test-LyncarrOneCondition -Element $condition -Syntax ([int]$Rule['Syntax']) -HostHeader $HostHeader -Https $Https)) }
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

function Get-LyncarrShadow {
    # Names of the foreign rules that take the traffic of one of our rules before it is asked. Emits names: call it in @(...).
    # A rule that may take some of it is told and no more: only a person can judge what it is for.
    param([object[]]$Rules, [System.Collections.IDictionary]$Parameters)
    $waiting = New-Object System.Collections.ArrayList
    $waiting.AddRange(@($Parameters['rules'].get_Keys()))
    $standing = New-Object System.Collections.ArrayList
    foreach ($rule in $Rules) {
        foreach ($name in @($Parameters['rules'].get_Keys()) -ieq $rule['Name']) { [void]$waiting.Remove($name); [void]$standing.Add($name) }
        if (@($Parameters['keep']) -icontains $rule['Name'] -or @($Parameters['redirects'].get_Values()) -icontains $rule['Name']) { continue }
        if (@($Parameters['redirects'].get_Keys()) -icontains $rule['Farm']) { continue }
        $hosts = New-Object System.Collections.ArrayList
        $certain = $false
        foreach ($name in $waiting) {
            $mine = $Parameters['rules'][$name]
            $answer = Test-LyncarrRuleTakes -Rule $rule -HostHeader ([string]$mine['host']) -Https ([bool]$mine['https'])
            $scheme = ''
            if (-not $mine['https']) { $scheme = 'http://' }
            if ($answer -cne 'no') { [void]$hosts.Add($scheme + [string]$mine['host']) }
            if ($answer -ceq 'yes') { $certain = $true }
        }
        $names = [string]::Join(', ', [string[]]$hosts.ToArray())
        if ($certain) {
            Add-LyncarrNote -Kind 'foreign-rule' -Item $rule['Name'] -Text "the global rule '$($rule['Name'])' comes before the rules of lyncarr and takes all requests for $names"
            $rule['Name']
        }
        elseif ($names -cne '') { Add-LyncarrNote -Kind 'foreign-rule' -Item $rule['Name'] -Text "the global rule '$($rule['Name'])' comes before the rules of lyncarr and may take requests for ${names}: check its purpose" }
        Add-LyncarrLateNote -Rule $rule -Standing ([string[]]$standing.ToArray()) -Parameters $Parameters
    }
}

function Add-LyncarrLateNote {
    # Tells of a foreign rule that names a host whose requests a rule of ours takes before it: 'dialin.*' is also dialin of another domain.
    param([System.Collections.IDictionary]$Rule, [string[]]$Standing, [System.Collections.IDictionary]$Parameters)
    foreach ($condition in $Rule['Element'].GetChildElement('conditions').GetCollection()) {
        if ([string]$condition.GetAttributeValue('input') -ine '{HTTP_HOST}' -or [bool]$condition.GetAttributeValue('negate')) { continue }
        $pattern = [string]$condition.GetAttributeValue('pattern')
        # What takes a host that nobody has is meant for none of them.
        if ((Test-LyncarrPattern -Syntax ([int]$Rule['Syntax']) -Pattern $pattern -Text 'host.invalid') -cne 'no') { continue }
        $plain = $pattern
        if ([int]$Rule['Syntax'] -eq 0) { $plain = $pattern.Trim([char[]]'^$').Replace('\.', '.') }
        foreach ($name in $Standing) {
            $mine = $Parameters['rules'][$name]
            foreach ($header in @($plain, [string]$mine['host'])) {
                if ((Test-LyncarrPattern -Syntax 1 -Pattern ([string]$mine['pattern']) -Text $header) -cne 'yes') { continue }
                if ((Test-LyncarrRuleApplies -Rule $Rule -HostHeader $header -Https ([bool]$mine['https'])) -ceq 'no') { continue }
                Add-LyncarrNote -Kind 'foreign-rule' -Item $Rule['Name'] -Text "the global rule '$($Rule['Name'])' is for $pattern, but '$name' comes before it and takes all requests that $($mine['pattern']) matches: set a narrower host_pattern in the configuration file, or remove the rule if nothing needs it"
                return
            }
        }
    }
}

function Get-LyncarrRuleState {
    # The rules of one step. Items: each rule, and "rules" for their order and for the foreign rules that stand before them and take their requests.
    param([object[]]$Rules, [System.Collections.IDictionary]$Desired, [System.Collections.IDictionary]$Parameters)
    $state = [ordered]@{}
    $seen = New-Object System.Collections.ArrayList
    foreach ($rule in $Rules) {
        foreach ($name in @($Parameters['rules'].get_Keys()) -ieq $rule['Name']) {
            [void]$seen.Add($name)
            $action = Get-LyncarrDesiredSpelling -Observed $rule['Action'] -Desired ([string]$Desired[$name]['action'])
            # A meeting's or an autodiscover request's parameters would not arrive.
            if (-not $rule['Query']) { $action = $action + ' (without the query string)' }
            $state[$name] = @{
                enabled = $rule['Enabled']; match = $rule['Match']; pattern_syntax = (Get-LyncarrSyntaxName -Syntax $rule['Syntax'])
                stop_processing = $rule['Stop']; action = $action; type = @('None', 'Rewrite', 'Redirect', 'CustomResponse', 'AbortRequest')[[int]$rule['Type']]
            }
            if ($Desired[$name].Contains('redirect_type')) { $state[$name]['redirect_type'] = @{ 301 = 'Permanent'; 302 = 'Found'; 303 = 'SeeOther'; 307 = 'Temporary' }[[int]$rule['Redirect']] }
        }
    }
    $taken = @(Get-LyncarrShadow -Rules $Rules -Parameters $Parameters)
    if ($seen.get_Count() -gt 0 -or $taken.Count -gt 0) { $state['rules'] = @{ order = $seen.ToArray(); taken_by = $taken } }
    return $state
}

#:write

function Add-LyncarrCondition {
    # One condition from its canonical text, which is always of the form {INPUT}=pattern for the rules that this tool makes.
    param([Microsoft.Web.Administration.ConfigurationElementCollection]$Conditions, [string]$Text)
    $split = $Text.IndexOf('=', [StringComparison]::Ordinal)
    $element = $Conditions.CreateElement('add')
    $element.SetAttributeValue('input', $Text.Substring(0, $split))
    $element.SetAttributeValue('pattern', $Text.Substring($split + 1))
    [void]$Conditions.AddAt($Conditions.get_Count(), $element)
}

function Set-LyncarrRuleCondition {
    # Exactly the desired conditions, all of which must hold. Conditions that differ only in letter case are left as they are written.
    param([Microsoft.Web.Administration.ConfigurationElement]$Rule, [string[]]$Desired, [System.Collections.IDictionary]$Context)
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
    # Written attributes, children and collection items of one element into a new one of the same kind.
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
    # Enums by their numbers: patternSyntax 1 is Wildcard, type 1 Rewrite and 2 Redirect, redirectType 301 Permanent.
    param([Microsoft.Web.Administration.ConfigurationElement]$Rule, [System.Collections.IDictionary]$Attributes, [System.Collections.IDictionary]$Context)
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

function Set-LyncarrRuleState {
    # The rules of one step, in their order; none where a foreign rule would take their requests.
    param([System.Collections.IDictionary]$Desired, [System.Collections.IDictionary]$Parameters, [System.Collections.IDictionary]$Context)
    $rules = Get-LyncarrNeededCollection -Context $Context -Section 'system.webServer/rewrite/globalRules'
    $taken = @(Get-LyncarrShadow -Rules @(Get-LyncarrRule -Context $Context) -Parameters $Parameters)
    if ($taken.Count -gt 0) { Stop-Lyncarr -Kind 'foreign' -Text "the global rule '$($taken[0])' comes before the rules of lyncarr and takes their requests" -Hint 'Disable it, narrow it, or move it below the rules of lyncarr, then run the command again.' }
    $order = [string[]]@($Parameters['rules'].get_Keys())
    foreach ($name in $order) {
        Set-LyncarrRule -Rules $rules -Name $name -Attributes $Desired[$name] -Conditions ([string[]]@($Parameters['rules'][$name]['conditions'])) -Context $Context
    }
    Set-LyncarrRuleOrder -Rules $rules -Order $order -Context $Context
}
