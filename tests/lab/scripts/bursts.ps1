param([int]$Times, [int]$Milliseconds)
foreach ($number in 1..$Times) {
    [string]$number
    [System.Threading.Thread]::Sleep($Milliseconds)
}
