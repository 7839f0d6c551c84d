[Console]::Error.WriteLine('out of order')
[Environment]::Exit(3)
