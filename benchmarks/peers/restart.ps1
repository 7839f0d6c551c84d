# Runs once after any change, so that ARR reads its farms again.
$ErrorActionPreference = 'Stop'
$process = [System.Diagnostics.Process]::Start("$env:windir\System32\iisreset.exe", '/noforce')
$process.WaitForExit()
if ($process.ExitCode -ne 0) { throw "iisreset ended with $($process.ExitCode)" }
