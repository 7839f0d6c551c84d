# lyncarr: the script that runs on the host. Put together from ps_snippets/ by lyncarr/powershell/bundle.py;
# constant for a release, and free of any value of any site: those come as the request, secrets as pipeline input.
param([string]$Request)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'

#:snippets

#:look
function Get-LyncarrStepState {
    param([string]$Step, [System.Collections.IDictionary]$Desired, [System.Collections.IDictionary]$Parameters, [System.Collections.IDictionary]$Context)
    switch ($Step) {
        #:each-step 'STEP' { return Get-NOUNState -Desired $Desired -Parameters $Parameters -Context $Context }
        default { throw "unknown step '$Step'" }
    }
}

#:write
function Set-LyncarrStepState {
    param([string]$Step, [System.Collections.IDictionary]$Desired, [System.Collections.IDictionary]$Parameters, [System.Collections.IDictionary]$Context, [System.Collections.IDictionary]$Secrets)
    switch ($Step) {
        #:each-step 'STEP' { Set-NOUNState -Desired $Desired -Parameters $Parameters -Context $Context -Secrets $Secrets; return }
        default { throw "unknown step '$Step'" }
    }
}

#:all
$input | Invoke-LyncarrRequest -Request $Request
