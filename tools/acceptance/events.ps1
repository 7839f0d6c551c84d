# What PowerShell wrote into its log (events 4103, module logging, and 4104, script block logging), to be searched where the secrets are known.
# https://learn.microsoft.com/powershell/module/microsoft.powershell.core/about/about_logging_windows

function Get-LyncarrLogging {
    # Emits {"now","readable","modules","blocks"}: the host's clock, whether the log can be read, and what policy turned on.
    Set-StrictMode -Version Latest
    $ErrorActionPreference = 'Stop'
    $policies = 'SOFTWARE\Policies\Microsoft\Windows\PowerShell'
    ConvertTo-LyncarrJson -Value @{
        now = [datetime]::UtcNow.ToString('yyyy-MM-ddTHH:mm:ssZ', [cultureinfo]::InvariantCulture)
        readable = ($null -ne (Get-Command -Name Get-WinEvent -ErrorAction SilentlyContinue))
        modules = ([string](Get-LyncarrRegistryValue -Key "$policies\ModuleLogging" -Name 'EnableModuleLogging') -ceq '1')
        blocks = ([string](Get-LyncarrRegistryValue -Key "$policies\ScriptBlockLogging" -Name 'EnableScriptBlockLogging') -ceq '1')
    }
}

function Get-LyncarrLogged {
    # Emits {"id","text"} of each event since then, the oldest first.
    param([string]$Since)
    Set-StrictMode -Version Latest
    $ErrorActionPreference = 'Stop'
    $from = [datetime]::ParseExact($Since, 'yyyy-MM-ddTHH:mm:ssZ', [cultureinfo]::InvariantCulture, 'AssumeUniversal')
    $wanted = @{ LogName = 'Microsoft-Windows-PowerShell/Operational'; Id = @(4103, 4104); StartTime = $from }
    try { $events = @(Get-WinEvent -FilterHashtable $wanted -Oldest -ErrorAction Stop) }
    catch {
        # No event is an error of this command, and an answer here.
        if ($_.FullyQualifiedErrorId -cnotlike 'NoMatchingEventsFound*') { throw }
        $events = @()
    }
    foreach ($entry in $events) {
        # The properties, and not the message, which is translated. Of 4104 the script's text alone, the third: pieces are put together again.
        $values = @(foreach ($property in $entry.Properties) { [string]$property.Value })
        if ([int]$entry.Id -eq 4104) { $values = @($values[2]) }
        ConvertTo-LyncarrJson -Value @{ id = [int]$entry.Id; text = [string]::Join("`n", [string[]]$values) }
    }
}
