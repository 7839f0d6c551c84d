# Tells the commands of a script: one line each, its name and the parameters that are written. Ends with 1 where the text has an error.
param([string]$Path)
$errors = $null
$tokens = $null
$tree = [System.Management.Automation.Language.Parser]::ParseFile($Path, [ref]$tokens, [ref]$errors)
if ($errors.Count -gt 0) { throw $errors[0].Message }
foreach ($command in $tree.FindAll({ param($node) $node -is [System.Management.Automation.Language.CommandAst] }, $true)) {
    $words = @($command.GetCommandName())
    foreach ($element in $command.CommandElements) {
        if ($element -is [System.Management.Automation.Language.CommandParameterAst]) { $words += $element.ParameterName }
    }
    [string]::Join(' ', $words)
}
