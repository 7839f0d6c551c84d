# Reading and writing IIS configuration elements. Microsoft.Web.Administration is an API like any other: the objects come from the seam.

function Find-LyncarrElement {
    # The element of a collection whose attribute equals a value, letter case aside (as the configuration system compares keys), or null.
    param([Microsoft.Web.Administration.ConfigurationElementCollection]$Collection, [string]$Attribute, [string]$Value)
    foreach ($element in $Collection) {
        if ([string]::Equals([string]$element.GetAttributeValue($Attribute), $Value, [StringComparison]::OrdinalIgnoreCase)) { return ,$element }
    }
    return $null
}

function Test-LyncarrSection {
    # Is the section declared in this configuration? Asked by name: GetSection on an undeclared one throws, and so does a locked file.
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
    # The collection of a section, or null where IIS, the module that brings the section, or its schema is not installed.
    param([System.Collections.IDictionary]$Context, [string]$Section)
    $configuration = Get-LyncarrConfiguration -Context $Context
    if ($null -eq $configuration) { return $null }
    if (-not (Test-LyncarrSection -Configuration $configuration -Path $Section)) { return $null }
    if (-not (Test-LyncarrSchema -Section $Section)) { return $null }
    return ,$configuration.GetSection($Section).GetCollection()
}

function Get-LyncarrFarm {
    param([System.Collections.IDictionary]$Context, [string]$Name)
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
    param([System.Collections.IDictionary]$Context, [string]$Farm)
    Add-LyncarrNeedNote -Context $Context -Step 'farms' -Item $Farm -Reason "the farm '$Farm' does not exist on this host yet"
}

function Test-LyncarrSameSet {
    # Do two lists hold the same strings, whatever their order and letter case? None stands twice in one: IIS refuses that, and so does the site file.
    param([string[]]$Left, [string[]]$Right)
    if (@($Left).Count -ne @($Right).Count) { return $false }
    $set = New-Object 'System.Collections.Generic.HashSet[string]' ([StringComparer]::OrdinalIgnoreCase)
    foreach ($entry in @($Left)) { [void]$set.Add($entry) }
    foreach ($entry in @($Right)) { if (-not $set.Contains($entry)) { return $false } }
    return $true
}

#:write

function Set-LyncarrAttribute {
    # Compares before it writes: an attribute set to the value that it has would still be written into the file.
    # SetAttributeValue converts nothing, so $Value has its final type: bool, int, string or TimeSpan.
    param([Microsoft.Web.Administration.ConfigurationElement]$Element, [string]$Name, [psobject]$Value, [System.Collections.IDictionary]$Context)
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
    # By its place, found again by its key: Remove takes an object, and nobody says that two readings of a collection give the same one.
    param([Microsoft.Web.Administration.ConfigurationElementCollection]$Collection, [string]$Attribute, [string]$Value, [System.Collections.IDictionary]$Context)
    for ($index = $Collection.get_Count() - 1; $index -ge 0; $index--) {
        if ([string]::Equals([string]$Collection[$index].GetAttributeValue($Attribute), $Value, [StringComparison]::OrdinalIgnoreCase)) {
            [void]$Collection.RemoveAt($index)
            $Context['Writes'] = [int]$Context['Writes'] + 1
        }
    }
}

function Get-LyncarrNeededCollection {
    # The same for setters, which cannot go on without it.
    param([System.Collections.IDictionary]$Context, [string]$Section)
    $collection = Get-LyncarrCollection -Context $Context -Section $Section
    if ($null -eq $collection) { Stop-LyncarrNeed -Step 'arr' -Reason "this host has no configuration section '$Section'" }
    return ,$collection
}

function Get-LyncarrNeededFarm {
    param([System.Collections.IDictionary]$Context, [string]$Name)
    $farms = Get-LyncarrNeededCollection -Context $Context -Section 'webFarms'
    $farm = Find-LyncarrElement -Collection $farms -Attribute 'name' -Value $Name
    if ($null -eq $farm) { Stop-LyncarrNeed -Step 'farms' -Reason "the farm '$Name' does not exist on this host" }
    return ,$farm
}
