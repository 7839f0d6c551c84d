# What a person would do in IIS Manager: one setting of one farm is changed, behind lyncarr's back.

function Set-LyncarrOtherTimeout {
    # Gives the farm another proxy time-out. Emits {"before","after"} in seconds.
    param([string]$Farm)
    Set-StrictMode -Version Latest
    $ErrorActionPreference = 'Stop'
    $context = @{ Manager = $null; Configuration = $null; Opened = $false }
    try {
        $found = Get-LyncarrFarm -Context $context -Name $Farm
        if ($null -eq $found) { throw "there is no farm '$Farm' on this host" }
        $protocol = Get-LyncarrFarmProtocol -Farm $found
        $before = [int]$protocol.GetAttributeValue('timeout').TotalSeconds
        $after = 30
        if ($before -eq 30) { $after = 31 }
        $protocol.SetAttributeValue('timeout', [TimeSpan]::FromSeconds($after))
        $context['Manager'].CommitChanges()
        ConvertTo-LyncarrJson -Value @{ before = $before; after = $after }
    }
    finally { Close-LyncarrConfiguration -Context $context }
}
