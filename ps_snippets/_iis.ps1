# Reading and writing elements of the IIS configuration. The platform layer (_windows/) opens the objects of Microsoft.Web.Administration.

function Find-LyncarrElement {
    # The element of a collection whose attribute has a value, or null. IIS ignores the letter case of keys.
    param([Microsoft.Web.Administration.ConfigurationElementCollection]$Collection, [string]$Attribute, [string]$Value)
    foreach ($element in $Collection) {
        if ([string]::Equals([string]$element.GetAttributeValue($Attribute), $Value, [StringComparison]::OrdinalIgnoreCase)) { return ,$element }
    }
    return $null
}

function Test-LyncarrSection {
    # Is the section declared in this configuration? GetSection cannot answer that: it throws for an undeclared section and for a locked file.
    param([Microsoft.Web.Administration.Configuration]$Configuration, [string]$Path)
    $names = $Path.Split([char[]]'/')
    $group = $Configuration.get_RootSectionGroup()
    for ($depth = 0; $depth -lt $names.Length - 1; $depth++) {
        $next = $null
        foreach ($candidate in $group.get_SectionGroups()) { if ($candidate.get_Name() -ceq $names[$depth]) { $next = $candidate } }
        if ($null -eq $next) { return $false }
        $group = $next
    }
    foreach ($section in $group.get_Sections()) { if ($section.get_Name() -ceq $names[$names.Length - 1]) { return $true } }
    return $false
}

function Get-LyncarrCollection {
    # The collection of a section, or null where IIS, the module that declares the section, or its schema is not installed.
    param([Collections.IDictionary]$Context, [string]$Section)
    $configuration = Get-LyncarrConfiguration -Context $Context
    if ($null -eq $configuration) { return $null }
    if (-not (Test-LyncarrSection -Configuration $configuration -Path $Section)) { return $null }
    if (-not (Test-LyncarrSchema -Section $Section)) { return $null }
    return ,$configuration.GetSection($Section).GetCollection()
}

function Get-LyncarrFarm {
    param([Collections.IDictionary]$Context, [string]$Name)
    $farms = Get-LyncarrCollection -Context $Context -Section 'webFarms'
    if ($null -eq $farms) { return $null }
    return ,(Find-LyncarrElement -Collection $farms -Attribute 'name' -Value $Name)
}

function Get-LyncarrFarmProtocol {
    param([Microsoft.Web.Administration.ConfigurationElement]$Farm)
    return ,$Farm.GetChildElement('applicationRequestRouting').GetChildElement('protocol')
}

function Add-LyncarrFarmNote {
    # Reports in a plan what apply would stop for: a farm that does not exist and that this run does not create.
    param([Collections.IDictionary]$Context, [string]$Farm)
    Add-LyncarrMissingStepNote -Context $Context -Step 'farms' -Item $Farm -Reason "the farm '$Farm' does not exist on this host yet"
}

function Test-LyncarrSameSet {
    # Do two lists hold the same strings, in any order and letter case? Neither list holds a string twice.
    param([string[]]$Left, [string[]]$Right)
    if (@($Left).Count -ne @($Right).Count) { return $false }
    $set = New-Object 'System.Collections.Generic.HashSet[string]' ([StringComparer]::OrdinalIgnoreCase)
    foreach ($entry in @($Left)) { [void]$set.Add($entry) }
    foreach ($entry in @($Right)) { if (-not $set.Contains($entry)) { return $false } }
    return $true
}

#:write

function Set-LyncarrAttribute {
    # Writes only a different value: an attribute that is set to its present value would be written into the file too.
    # SetAttributeValue converts nothing, so $Value has its final type: bool, int, string or TimeSpan.
    param([Microsoft.Web.Administration.ConfigurationElement]$Element, [string]$Name, [psobject]$Value, [Collections.IDictionary]$Context)
    $plain = $Value.PSObject.BaseObject
    $current = $Element.GetAttributeValue($Name)
    if ($plain -is [string]) { $equal = [string]::Equals([string]$current, $plain, [StringComparison]::Ordinal) }
    else { $equal = $current -eq $plain }
    if (-not $equal) {
        $Element.SetAttributeValue($Name, $plain)
        $Context['Writes'] = [int]$Context['Writes'] + 1
    }
}

function Remove-LyncarrElement {
    # Removes by position: Remove takes an object, and enumerating twice is not documented to return the same objects.
    param([Microsoft.Web.Administration.ConfigurationElementCollection]$Collection, [string]$Attribute, [string]$Value, [Collections.IDictionary]$Context)
    for ($index = $Collection.get_Count() - 1; $index -ge 0; $index--) {
        if ([string]::Equals([string]$Collection[$index].GetAttributeValue($Attribute), $Value, [StringComparison]::OrdinalIgnoreCase)) {
            [void]$Collection.RemoveAt($index)
            $Context['Writes'] = [int]$Context['Writes'] + 1
        }
    }
}

function Get-LyncarrRequiredCollection {
    # As Get-LyncarrCollection, but ends the request where the collection is missing.
    param([Collections.IDictionary]$Context, [string]$Section)
    $collection = Get-LyncarrCollection -Context $Context -Section $Section
    if ($null -eq $collection) { Stop-LyncarrMissingStep -Step 'arr' -Reason "this host has no configuration section '$Section'" }
    return ,$collection
}

function Get-LyncarrRequiredFarm {
    param([Collections.IDictionary]$Context, [string]$Name)
    $farms = Get-LyncarrRequiredCollection -Context $Context -Section 'webFarms'
    $farm = Find-LyncarrElement -Collection $farms -Attribute 'name' -Value $Name
    if ($null -eq $farm) { Stop-LyncarrMissingStep -Step 'farms' -Reason "the farm '$Name' does not exist on this host" }
    return ,$farm
}
