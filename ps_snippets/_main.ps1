# lyncarr: the script that runs on the host. lyncarr/powershell/bundle.py composes it from ps_snippets/. It is constant for a release
# and holds no value of a configuration file: values come with the request, secrets as pipeline input.
param([string]$Request)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'

#:snippets

#:look
function Get-LyncarrStepState {
    param([string]$Name, [Collections.IDictionary]$Desired, [Collections.IDictionary]$Parameters, [Collections.IDictionary]$Context)
    $step = @{ Desired = $Desired; Parameters = $Parameters; Context = $Context }
    switch ($Name) {
        #:each-step 'STEP' { return Get-NOUNState @step }
        default { throw "unknown step '$Name'" }
    }
}

#:write
function Set-LyncarrStepState {
    param([string]$Name, [Collections.IDictionary]$Desired, [Collections.IDictionary]$Parameters, [Collections.IDictionary]$Context, [Collections.IDictionary]$Secrets)
    $step = @{ Desired = $Desired; Parameters = $Parameters; Context = $Context; Secrets = $Secrets }
    switch ($Name) {
        #:each-step 'STEP' { Set-NOUNState @step; return }
        default { throw "unknown step '$Name'" }
    }
}

#:all
$input | Invoke-LyncarrRequest -Request $Request
