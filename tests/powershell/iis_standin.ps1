# Checks the stand-in for Microsoft.Web.Administration against what is known of the real one. One process; one JSON line a check.
# Templates: folders "iis" (no packages) and "arr" (URL Rewrite and ARR) below $Templates, made by the test.
param([string]$Assembly, [string]$Templates, [string]$Work)
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
Add-Type -Path $Assembly
$farmsPath = 'webFarms'
$rulesPath = 'system.webServer/rewrite/globalRules'
$script:roots = 0

function Test-Fact {
    param([string]$Name, [scriptblock]$Body)
    $problem = ''
    try { [void](& $Body) }
    catch { $problem = "$($_.Exception.GetBaseException().Message) (line $($_.InvocationInfo.ScriptLineNumber))" }
    ConvertTo-Json -Compress -InputObject @{ name = $Name; problem = $problem }
}

function Assert-Equal {
    param($Expected, $Actual)
    $same = if ($null -eq $Expected -or $null -eq $Actual) { $null -eq $Expected -and $null -eq $Actual }
    else { $Expected.GetType() -eq $Actual.GetType() -and [object]::Equals($Expected, $Actual) }
    if (-not $same) { throw "expected [$Expected], got [$Actual] $(if ($null -ne $Actual) { $Actual.GetType() })" }
}

function Assert-Throws {
    param([type]$Type, [string]$Text, [scriptblock]$Body)
    try { [void](& $Body) }
    catch {
        $cause = $_.Exception.GetBaseException()
        if ($cause.GetType() -ne $Type -or -not $cause.Message.Contains($Text)) { throw "expected $Type '$Text', got $($cause.GetType()): $($cause.Message)" }
        return
    }
    throw "nothing was thrown, expected $Type '$Text'"
}

function New-Machine {
    # A copy of a template, chosen as the machine of the next ServerManager. Edits replace texts of applicationHost.config.
    param([string]$Template = 'arr', [System.Collections.IDictionary]$Edits = @{})
    $script:roots++
    $script:root = [IO.Path]::Combine($Work, "machine$script:roots")
    $from = [IO.Path]::Combine($Templates, $Template)
    foreach ($folder in @('config', [IO.Path]::Combine('config', 'schema'))) {
        [void][IO.Directory]::CreateDirectory([IO.Path]::Combine($script:root, $folder))
        foreach ($file in [IO.Directory]::GetFiles([IO.Path]::Combine($from, $folder))) { [IO.File]::Copy($file, [IO.Path]::Combine($script:root, $folder, [IO.Path]::GetFileName($file))) }
    }
    [Environment]::SetEnvironmentVariable('LYNCARR_STANDIN_INETSRV', $script:root)
    $text = Read-File
    foreach ($find in $Edits.Keys) {
        if (-not $text.Contains($find)) { throw "the template has no $find" }
        $text = $text.Replace($find, [string]$Edits[$find])
    }
    Write-File $text
}

function Get-File { param([string]$Name = 'applicationHost.config') return [IO.Path]::Combine($script:root, 'config', $Name) }
function Read-File { param([string]$Name = 'applicationHost.config') return [IO.File]::ReadAllText((Get-File $Name)) }
function Write-File { param([string]$Text, [string]$Name = 'applicationHost.config') [IO.File]::WriteAllText((Get-File $Name), $Text) }
function New-Manager { return [Microsoft.Web.Administration.ServerManager]::new() }
function Get-Section { param($Manager, [string]$Path) return , $Manager.GetApplicationHostConfiguration().GetSection($Path) }
function Get-Items { param($Manager, [string]$Path) return , $Manager.GetApplicationHostConfiguration().GetSection($Path).GetCollection() }

function Add-Farm {
    param($Farms, [string]$Name)
    $farm = $Farms.CreateElement('webFarm')
    $farm.SetAttributeValue('name', $Name)
    [void]$Farms.AddAt($Farms.Count, $farm)
    return , $farm
}

function Add-Rule {
    param($Rules, [string]$Name)
    $rule = $Rules.CreateElement('rule')
    $rule.SetAttributeValue('name', $Name)
    $rule.GetChildElement('match').SetAttributeValue('url', '*')
    $condition = $rule.GetChildElement('conditions').GetCollection().CreateElement('add')
    $condition.SetAttributeValue('input', '{HTTPS}')
    $condition.SetAttributeValue('pattern', 'On')
    [void]$rule.GetCollection('conditions').Add($condition)
    [void]$Rules.AddAt($Rules.Count, $rule)
    return , $rule
}

function Save-Manager { param($Manager) $Manager.CommitChanges(); $Manager.Dispose() }

# What the file holds inside one element, with LF line ends and without the indentation that all lines share.
function Get-Block {
    param([string]$Tag)
    $found = [regex]::Match((Read-File).Replace("`r`n", "`n"), "(?s)\n( *)<$Tag[ >].*?\n\1</$Tag>")
    if (-not $found.Success) { throw "the file has no <$Tag>" }
    return [regex]::Replace($found.Value, "\n" + $found.Groups[1].Value, "`n").Trim()
}

Test-Fact '2 a section without declaration' {
    New-Machine -Template 'iis'
    $manager = New-Manager
    Assert-Throws ([Runtime.InteropServices.COMException]) "Filename: \\?\$(Get-File)`r`nError: The configuration section 'webFarms' cannot be read because it is missing a section declaration" { Get-Section $manager 'webFarms' }
    Assert-Equal 1 (Get-Items $manager 'system.applicationHost/sites').Count
}

Test-Fact '3 a declared section without schema' {
    New-Machine
    [IO.File]::Delete((Get-File ([IO.Path]::Combine('schema', 'rewrite_schema.xml'))))
    $manager = New-Manager
    Assert-Throws ([IO.FileNotFoundException]) "The configuration section '$rulesPath' cannot be read because it is missing schema" { Get-Section $manager $rulesPath }
    Assert-Equal 0 (Get-Items $manager $farmsPath).Count
}

Test-Fact '4 elements left behind without declaration spoil every section of the file' {
    New-Machine -Template 'iis' -Edits @{ '<directoryBrowse' = '<rewrite><globalRules /></rewrite><directoryBrowse' }
    $manager = New-Manager
    Assert-Throws ([Runtime.InteropServices.COMException]) "Filename: \\?\$(Get-File)`r`nError: `r`n" { Get-Section $manager 'system.applicationHost/sites' }
}

Test-Fact '5 reading is lazy, a missing file is told on first access' {
    New-Machine
    [IO.File]::Delete((Get-File))
    $manager = New-Manager
    Assert-Throws ([IO.FileNotFoundException]) 'Cannot read configuration file' { $manager.GetApplicationHostConfiguration().GetSection('webFarms') }
}

Test-Fact '5 broken XML is told with its line' {
    New-Machine
    Write-File "<configuration>`n  <a>`n</configuration>"
    $manager = New-Manager
    Assert-Throws ([Runtime.InteropServices.COMException]) "Line number: 3`r`nError: Configuration file is not well-formed XML" { $manager.GetApplicationHostConfiguration().GetSection('webFarms') }
}

Test-Fact 'a file that is not UTF-8 is refused loudly' {
    New-Machine
    [IO.File]::WriteAllText((Get-File), (Read-File), [Text.Encoding]::Unicode)
    Assert-Throws ([NotSupportedException]) 'UTF-8' { (New-Manager).GetApplicationHostConfiguration().GetSection('webFarms') }
}

Test-Fact '5 a bad section fails when it is asked for, the others are readable' {
    New-Machine -Edits @{ 'id="1"' = 'id="1" nosuch="x"' }
    $manager = New-Manager
    Assert-Equal 0 (Get-Items $manager $farmsPath).Count
    Assert-Throws ([Runtime.InteropServices.COMException]) "Error: Unrecognized attribute 'nosuch'" { Get-Section $manager 'system.applicationHost/sites' }
}

Test-Fact '6 a missing required attribute, with its line' {
    New-Machine -Edits @{ '</configuration>' = "<webFarms>`r`n<webFarm enabled=`"true`" /></webFarms></configuration>" }
    $line = (Read-File).Substring(0, (Read-File).IndexOf('<webFarm ')).Split([char]10).Length
    $manager = New-Manager
    Assert-Throws ([Runtime.InteropServices.COMException]) "Line number: $line`r`nError: Missing required attribute 'name'" { Get-Section $manager $farmsPath }
}

Test-Fact '6 a value that its validator refuses' {
    New-Machine -Edits @{ '</configuration>' = '<webFarms><webFarm name="a/b" /></webFarms></configuration>' }
    $manager = New-Manager
    Assert-Throws ([Runtime.InteropServices.COMException]) "The 'name' attribute is invalid.  Invalid site name" { Get-Section $manager $farmsPath }
}

Test-Fact '7 a section path in another letter case is refused loudly' {
    New-Machine
    $manager = New-Manager
    Assert-Throws ([NotSupportedException]) 'stand-in: no fact covers' { Get-Section $manager 'webfarms' }
}

Test-Fact '8 schema files that come later are not seen by this process' {
    New-Machine -Template 'iis'
    $manager = New-Manager
    [void](Get-Section $manager 'system.applicationHost/sites')
    $full = [IO.Path]::Combine($Templates, 'arr', 'config')
    foreach ($file in @('webfarm.xml', 'arr_schema.xml')) { [IO.File]::Copy([IO.Path]::Combine($full, 'schema', $file), (Get-File ([IO.Path]::Combine('schema', $file)))) }
    [IO.File]::Copy([IO.Path]::Combine($full, 'applicationHost.config'), (Get-File), $true)
    $manager = New-Manager
    Assert-Throws ([IO.FileNotFoundException]) 'missing schema' { Get-Section $manager $farmsPath }
}

Test-Fact '9 Deny does not lock a section of applicationHost.config' {
    New-Machine
    $section = Get-Section (New-Manager) $rulesPath
    Assert-Equal $false $section.IsLocked
    Assert-Equal 'Inherit Deny' "$($section.OverrideMode) $($section.OverrideModeEffective)"
    Assert-Equal $rulesPath $section.SectionPath
}

Test-Fact '14 locks are metadata, an unknown name is refused' {
    New-Machine -Edits @{ '<binding ' = '<binding lockItem="true" ' }
    $manager = New-Manager
    $binding = $manager.Sites[0].Bindings[0]
    Assert-Equal $true $binding.GetMetadata('lockItem')
    Assert-Equal '' $binding.GetMetadata('lockAttributes')
    Assert-Throws ([Runtime.InteropServices.COMException]) '0x80070032' { $binding.GetMetadata('nosuch') }
}

Test-Fact '15 an attribute that the schema does not know' {
    New-Machine
    $farm = Add-Farm (Get-Items (New-Manager) $farmsPath) 'a.contoso.com'
    foreach ($body in @({ $farm.GetAttribute('nosuch') }, { $farm.GetAttributeValue('nosuch') }, { $farm.SetAttributeValue('nosuch', 1) }, { $farm['nosuch'] = 1 })) {
        Assert-Throws ([Runtime.InteropServices.COMException]) 'Invalid index. (Exception from HRESULT: 0x80070585)' $body
    }
    $names = @(foreach ($schema in $farm.Schema.AttributeSchemas) { $schema.Name })
    Assert-Equal $true ($names -ccontains 'name' -and $names -ccontains 'serverAutoStart' -and $names -cnotcontains 'nosuch')
}

Test-Fact '17 types on reading' {
    New-Machine
    $manager = New-Manager
    $farm = Add-Farm (Get-Items $manager $farmsPath) 'a.contoso.com'
    $server = $farm.GetCollection().CreateElement('server')
    $rule = Add-Rule (Get-Items $manager $rulesPath) 'r'
    Assert-Equal ([long]80) $server.GetChildElement('applicationRequestRouting').GetAttributeValue('httpPort')
    Assert-Equal ([TimeSpan]::FromSeconds(30)) $farm.GetChildElement('applicationRequestRouting').GetChildElement('protocol').GetAttributeValue('timeout')
    Assert-Equal $true $farm.GetAttributeValue('enabled')
    Assert-Equal 0 $rule.GetAttributeValue('patternSyntax')
    Assert-Equal 301 $rule.GetChildElement('action').GetAttributeValue('redirectType')
    Assert-Equal 'a.contoso.com' $farm['name']
    Assert-Equal ([long]1) $manager.Sites[0].Id
}

Test-Fact '18 types on writing' {
    New-Machine
    $manager = New-Manager
    $rule = Add-Rule (Get-Items $manager $rulesPath) 'r'
    $rule.SetAttributeValue('patternSyntax', 'Wildcard')
    Assert-Equal 1 $rule.GetAttributeValue('patternSyntax')
    $rule.SetAttributeValue('patternSyntax', [int]2)
    Assert-Equal 2 $rule.GetAttributeValue('patternSyntax')
    $server = (Add-Farm (Get-Items $manager $farmsPath) 'a').GetCollection().CreateElement('server')
    $routing = $server.GetChildElement('applicationRequestRouting')
    $routing.SetAttributeValue('httpPort', [long]8080)
    $routing.SetAttributeValue('httpsPort', [int]4443)
    Assert-Equal ([long]4443) $routing.GetAttributeValue('httpsPort')
    $binding = $manager.Sites[0].Bindings[0]
    $binding.SetAttributeValue('sslFlags', [Microsoft.Web.Administration.SslFlags]::Sni)
    Assert-Equal ([long]1) $binding.GetAttributeValue('sslFlags')
    Assert-Throws ([NotSupportedException]) 'UInt32' { $routing.SetAttributeValue('httpPort', [uint32]1) }
}

Test-Fact '19 a string is not converted' {
    New-Machine
    $manager = New-Manager
    $farm = Add-Farm (Get-Items $manager $farmsPath) 'a'
    $protocol = $farm.GetChildElement('applicationRequestRouting').GetChildElement('protocol')
    Assert-Throws ([InvalidCastException]) 'Specified cast is not valid.' { $protocol.SetAttributeValue('maxForwards', '10') }
    Assert-Throws ([InvalidCastException]) 'Specified cast is not valid.' { $protocol.SetAttributeValue('timeout', '00:15:00') }
    Assert-Throws ([InvalidCastException]) 'Specified cast is not valid.' { $farm.SetAttributeValue('enabled', 'true') }
    Assert-Throws ([NotSupportedException]) 'null' { $farm.SetAttributeValue('enabled', $null) }
}

Test-Fact '20 values are refused when they are set' {
    New-Machine
    $manager = New-Manager
    $farm = Add-Farm (Get-Items $manager $farmsPath) 'a'
    $server = $farm.GetCollection().CreateElement('server')
    $routing = $server.GetChildElement('applicationRequestRouting')
    $rule = Add-Rule (Get-Items $manager $rulesPath) 'r'
    $com = [Runtime.InteropServices.COMException]
    Assert-Throws $com "Integer value must be between 1 and 65535 inclusive`r`n" { $routing.SetAttributeValue('httpPort', 65536) }
    Assert-Throws $com "Integer value must not be between 0 and 1023 inclusive`r`n" { $manager.Sites[0].GetChildElement('limits').SetAttributeValue('maxBandwidth', 5) }
    Assert-Throws $com "String must not be empty`r`n" { $server.SetAttributeValue('address', '') }
    Assert-Throws $com "Invalid site name`r`n" { $farm.SetAttributeValue('name', 'a:b') }
    Assert-Throws $com "Enum must be one of ECMAScript, Wildcard, ExactMatch`r`n" { $rule.SetAttributeValue('patternSyntax', 'Glob') }
    Assert-Throws $com "Enum must be one of ECMAScript, Wildcard, ExactMatch`r`n" { $rule.SetAttributeValue('patternSyntax', 7) }
    Assert-Throws $com 'Timespan value must be between 1 and 86400 seconds inclusive' {
        $farm.GetChildElement('applicationRequestRouting').GetChildElement('protocol').SetAttributeValue('timeout', [TimeSpan]::FromSeconds(86401))
    }
    Assert-Throws $com 'with a granularity of 60 seconds' {
        $farm.GetChildElement('applicationRequestRouting').GetChildElement('affinity').SetAttributeValue('timeout', [TimeSpan]::FromSeconds(90))
    }
}

Test-Fact '21 a string never set reads as empty, Delete returns to the default' {
    New-Machine
    $farm = Add-Farm (Get-Items (New-Manager) $farmsPath) 'a'
    Assert-Equal '' $farm.GetAttributeValue('primaryServer')
    $farm.SetAttributeValue('minimumServers', 3)
    $farm.GetAttribute('minimumServers').Delete()
    Assert-Equal 0 $farm.GetAttributeValue('minimumServers')
    Assert-Equal $true $farm.GetAttribute('minimumServers').IsInheritedFromDefaultValue
}

Test-Fact '22 and 23 a default that is set is written, and no longer inherited' {
    New-Machine
    $manager = New-Manager
    $farm = Add-Farm (Get-Items $manager $farmsPath) 'a'
    Assert-Equal $true $farm.GetAttribute('enabled').IsInheritedFromDefaultValue
    $farm.SetAttributeValue('enabled', $true)
    Assert-Equal $false $farm.GetAttribute('enabled').IsInheritedFromDefaultValue
    Save-Manager $manager
    Assert-Equal "<webFarms>`n    <webFarm name=`"a`" enabled=`"true`" />`n</webFarms>" (Get-Block 'webFarms')
}

Test-Fact '24 locally stored is what the file holds' {
    New-Machine
    $manager = New-Manager
    Assert-Equal $true $manager.Sites[0].IsLocallyStored
    Assert-Equal $false $manager.Sites[0].GetChildElement('limits').IsLocallyStored
    Assert-Throws ([NotSupportedException]) 'before the commit' { (Add-Farm (Get-Items $manager $farmsPath) 'a').get_IsLocallyStored() }
}

Test-Fact '26 a child that the file lacks has defaults and is made when it is set' {
    New-Machine
    $manager = New-Manager
    $limits = $manager.Sites[0].GetChildElement('limits')
    Assert-Equal ([TimeSpan]::FromMinutes(2)) $limits.GetAttributeValue('connectionTimeout')
    $limits.SetAttributeValue('connectionTimeout', [TimeSpan]::FromMinutes(3))
    Assert-Throws ([Runtime.InteropServices.COMException]) '0x80070585' { $manager.Sites[0].GetChildElement('nosuch') }
    Save-Manager $manager
    Assert-Equal $true ((Read-File).Contains("</bindings>`r`n                <limits connectionTimeout=`"00:03:00`" />`r`n"))
}

Test-Fact '27 collections of an element and of a child' {
    New-Machine
    $rule = Add-Rule (Get-Items (New-Manager) $rulesPath) 'r'
    Assert-Equal 1 $rule.GetCollection('conditions').Count
    Assert-Equal 1 $rule.GetChildElement('conditions').GetCollection().Count
    Assert-Equal 'match conditions serverVariables action' ([string]::Join(' ', [string[]]@(foreach ($child in $rule.ChildElements) { $child.ElementTagName })))
    Assert-Throws ([NotSupportedException]) 'GetCollection on <match>' { $rule.GetChildElement('match').GetCollection() }
}

Test-Fact '28 CreateElement knows the names of the schema' {
    New-Machine
    $rules = Get-Items (New-Manager) $rulesPath
    Assert-Throws ([Runtime.InteropServices.COMException]) '0x80070585' { $rules.CreateElement('add') }
    Assert-Equal 'rule' $rules.CreateElement().ElementTagName
    Assert-Equal 0 $rules.Count
}

Test-Fact '29 an item without its required attributes' {
    New-Machine
    $manager = New-Manager
    $bindings = $manager.Sites[0].GetCollection('bindings')
    $binding = $bindings.CreateElement('binding')
    try { [void]$bindings.Add($binding); throw 'nothing was thrown' }
    catch [System.Management.Automation.MethodInvocationException] {
        $cause = $_.Exception.GetBaseException()
        Assert-Equal ([IO.FileNotFoundException]) $cause.GetType()
        Assert-Equal $null $cause.FileName
        Assert-Equal "Filename: `r`nError: Element is missing required attributes protocol,bindingInformation`r`n`r`n" $cause.Message
    }
}

Test-Fact '30 and 31 a duplicate key, in any letter case' {
    New-Machine
    $farms = Get-Items (New-Manager) $farmsPath
    [void](Add-Farm $farms 'a.contoso.com')
    Assert-Throws ([Runtime.InteropServices.COMException]) "Cannot add duplicate collection entry of type 'webFarm' with unique key attribute 'name' set to 'A.contoso.com'" { Add-Farm $farms 'A.contoso.com' }
    Assert-Equal 1 $farms.Count
}

Test-Fact '30 a duplicate of a combined key' {
    New-Machine
    $conditions = (Add-Rule (Get-Items (New-Manager) $rulesPath) 'r').GetCollection('conditions')
    $again = $conditions.CreateElement('add')
    $again.SetAttributeValue('input', '{HTTPS}')
    $again.SetAttributeValue('pattern', 'on')
    Assert-Throws ([Runtime.InteropServices.COMException]) "with combined key attributes 'input, matchType, pattern, ignoreCase, negate' respectively set to '{HTTPS}, Pattern, on, true, false'" { $conditions.Add($again) }
}

Test-Fact '30 a duplicate in the file, with file and line' {
    New-Machine -Edits @{ '</configuration>' = '<webFarms><webFarm name="a" /><webFarm name="A" /></webFarms></configuration>' }
    Assert-Throws ([Runtime.InteropServices.COMException]) "Error: Cannot add duplicate collection entry of type 'webFarm'" { Get-Section (New-Manager) $farmsPath }
}

Test-Fact '31 either unique key of a site clashes' {
    New-Machine
    $manager = New-Manager
    $site = $manager.Sites.CreateElement('site')
    $site.Name = 'Another'
    $site.Id = 1
    Assert-Throws ([Runtime.InteropServices.COMException]) "unique key attribute 'id' set to '1'" { $manager.Sites.Add($site) }
}

Test-Fact '32 positions' {
    New-Machine
    $manager = New-Manager
    $rules = Get-Items $manager $rulesPath
    foreach ($name in @('b', 'd')) { [void](Add-Rule $rules $name) }
    foreach ($place in @(@(0, 'a'), @(2, 'c'), @(4, 'e'))) {
        $rule = $rules.CreateElement('rule')
        $rule.SetAttributeValue('name', $place[1])
        [void]$rules.AddAt($place[0], $rule)
        Assert-Equal $place[0] $rules.IndexOf($rule)
    }
    $late = $rules.CreateElement('rule')
    $late.SetAttributeValue('name', 'f')
    Assert-Throws ([Runtime.InteropServices.COMException]) '0x80070585' { $rules.AddAt(6, $late) }
    Save-Manager $manager
    $names = @(foreach ($rule in (Get-Items (New-Manager) $rulesPath)) { [string]$rule['name'] })
    Assert-Equal 'a b c d e' ([string]::Join(' ', [string[]]$names))
}

Test-Fact '34 and 36 a removed item is readable and cannot be added again, enumerations do not survive a change' {
    New-Machine
    $rules = Get-Items (New-Manager) $rulesPath
    $rule = Add-Rule $rules 'a'
    [void](Add-Rule $rules 'b')
    $rules.Remove($rule)
    Assert-Equal 'a' $rule['name']
    Assert-Throws ([NotSupportedException]) 'adding an element again' { $rules.Add($rule) }
    [void](Add-Rule $rules 'c')
    Assert-Throws ([InvalidOperationException]) 'changed while it was enumerated' { foreach ($one in $rules) { $rules.Remove($one) } }
    Assert-Throws ([NotSupportedException]) 'RemoveAt' { $rules.RemoveAt(9) }
}

Test-Fact '35 what AllowsRemove says is what the schema names' {
    New-Machine
    $manager = New-Manager
    Assert-Equal $false $manager.Sites.AllowsRemove
    Assert-Equal $true (Get-Items $manager $rulesPath).AllowsRemove
    $manager.Sites.RemoveAt(0)
    Assert-Equal 0 $manager.Sites.Count
}

Test-Fact '37 sites by name, absent is null' {
    New-Machine
    $manager = New-Manager
    Assert-Equal 'Default Web Site' $manager.Sites['default web site'].Name
    Assert-Equal $null $manager.Sites['nosuch']
}

Test-Fact '40 a file that changed on disk' {
    New-Machine
    $manager = New-Manager
    [void](Add-Farm (Get-Items $manager $farmsPath) 'a')
    $other = (Read-File) + ' '
    Write-File $other
    Assert-Throws ([IO.FileLoadException]) "Filename: \\?\$(Get-File)`r`nError: Cannot commit configuration changes because the file has changed on disk" { $manager.CommitChanges() }
    Assert-Equal $other (Read-File)
}

Test-Fact '40 a file that another process holds' {
    New-Machine
    $manager = New-Manager
    [void](Add-Farm (Get-Items $manager $farmsPath) 'a')
    $held = [IO.File]::Open((Get-File), [IO.FileMode]::Open, [IO.FileAccess]::Read, [IO.FileShare]::Read)
    try { Assert-Throws ([IO.FileLoadException]) 'Cannot write configuration file' { $manager.CommitChanges() } }
    finally { $held.Dispose() }
}

Test-Fact '42 what was fetched before a commit is readable and frozen, the same manager gives fresh objects' {
    New-Machine
    $manager = New-Manager
    $farms = Get-Items $manager $farmsPath
    $farm = Add-Farm $farms 'a'
    $manager.CommitChanges()
    Assert-Equal 'a' $farm['name']
    foreach ($body in @({ $farm.SetAttributeValue('enabled', $false) }, { Add-Farm $farms 'b' }, { $farms.Clear() }, { $farm.Delete() })) {
        Assert-Throws ([InvalidOperationException]) 'The configuration object is read only, because it has been committed by a call to ServerManager.CommitChanges().' $body
    }
    [void](Add-Farm (Get-Items $manager $farmsPath) 'b')
    Save-Manager $manager
    Assert-Equal 2 (Get-Items (New-Manager) $farmsPath).Count
}

Test-Fact '43 a manager that is read only' {
    New-Machine
    $manager = [Microsoft.Web.Administration.ServerManager]::new($true, (Get-File))
    $pools = Get-Items $manager 'system.applicationHost/applicationPools'
    Assert-Throws ([InvalidOperationException]) 'The configuration object is read only' { $pools[0].SetAttributeValue('autoStart', $false) }
    Assert-Throws ([InvalidOperationException]) 'The configuration object is read only' { $pools.Clear() }
    Assert-Throws ([InvalidOperationException]) 'The configuration object is read only' { $pools[0].Delete() }
    Assert-Throws ([IO.FileLoadException]) 'opened for read only access' { $pools.RemoveAt(0) }
}

Test-Fact '17 time spans' {
    New-Machine
    $manager = New-Manager
    $protocol = (Add-Farm (Get-Items $manager $farmsPath) 'a').GetChildElement('applicationRequestRouting').GetChildElement('protocol')
    Assert-Equal ([TimeSpan]::FromMilliseconds(100)) $protocol.GetChildElement('cache').GetAttributeValue('requestConsolidationTimeout')
    $restart = (Get-Items $manager 'system.applicationHost/applicationPools')[0].GetChildElement('recycling').GetChildElement('periodicRestart')
    Assert-Equal ([TimeSpan]::FromHours(29)) $restart.GetAttributeValue('time')
    $protocol.SetAttributeValue('timeout', [TimeSpan]::FromDays(1))
    Assert-Equal ([TimeSpan]::FromDays(1)) $protocol.GetAttributeValue('timeout')
}

Test-Fact '44 a commit without changes writes nothing' {
    New-Machine
    $stamp = [DateTime]::new(2020, 1, 1, 0, 0, 0, [DateTimeKind]::Utc)
    [IO.File]::SetLastWriteTimeUtc((Get-File), $stamp)
    $manager = New-Manager
    $pool = (Get-Items $manager 'system.applicationHost/applicationPools')[0]
    Assert-Throws ([InvalidCastException]) 'cast' { $pool.SetAttributeValue('autoStart', 'true') }
    $pool.GetAttribute('autoStart').Delete()
    $manager.CommitChanges()
    Assert-Equal $stamp ([IO.File]::GetLastWriteTimeUtc((Get-File)))
}

Test-Fact '45 all that was not touched stays byte for byte' {
    $odd = "<webFarms>`n`t<!-- kept --><webFarm  enabled = 'true'`n  name=`"a`"><server address='x&amp;&#98;'></server>`n`t</webFarm >`n<?pi data?></webFarms>"
    New-Machine -Edits @{ '</configuration>' = "$odd`r`n</configuration>" }
    $text = Read-File
    [IO.File]::WriteAllBytes((Get-File), [byte[]]@(0xEF, 0xBB, 0xBF) + [Text.Encoding]::UTF8.GetBytes($text))
    $manager = New-Manager
    $farm = (Get-Items $manager $farmsPath)[0]
    Assert-Equal 'x&b' $farm.GetCollection()[0]['address']
    $farm.SetAttributeValue('enabled', $false)
    Save-Manager $manager
    $bytes = [IO.File]::ReadAllBytes((Get-File))
    Assert-Equal 239 ([int]$bytes[0])
    Assert-Equal $text.Replace("enabled = 'true'", "enabled = 'false'") ([Text.Encoding]::UTF8.GetString($bytes, 3, $bytes.Length - 3))
}

Test-Fact '45 adding and removing an item leaves the file as it was' {
    $farms = "    <webFarms>`r`n        <!-- kept -->`r`n        <webFarm name=`"a`" />`r`n        <webFarm name=`"c`" />`r`n    </webFarms>`r`n"
    New-Machine -Edits @{ '</configuration>' = "$farms</configuration>" }
    $before = Read-File
    $manager = New-Manager
    $collection = Get-Items $manager $farmsPath
    $farm = $collection.CreateElement('webFarm')
    $farm.SetAttributeValue('name', 'b')
    [void]$collection.AddAt(1, $farm)
    $manager.CommitChanges()
    Assert-Equal $before.Replace("`"a`" />`r`n", "`"a`" />`r`n        <webFarm name=`"b`" />`r`n") (Read-File)
    (Get-Items $manager $farmsPath).RemoveAt(1)
    Save-Manager $manager
    Assert-Equal $before (Read-File)
}

Test-Fact '45 what is added stands like what is there' {
    New-Machine
    $manager = New-Manager
    $farm = Add-Farm (Get-Items $manager $farmsPath) 'dialin.contoso.com'
    $farm.SetAttributeValue('enabled', $true)
    $farm.GetChildElement('applicationRequestRouting').GetChildElement('protocol').SetAttributeValue('timeout', [TimeSpan]::FromSeconds(900))
    $farm.GetChildElement('applicationRequestRouting').GetChildElement('protocol').GetChildElement('cache').SetAttributeValue('enabled', $false)
    $server = $farm.GetCollection().CreateElement('server')
    $server.SetAttributeValue('address', 'fe01.contoso.local')
    $server.GetChildElement('applicationRequestRouting').SetAttributeValue('httpPort', 8080)
    [void]$farm.GetCollection().AddAt(0, $server)
    $rule = Add-Rule (Get-Items $manager $rulesPath) 'r'
    $rule.GetChildElement('action').SetAttributeValue('type', 'Rewrite')
    $rule.GetChildElement('action').SetAttributeValue('url', 'https://a/{R:0}')
    Save-Manager $manager
    Assert-Equal ([string]::Join("`n", @(
                '<webFarms>', '    <webFarm name="dialin.contoso.com" enabled="true">', '        <server address="fe01.contoso.local">',
                '            <applicationRequestRouting httpPort="8080" />', '        </server>', '        <applicationRequestRouting>',
                '            <protocol timeout="00:15:00">', '                <cache enabled="false" />', '            </protocol>',
                '        </applicationRequestRouting>', '    </webFarm>', '</webFarms>'))) (Get-Block 'webFarms')
    Assert-Equal ([string]::Join("`n", @(
                '<rewrite>', '    <globalRules>', '        <rule name="r">', '            <match url="*" />', '            <conditions>',
                '                <add input="{HTTPS}" pattern="On" />', '            </conditions>', '            <action type="Rewrite" url="https://a/{R:0}" />',
                '        </rule>', '    </globalRules>', '</rewrite>'))) (Get-Block 'rewrite')
    Assert-Equal $true ((Read-File).Contains("</security>`r`n        <rewrite>`r`n"))
    $manager = New-Manager
    $farm = (Get-Items $manager $farmsPath)[0]
    Assert-Equal ([TimeSpan]::FromSeconds(900)) $farm.GetChildElement('applicationRequestRouting').GetChildElement('protocol').GetAttributeValue('timeout')
    Assert-Equal ([long]8080) $farm.GetCollection()[0].GetChildElement('applicationRequestRouting').GetAttributeValue('httpPort')
}

Test-Fact '49 redirection.config tells shared configuration' {
    New-Machine
    Assert-Equal $false (New-Manager).GetRedirectionConfiguration().GetSection('configurationRedirection')['enabled']
    Write-File ((Read-File 'redirection.config').Replace('<configurationRedirection />', '<configurationRedirection enabled="true" />')) 'redirection.config'
    Assert-Equal $true (New-Manager).GetRedirectionConfiguration().GetSection('configurationRedirection')['enabled']
    Assert-Throws ([NotSupportedException]) 'shared configuration' { (New-Manager).GetApplicationHostConfiguration() }
}

Test-Fact '51 the run state of a site' {
    New-Machine
    $manager = New-Manager
    $site = $manager.Sites['Default Web Site']
    Assert-Equal 'Started' "$($site.get_State())"
    Assert-Equal 'Stopped' "$($site.Stop())"
    Assert-Equal "Stopped Default Web Site" (Read-File 'sitestate.txt').Trim()
    Assert-Equal 'Stopped' "$((New-Manager).Sites[0].State)"
    Assert-Equal 'Started' "$($site.Start())"
    Assert-Equal 'Started' "$($site.State)"
    $site.Bindings.RemoveAt(0)
    Assert-Throws ([Runtime.InteropServices.COMException]) '0x800710D8' { $site.get_State() }
}

Test-Fact '52 to 55 a binding with a certificate' {
    New-Machine
    $hex = '0102030405060708090A0B0C0D0E0F1011121314'
    Write-File $hex 'certificates.txt'
    $manager = New-Manager
    $hash = [byte[]](1..20)
    $binding = $manager.Sites[0].Bindings.Add('*:443:', $hash, 'MY')
    Assert-Equal 'https *:443: 0.0.0.0:443' "$($binding.Protocol) $($binding.BindingInformation) $($binding.EndPoint)"
    Save-Manager $manager
    Assert-Equal "0.0.0.0:443 $hex MY" (Read-File 'httpsys.txt').Trim()
    Assert-Equal $false ((Read-File).Contains($hex))
    Assert-Equal $true ((Read-File).Contains("<binding protocol=`"https`" bindingInformation=`"*:443:`" />"))
    $binding = (New-Manager).Sites[0].Bindings[1]
    Assert-Equal $hex ([Convert]::ToHexString($binding.CertificateHash))
    Assert-Equal 'MY' $binding.CertificateStoreName
}

Test-Fact '52 a binding with flags, and one without certificate' {
    New-Machine
    Write-File '0102030405060708090A0B0C0D0E0F1011121314' 'certificates.txt'
    $manager = New-Manager
    $bindings = $manager.Sites[0].Bindings
    [void]$bindings.Add('*:443:www.contoso.com', [byte[]](1..20), 'MY', [Microsoft.Web.Administration.SslFlags]::Sni)
    [void]$bindings.Add('*:8080:', 'http')
    Save-Manager $manager
    Assert-Equal 'www.contoso.com:443 0102030405060708090A0B0C0D0E0F1011121314 MY' (Read-File 'httpsys.txt').Trim()
    $bindings = (New-Manager).Sites[0].Bindings
    Assert-Equal 'Sni www.contoso.com' "$($bindings[1].SslFlags) $($bindings[1].Host)"
    Assert-Equal $null $bindings[2].CertificateHash
}

Test-Fact '54 another certificate for a binding that is there' {
    New-Machine -Edits @{ '</bindings>' = '<binding protocol="https" bindingInformation="*:443:" sslFlags="0" /></bindings>' }
    Write-File ('AA' * 20) 'certificates.txt'
    Write-File "0.0.0.0:443 $('BB' * 20) MY`n[::]:5986 $('CC' * 20) MY`n" 'httpsys.txt'
    $manager = New-Manager
    $binding = $manager.Sites[0].Bindings[1]
    Assert-Equal ('BB' * 20) ([Convert]::ToHexString($binding.CertificateHash))
    $binding.CertificateHash = [byte[]](@(0xAA) * 20)
    $before = Read-File
    Save-Manager $manager
    Assert-Equal $before (Read-File)
    $records = [IO.File]::ReadAllLines((Get-File 'httpsys.txt'))
    Assert-Equal 2 $records.Length
    Assert-Equal $true ($records -ccontains "0.0.0.0:443 $('AA' * 20) MY")
    Assert-Equal $true ($records -ccontains "[::]:5986 $('CC' * 20) MY")
}

Test-Fact '55 and 39 a certificate that cannot be used: the file is written, HTTP.sys refuses' {
    New-Machine
    $manager = New-Manager
    [void]$manager.Sites[0].Bindings.Add('*:443:', [byte[]](1..20), 'MY')
    Assert-Throws ([ComponentModel.Win32Exception]) 'A specified logon session does not exist' { $manager.CommitChanges() }
    Assert-Equal $true ((Read-File).Contains('bindingInformation="*:443:"'))
    Assert-Equal $false ([IO.File]::Exists((Get-File 'httpsys.txt')))
}

Test-Fact '57 what becomes of the record of a removed binding is refused loudly' {
    New-Machine -Edits @{ '</bindings>' = '<binding protocol="https" bindingInformation="*:443:" /></bindings>' }
    Write-File "0.0.0.0:443 $('BB' * 20) MY" 'httpsys.txt'
    $manager = New-Manager
    $before = Read-File
    $manager.Sites[0].Bindings.RemoveAt(1)
    Assert-Throws ([NotSupportedException]) '0.0.0.0:443' { $manager.CommitChanges() }
    Assert-Equal $before (Read-File)
}

Test-Fact '57 a binding that is replaced at the same address' {
    New-Machine -Edits @{ '</bindings>' = '<binding protocol="https" bindingInformation="*:443:" /></bindings>' }
    Write-File "0.0.0.0:443 $('BB' * 20) MY" 'httpsys.txt'
    Write-File ('AA' * 20) 'certificates.txt'
    $manager = New-Manager
    $manager.Sites[0].Bindings.RemoveAt(1)
    [void]$manager.Sites[0].Bindings.Add('*:443:', [byte[]](@(0xAA) * 20), 'MY')
    Save-Manager $manager
    Assert-Equal "0.0.0.0:443 $('AA' * 20) MY" (Read-File 'httpsys.txt').Trim()
}

Test-Fact '58 end points' {
    New-Machine
    $manager = New-Manager
    $bindings = $manager.Sites[0].Bindings
    Assert-Equal '0.0.0.0:80' "$($bindings[0].EndPoint)"
    $pipe = $bindings.Add('*', 'net.pipe')
    Assert-Equal $null $pipe.EndPoint
    Assert-Equal '' $pipe.Host
    Assert-Equal $null $bindings.Add('nosuch:81:', 'http').EndPoint
    Assert-Equal '[::1]:82' "$($bindings.Add('[::1]:82:', 'http').EndPoint)"
    [void]$bindings.Add(':80:', 'http')
    Assert-Throws ([Runtime.InteropServices.COMException]) "combined key attributes 'protocol, bindingInformation' respectively set to 'http, *:80:'" { $bindings.Add('*:80:', 'http') }
}

Test-Fact 'the root section group can be walked' {
    New-Machine
    $root = (New-Manager).GetApplicationHostConfiguration().RootSectionGroup
    Assert-Equal 'system.applicationHost system.webServer' ([string]::Join(' ', [string[]]@(foreach ($group in $root.SectionGroups) { $group.Name })))
    Assert-Equal 'webFarms' $root.Sections[0].Name
    $rewrite = @(foreach ($group in $root.SectionGroups[1].SectionGroups) { if ($group.Name -ceq 'rewrite') { $group } })[0]
    Assert-Equal 'globalRules AppHostOnly Deny' "$($rewrite.Sections[0].Name) $($rewrite.Sections[0].AllowDefinition) $($rewrite.Sections[0].OverrideModeDefault)"
}

Test-Fact 'an item can be copied by its written attributes, children and items' {
    New-Machine
    $rules = Get-Items (New-Manager) $rulesPath
    $rule = Add-Rule $rules 'a'
    $rule.SetAttributeValue('patternSyntax', 'Wildcard')
    $written = @(foreach ($attribute in $rule.Attributes) { if (-not $attribute.IsInheritedFromDefaultValue) { "$($attribute.Name)=$($attribute.Value)" } })
    Assert-Equal 'name=a patternSyntax=1' ([string]::Join(' ', [string[]]$written))
    Assert-Equal 'add' $rule.GetChildElement('conditions').Schema.CollectionSchema.AddElementNames
    Assert-Equal $null $rule.Schema.CollectionSchema
}

Test-Fact 'what no fact covers is refused by name' {
    New-Machine
    $manager = New-Manager
    $site = $manager.Sites[0]
    foreach ($body in @(
            { $manager.GetWebConfiguration('Default Web Site') }, { $manager.GetAdministrationConfiguration() }, { $manager.get_ApplicationPools() }, { $manager.get_WorkerProcesses() },
            { $manager.GetApplicationHostConfiguration().GetSection('webFarms', 'Default Web Site') }, { $site.get_Methods() }, { $site.get_RawAttributes() },
            { $site.SetMetadata('lockItem', $true) }, { $site.Bindings.Remove($site.Bindings[0], $true) }, { $manager.Sites.Add('a', 'c:\a', 81) }, { $site.Attributes['nosuch'] },
            { $site.Bindings[5] }, { [Microsoft.Web.Administration.ServerManager]::new($true, $null) })) {
        Assert-Throws ([NotSupportedException]) 'stand-in: no fact covers ' $body
    }
    $manager.Dispose()
    Assert-Throws ([NotSupportedException]) 'disposed' { $manager.GetApplicationHostConfiguration() }
}

Test-Fact 'what defaults of a collection set for its items is refused loudly' {
    New-Machine
    $site = (New-Manager).Sites[0]
    Assert-Throws ([NotSupportedException]) 'directory' { $site.GetChildElement('logFile').GetAttributeValue('directory') }
    Assert-Equal $true $site.GetChildElement('logFile').GetAttributeValue('enabled')
}

Test-Fact 'an element that is deleted leaves its defaults' {
    New-Machine -Edits @{ '</configuration>' = '<webFarms><webFarm name="a"><applicationRequestRouting><protocol timeout="00:01:00" /></applicationRequestRouting></webFarm></webFarms></configuration>' }
    $manager = New-Manager
    $farms = Get-Items $manager $farmsPath
    $farms[0].GetChildElement('applicationRequestRouting').GetChildElement('protocol').Delete()
    Assert-Equal ([TimeSpan]::FromSeconds(30)) $farms[0].GetChildElement('applicationRequestRouting').GetChildElement('protocol').GetAttributeValue('timeout')
    $farms[0].Delete()
    Assert-Equal 0 $farms.Count
    Save-Manager $manager
    Assert-Equal 0 (Get-Items (New-Manager) $farmsPath).Count
}

Test-Fact 'faults come in their order and once each' {
    New-Machine
    $file = Read-File
    Write-File "changed-on-disk`nlocked`nlie`nhttpsys`n" 'standin-faults.txt'
    $manager = New-Manager
    [void](Add-Farm (Get-Items $manager $farmsPath) 'a')
    Assert-Throws ([IO.FileLoadException]) 'has changed on disk' { $manager.CommitChanges() }
    Assert-Throws ([IO.FileLoadException]) 'Cannot write configuration file' { $manager.CommitChanges() }
    $manager = New-Manager
    [void](Add-Farm (Get-Items $manager $farmsPath) 'a')
    $manager.CommitChanges()
    Assert-Equal $file (Read-File)
    [void](Add-Farm (Get-Items $manager $farmsPath) 'b')
    Assert-Throws ([ComponentModel.Win32Exception]) 'logon session' { $manager.CommitChanges() }
    Assert-Equal "<webFarms>`n    <webFarm name=`"b`" />`n</webFarms>" (Get-Block 'webFarms')
    Assert-Equal '' (Read-File 'standin-faults.txt')
    Write-File 'nosuch' 'standin-faults.txt'
    $manager = New-Manager
    [void](Add-Farm (Get-Items $manager $farmsPath) 'c')
    Assert-Throws ([NotSupportedException]) 'no fault named nosuch' { $manager.CommitChanges() }
}
