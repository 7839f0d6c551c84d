# A host script for tests of the transport: it speaks the contract, and says what it was given.
param([string]$Request)

function Write-TransportEvents {
    param([object[]]$Events)
    $lines = foreach ($entry in $Events) { ConvertTo-Json -InputObject $entry -Compress -Depth 5 }
    [string]::Join("`n", [string[]]@($lines))
}

function Invoke-LyncarrRequest {
    param([string]$Request)
    $secret = ''
    foreach ($line in @($input)) { $secret = [string]$line }
    $asked = ConvertFrom-Json -InputObject $Request
    $script:Calls = [int]$script:Calls + 1
    $step = [string]$asked.steps[0].name
    $count = 0
    if ($script:Calls -eq 1) {
        $count = 1
        Write-TransportEvents -Events @(@{
                event = 'hello'; protocol = 1; run = $asked.run; computer = 'RP01'; os = 'A test'; build = 9600; powershell = '4.0'; bits = 64
                elevated = $true; booted = ''; pending_reboot = $false; shared_configuration = $false
            })
    }
    $state = @{ $step = @{ item = @{ calls = [int]$script:Calls; secret_characters = $secret.Length } } }
    if ($asked.operation -eq 'observe') {
        Write-TransportEvents -Events @(@{ event = 'observed'; steps = $state }, @{ event = 'done'; count = $count + 1 })
        return
    }
    Write-TransportEvents -Events @(@{ event = 'applying'; step = $step })
    if ($asked.steps[0].parameters.fail) { throw 'nobody catches this' }
    if ($asked.steps[0].parameters.ask) { [void]$Host.UI.ReadLine() }
    [System.Threading.Thread]::Sleep(1000 * [int]$asked.steps[0].parameters.seconds)
    Write-TransportEvents -Events @(@{ event = 'applied'; steps = $state; backup = $null; reboot = $false }, @{ event = 'done'; count = $count + 2 })
}

$input | Invoke-LyncarrRequest -Request $Request
