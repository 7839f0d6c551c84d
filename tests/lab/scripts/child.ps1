# Starts a process that would outlive this one, and says its id.
$child = [System.Diagnostics.Process]::Start('/bin/sleep', '300')
[string]$child.Id
while ($true) { [System.Threading.Thread]::Sleep(50) }
