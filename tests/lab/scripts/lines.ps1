# Answers each line of standard input with its length, and says its own id first.
$reader = New-Object -TypeName System.IO.StreamReader -ArgumentList ([Console]::OpenStandardInput())
[string]$PID
while ($null -ne ($line = $reader.ReadLine())) { [string]$line.Length }
