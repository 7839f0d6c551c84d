# Checks of tools/acceptance/events.ps1 over a stand-in for Get-WinEvent, which no engine here has.
param([string]$Snippets, [string]$Events)
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
. ([System.IO.Path]::Combine($PSScriptRoot, 'checks.ps1'))
. ([System.IO.Path]::Combine($Snippets, '_runtime.ps1'))
. $Events
$script:LyncarrState = @{ Failure = $null }
$script:How = 'events'

function Get-WinEvent {
    [CmdletBinding()]
    param([hashtable]$FilterHashtable, [switch]$Oldest)
    if ($script:How -ceq 'none') { Write-Error -Message 'Es wurden keine Ereignisse gefunden.' -ErrorId 'NoMatchingEventsFound' }
    if ($script:How -ceq 'denied') { throw (New-Object System.UnauthorizedAccessException) }
    if ($script:How -ceq 'events') {
        $module = @('context', '', 'payload')
        $block = @(1, 2, 'script', 'id', 'path')
        [pscustomobject]@{ Id = 4103; Properties = @(foreach ($value in $module) { [pscustomobject]@{ Value = $value } }) }
        [pscustomobject]@{ Id = 4104; Properties = @(foreach ($value in $block) { [pscustomobject]@{ Value = $value } }) }
    }
    $script:Asked = $FilterHashtable
}

$since = '2026-11-24T12:00:00Z'
Test-That 'log: both kinds' '{"id":4103,"text":"context\u000a\u000apayload"} {"id":4104,"text":"script"}' { [string]::Join(' ', @(Get-LyncarrLogged -Since $since)) }
Test-That 'log: since then' ([datetime]'2026-11-24T12:00:00Z').ToUniversalTime() { $script:Asked['StartTime'].ToUniversalTime() }
$script:How = 'none'
Test-That 'log: no event' 0 { @(Get-LyncarrLogged -Since $since).Count }
$script:How = 'denied'
Test-That 'log: denied' 'UnauthorizedAccessException' { Get-Failure { Get-LyncarrLogged -Since $since } }
