'begun'
while ($true) { [System.Threading.Thread]::Sleep(50) }
