# What the three rule steps share: which global rules are ours, what a rule does, and whether a foreign one takes our traffic.
# Ours: rules that rewrite to one of the site's farms, and rules that bear one of our names. All else is foreign and stays as it is.

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
        $target = [regex]::Match([string]$action.GetAttributeValue('url'), '^(https?)://([^/:{}]+)(:[0-9]+)?(/.*)?$', 'IgnoreCase, CultureInvariant')
        $farm = ''
        if ([int]$action.GetAttributeValue('type') -eq 1 -and $target.Success) { $farm = $target.Groups[2].Value }
        @{
            Element = $element; Name = [string]$element.GetAttributeValue('name'); Enabled = [bool]$element.GetAttributeValue('enabled')
            Syntax = [int]$element.GetAttributeValue('patternSyntax'); Stop = [bool]$element.GetAttributeValue('stopProcessing')
            Match = $url; Type = [int]$action.GetAttributeValue('type'); Action = [string]$action.GetAttributeValue('url'); Farm = $farm
            Query = [bool]$action.GetAttributeValue('appendQueryString')
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
    param([Microsoft.Web.Administration.ConfigurationElement]$Element, [int]$Syntax, [string]$HostHeader)
    $name = ([string]$Element.GetAttributeValue('input')).Trim([char[]]'{}')
    $known = @{ 'HTTPS' = 'on'; 'HTTP_HOST' = $HostHeader; 'SERVER_PORT_SECURE' = '1'; 'REQUEST_SCHEME' = 'https' }
    if (-not $known.Contains($name)) { return 'maybe' }
    if ([int]$Element.GetAttributeValue('matchType') -ne 0) { return 'maybe' }
    $answer = Test-LyncarrPattern -Syntax $Syntax -Pattern ([string]$Element.GetAttributeValue('pattern')) -Text $known[$name]
    if ($answer -ceq 'maybe' -or -not [bool]$Element.GetAttributeValue('negate')) { return $answer }
    if ($answer -ceq 'yes') { return 'no' }
    return 'yes'
}

function Test-LyncarrRuleTakes {
    # Would this foreign rule take every HTTPS request for $HostHeader before a rule that stands after it? 'yes', 'no' or 'maybe'.
    param([System.Collections.IDictionary]$Rule, [string]$HostHeader)
    if (-not $Rule['Enabled']) { return 'no' }
    # None and Rewrite let the evaluation go on unless stopProcessing says otherwise; the other actions answer the client.
    if ([int]$Rule['Type'] -le 1 -and -not $Rule['Stop']) { return 'no' }
    $verdict = Test-LyncarrMatch -Rule $Rule
    $conditions = $Rule['Element'].GetChildElement('conditions').GetCollection()
    if ($conditions.get_Count() -eq 0) { return $verdict }
    $answers = New-Object System.Collections.ArrayList
    foreach ($condition in $conditions) { [void]$answers.Add((Test-LyncarrOneCondition -Element $condition -Syntax ([int]$Rule['Syntax']) -HostHeader $HostHeader)) }
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
