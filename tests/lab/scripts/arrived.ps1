# Puts out numbers from 1, each when there is a file $File with the number before it. It gives up after a minute.
param([int]$Times, [string]$File)
foreach ($number in 1..$Times) {
    [string]$number
    for ($try = 0; $try -lt 3000 -and $number -lt $Times -and -not [System.IO.File]::Exists("$File$number"); $try++) { [System.Threading.Thread]::Sleep(20) }
    if ($try -eq 3000) { throw 'the output did not arrive' }
}
