# lyncarr over WinRS: one process for all requests of a run, as one runspace is over PSRP. docs/contract.md explains the lines.
# The automatic variable "input" must not occur here: powershell.exe would then read standard input itself.
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
$LyncarrWire = @{ Lines = (New-Object System.Collections.ArrayList); Ran = 0 }
$LyncarrWire['In'] = New-Object System.IO.StreamReader ([Console]::OpenStandardInput()), (New-Object System.Text.UTF8Encoding $false)
$LyncarrWire['Out'] = New-Object System.IO.StreamWriter ([Console]::OpenStandardOutput()), (New-Object System.Text.UTF8Encoding $false)
$LyncarrWire['Out'].NewLine = "`n"
$LyncarrWire['Out'].AutoFlush = $true
$LyncarrWire['Out'].WriteLine('#powershell ' + [string]$PSVersionTable['PSVersion'])
while ($null -ne ($LyncarrWire['Line'] = $LyncarrWire['In'].ReadLine())) {
    if ($LyncarrWire['Line'] -cmatch '#ask ([0-9]+)$') {
        # The controller lost the answer to the last piece of a request. A request that is incomplete now stays incomplete, so this process ends.
        if ([int]$Matches[1] -le $LyncarrWire['Ran']) { continue }
        $LyncarrWire['Out'].WriteLine('#incomplete')
        break
    }
    if ($LyncarrWire['Line'] -cne '#run') {
        [void]$LyncarrWire['Lines'].Add($LyncarrWire['Line'])
        continue
    }
    $LyncarrWire['Ran'] = $LyncarrWire['Ran'] + 1
    $LyncarrWire['Secrets'] = $LyncarrWire['Lines'][-1]
    $LyncarrWire['Lines'][-1] = ''
    $LyncarrWire['Request'] = $LyncarrWire['Lines'][-2]
    $LyncarrWire['Lines'].RemoveAt($LyncarrWire['Lines'].get_Count() - 2)
    $LyncarrWire['Script'] = [string]::Join("`n", [string[]]$LyncarrWire['Lines'].ToArray())
    $LyncarrWire['Lines'].Clear()
    try {
        # Dot-sourced, so that the functions and variables of the script stay in the global scope.
        if ($LyncarrWire['Script'] -ne '') {
            $LyncarrWire['Secrets'] | . ([scriptblock]::Create($LyncarrWire['Script'])) -Request $LyncarrWire['Request'] | ForEach-Object { $LyncarrWire['Out'].WriteLine([string]$_) }
        }
        else { $LyncarrWire['Secrets'] | Invoke-LyncarrRequest -Request $LyncarrWire['Request'] | ForEach-Object { $LyncarrWire['Out'].WriteLine([string]$_) } }
    }
    catch {
        $LyncarrWire['Out'].WriteLine('#error ' + ("$_ [$($_.FullyQualifiedErrorId)]" -creplace '\s+', ' '))
        break
    }
    $LyncarrWire['Secrets'] = $null
    $LyncarrWire['Out'].WriteLine('#end')
}
