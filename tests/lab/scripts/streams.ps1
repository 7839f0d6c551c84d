# Text with a letter that is no ASCII on both streams, and an exit code of its own.
$letter = [string][char]0xFC
'out ' + $letter
[Console]::Error.WriteLine('err ' + $letter)
exit 3
