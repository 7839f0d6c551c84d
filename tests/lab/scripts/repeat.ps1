param([string]$Text, [int]$Times)
$Text * $Times
