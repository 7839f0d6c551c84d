# Requests, events, the lock and the transaction: the PowerShell that knows no step. The contract is docs/contract.md.

function ConvertTo-LyncarrTable {
    # Converts the result of ConvertFrom-Json to ordered dictionaries, arrays and plain values.
    # Whole numbers are Int64 in 7.x and Int32 in 5.1; here all become Int32.
    param([psobject]$Value)
    if ($null -eq $Value) { return $null }
    $plain = $Value.PSObject.BaseObject
    if ($plain -is [string] -or $plain -is [bool]) { return $plain }
    if ($plain -is [int] -or $plain -is [long]) { return [int]$plain }
    if ($plain -is [System.Collections.IList]) {
        $list = New-Object System.Collections.ArrayList
        foreach ($entry in $plain) { [void]$list.Add((ConvertTo-LyncarrTable -Value $entry)) }
        return ,$list.ToArray()
    }
    $table = New-Object System.Collections.Specialized.OrderedDictionary ([StringComparer]::Ordinal)
    foreach ($property in $Value.PSObject.Properties) { $table[$property.Name] = ConvertTo-LyncarrTable -Value $property.Value }
    return $table
}

function ConvertTo-LyncarrJsonString {
    param([string]$Text)
    $builder = New-Object System.Text.StringBuilder
    [void]$builder.Append('"')
    if ($Text -cmatch '[^ !#-\[\]-~]') {
        foreach ($character in $Text.ToCharArray()) {
            $code = [int]$character
            if ($code -eq 34 -or $code -eq 92) { [void]$builder.Append('\').Append($character) }
            elseif ($code -ge 32 -and $code -le 126) { [void]$builder.Append($character) }
            else { [void]$builder.Append('\u').Append($code.ToString('x4', [cultureinfo]::InvariantCulture)) }
        }
    }
    else { [void]$builder.Append($Text) }
    [void]$builder.Append('"')
    return $builder.ToString()
}

function ConvertTo-LyncarrJson {
    # ConvertTo-Json of 4.0, 5.1 and 7 differ in escapes, arrays, dates and depth. This text is ASCII, with keys in ordinal order. Any value
    # but null, bool, int, string, dictionary and list throws, so that tests find a wrong object.
    param([psobject]$Value)
    if ($null -eq $Value) { return 'null' }
    $plain = $Value.PSObject.BaseObject
    if ($plain -is [bool]) { if ($plain) { return 'true' } else { return 'false' } }
    if ($plain -is [int] -or $plain -is [long]) { return $plain.ToString([cultureinfo]::InvariantCulture) }
    if ($plain -is [string]) { return ConvertTo-LyncarrJsonString -Text $plain }
    $parts = New-Object System.Collections.ArrayList
    if ($plain -is [Collections.IDictionary]) {
        $keys = [string[]]@($plain.get_Keys())
        [array]::Sort($keys, [StringComparer]::Ordinal)
        foreach ($key in $keys) { [void]$parts.Add((ConvertTo-LyncarrJsonString -Text $key) + ':' + (ConvertTo-LyncarrJson -Value $plain[$key])) }
        return '{' + [string]::Join(',', [string[]]$parts.ToArray()) + '}'
    }
    if ($plain -is [System.Collections.IList]) {
        foreach ($entry in $plain) { [void]$parts.Add((ConvertTo-LyncarrJson -Value $entry)) }
        return '[' + [string]::Join(',', [string[]]$parts.ToArray()) + ']'
    }
    throw "a value of type $($plain.GetType().FullName) cannot be sent"
}

function Add-LyncarrEvent {
    # Holds an event until the next Send-LyncarrEvent, because each output costs the controller a round trip.
    param([Collections.IDictionary]$Members)
    [void]$script:LyncarrState['Held'].Add((ConvertTo-LyncarrJson -Value $Members))
    if ([string]$Members['event'] -ne 'done') { $script:LyncarrState['Sent'] = [int]$script:LyncarrState['Sent'] + 1 }
}

function Send-LyncarrEvent {
    # Outputs the held events. Call it as a statement before anything slow, never in a function whose output is assigned.
    $held = $script:LyncarrState['Held']
    if ($held.get_Count() -gt 0) {
        $text = [string]::Join("`n", [string[]]$held.ToArray())
        $held.Clear()
        $text
    }
}

function Add-LyncarrNote {
    # $Item names what the note is about: a rule, farm, server, web site, binding, product or certificate; '' where it is the host.
    param([string]$Kind, [string]$Text, [string]$Item)
    $about = $null
    if ($Item -cne '') { $about = $Item }
    Add-LyncarrEvent -Members @{ event = 'note'; step = $script:LyncarrState['Step']; kind = $Kind; item = $about; text = $Text }
}

function Stop-Lyncarr {
    # Ends the request with a failure. $Text says what is wrong, with the value found; $Hint is the next action, '' where there is none.
    param([string]$Kind, [string]$Text, [string]$Hint)
    $script:LyncarrState['Failure'] = $Kind
    $script:LyncarrState['Hint'] = $Hint
    throw $Text
}

function Add-LyncarrMissingStepNote {
    # Reports in a plan that apply would stop because another step must come first. No note where that step is part of this run.
    param([Collections.IDictionary]$Context, [string]$Step, [string]$Reason, [string]$Item)
    if (@($Context['Steps']) -cnotcontains $Step) { Add-LyncarrNote -Kind 'needs' -Item $Item -Text "needs step ${Step}: $Reason" }
}

function New-LyncarrContext {
    # What the steps of one request share; there are no other keys. Manager, Configuration, Opened: applicationHost.config, opened when a
    # step first needs it. ReadOnly: the request changes nothing. Writes counts the changes to the configuration. RestartIis, StartSite: due
    # after the commit. RestartWindows: due now. ExitCode: that of the last installer, null where it was stopped.
    param([Collections.IDictionary]$Request)
    $names = New-Object System.Collections.ArrayList
    foreach ($step in @($Request['steps'])) { [void]$names.Add([string]$step['name']) }
    return @{
        Run = [string]$Request['run']; Steps = $names.ToArray(); Manager = $null; Configuration = $null; Opened = $false
        ReadOnly = $false; Writes = 0; RestartIis = $false; RestartWindows = $false; StartSite = $null; ExitCode = $null
    }
}

function Get-LyncarrAllState {
    param([Collections.IDictionary]$Request, [Collections.IDictionary]$Context)
    $states = @{}
    foreach ($step in @($Request['steps'])) {
        $script:LyncarrState['Step'] = [string]$step['name']
        $states[[string]$step['name']] = Get-LyncarrStepState -Name ([string]$step['name']) -Desired $step['desired'] -Parameters $step['parameters'] -Context $Context
    }
    $script:LyncarrState['Step'] = $null
    return $states
}

function Invoke-LyncarrObserve {
    param([Collections.IDictionary]$Request)
    $context = New-LyncarrContext -Request $Request
    $context['ReadOnly'] = $true
    try { Add-LyncarrEvent -Members @{ event = 'observed'; steps = (Get-LyncarrAllState -Request $Request -Context $context) } }
    finally { Close-LyncarrConfiguration -Context $context }
}

function Get-LyncarrHolderText {
    # Another run wrote the text, perhaps of another version of lyncarr, so every part of it may be missing.
    param([string]$Holder)
    $parts = @{ who = 'another run'; since = 'an unknown time' }
    foreach ($name in @('who', 'since')) {
        $found = [regex]::Match($Holder, '"' + $name + '":"(([^"\\]|\\["\\]|\\u[0-9a-f]{4}){1,200})"')
        if ($found.Success) { $parts[$name] = [regex]::Unescape($found.Groups[1].Value) }
    }
    return "held by $($parts['who']) since $($parts['since'])"
}

function Get-LyncarrFailureKind {
    param([System.Exception]$Cause)
    if ($null -ne $script:LyncarrState['Failure']) { return [string]$script:LyncarrState['Failure'] }
    if ($Cause -is [System.UnauthorizedAccessException]) { return 'denied' }
    if ($Cause -is [System.IO.FileLoadException]) { return 'locked' }
    return 'error'
}

function Invoke-LyncarrRequest {
    param([string]$Request)
    $secrets = @{}
    # {"name":"value"}, read without ConvertFrom-Json: module logging (event 4103) records the arguments of commands, and the error for
    # invalid JSON repeats the text. The controller sends no name or value that needs an escape.
    foreach ($line in @($input)) {
        foreach ($found in [regex]::Matches([string]$line, '"([a-z_]+)": *"([^"\\]*)"')) { $secrets[$found.Groups[1].Value] = $found.Groups[2].Value }
    }
    $first = $null -eq (Get-Variable -Name LyncarrState -Scope Script -ErrorAction SilentlyContinue)
    if ($first) { $script:LyncarrState = @{ Held = (New-Object System.Collections.ArrayList); Lock = $null; Backup = $null } }
    $script:LyncarrState['Sent'] = 0
    $script:LyncarrState['Step'] = $null
    $script:LyncarrState['Failure'] = $null
    $script:LyncarrState['Hint'] = ''
    try {
        $table = ConvertTo-LyncarrTable -Value (ConvertFrom-Json -InputObject $Request)
        if ($first) {
            $reasons = @(Get-LyncarrRebootReason)
            Add-LyncarrEvent -Members (Get-LyncarrHello -Run ([string]$table['run']) -PendingReboot ($reasons.Count -gt 0))
            foreach ($reason in $reasons) { Add-LyncarrNote -Kind 'pending-reboot' -Text $reason }
        }
        if ([bool]$table['lock']) { Enter-LyncarrLock -Request $table }
        switch ([string]$table['operation']) {
            'observe' {
                if (-not [bool]$table['lock']) {
                    $holder = Read-LyncarrHolder
                    if ($holder -ne '') { Add-LyncarrNote -Kind 'holder' -Text ('the host is ' + (Get-LyncarrHolderText -Holder $holder)) }
                }
                Invoke-LyncarrObserve -Request $table
            }
            'apply' { Invoke-LyncarrApply -Request $table -Secrets $secrets }
            'upload' { Add-LyncarrUpload -Request $table }
            default { throw "unknown operation '$($table['operation'])'" }
        }
    }
    catch {
        $cause = $_.Exception.GetBaseException()
        $text = [string]$cause.Message
        if ($null -eq $script:LyncarrState['Failure']) { $text = $text.Trim() + " [$($cause.GetType().Name), line $($_.InvocationInfo.ScriptLineNumber)]" }
        $kind = Get-LyncarrFailureKind -Cause $cause
        if ($kind -ceq 'locked') { $script:LyncarrState['Hint'] = 'Close IIS Manager and other programs that write applicationHost.config on the host, then run the command again.' }
        Add-LyncarrEvent -Members @{ event = 'failed'; step = $script:LyncarrState['Step']; kind = $kind; text = $text; hint = [string]$script:LyncarrState['Hint'] }
    }
    finally {
        Add-LyncarrEvent -Members @{ event = 'done'; count = [int]$script:LyncarrState['Sent'] }
        Send-LyncarrEvent
    }
}

#:lock

function Enter-LyncarrLock {
    # The lock is an open file of this process. It survives pipelines and errors, and Windows releases it when the process ends.
    param([Collections.IDictionary]$Request)
    if ($null -ne $script:LyncarrState['Lock']) { return }
    $script:LyncarrState['Lock'] = Open-LyncarrLock -Holder (ConvertTo-LyncarrJson -Value @{
            who = [string]$Request['who']; run = [string]$Request['run']
            since = [datetime]::UtcNow.ToString('yyyy-MM-ddTHH:mm:ssZ', [cultureinfo]::InvariantCulture)
        })
    if ($null -eq $script:LyncarrState['Lock']) {
        Stop-Lyncarr -Kind 'busy' -Text (Get-LyncarrHolderText -Holder (Read-LyncarrHolder)) -Hint 'Wait until that run ends, then run the command again.'
    }
}

#:write

function Stop-LyncarrMissingStep {
    # Ends the request because another step must come first.
    param([string]$Step, [string]$Reason)
    Stop-Lyncarr -Kind 'needs' -Text "needs step ${Step}: $Reason" -Hint "Run the command with --step $Step as well, or without --step."
}

function Add-LyncarrProgress {
    param([string]$Text)
    Add-LyncarrEvent -Members @{ event = 'progress'; step = $script:LyncarrState['Step']; text = $Text; percent = $null }
}

function Assert-LyncarrLock {
    # Ends the request where this shell does not hold the lock.
    param([string]$Operation)
    if ($null -eq $script:LyncarrState['Lock']) { Stop-Lyncarr -Kind 'error' -Text "the request $Operation came without the lock" -Hint 'Send observe with the lock first.' }
}

function Invoke-LyncarrApply {
    # Applies the steps of one unit with one commit. Where another program changed or locked the file, all steps are applied again to a fresh
    # read. Any other error ends the request, and nothing is committed.
    param([Collections.IDictionary]$Request, [Collections.IDictionary]$Secrets)
    Assert-LyncarrLock -Operation 'apply'
    $attempt = 0
    $committed = $false
    $context = $null
    try {
        while (-not $committed) {
            $attempt = $attempt + 1
            $context = New-LyncarrContext -Request $Request
            foreach ($step in @($Request['steps'])) {
                $script:LyncarrState['Step'] = [string]$step['name']
                if ($attempt -eq 1) { Add-LyncarrEvent -Members @{ event = 'applying'; step = [string]$step['name'] } }
                Set-LyncarrStepState -Name ([string]$step['name']) -Desired $step['desired'] -Parameters $step['parameters'] -Context $context -Secrets $Secrets
            }
            if ([int]$context['Writes'] -eq 0) { break }
            Send-LyncarrEvent
            Save-LyncarrBackup -Name ('lyncarr-' + [string]$Request['run'])
            $committed = Save-LyncarrConfiguration -Context $context -LastAttempt ($attempt -ge 5)
            if (-not $committed) {
                Add-LyncarrNote -Kind 'retried' -Text 'another program changed or locked applicationHost.config; lyncarr read it again and retried'
                Close-LyncarrConfiguration -Context $context
                [System.Threading.Thread]::Sleep(1000)
            }
        }
        $restart = [bool]$context['RestartWindows']
        if ($null -ne $context['StartSite']) { Start-LyncarrSite -Context $context }
        if ([bool]$context['RestartIis']) {
            Send-LyncarrEvent
            Restart-LyncarrIis
        }
    }
    finally { if ($null -ne $context) { Close-LyncarrConfiguration -Context $context } }
    $fresh = New-LyncarrContext -Request $Request
    try {
        $states = Get-LyncarrAllState -Request $Request -Context $fresh
        Add-LyncarrEvent -Members @{ event = 'applied'; steps = $states; backup = $script:LyncarrState['Backup']; reboot = $restart }
    }
    finally { Close-LyncarrConfiguration -Context $fresh }
}
