[Environment]::Exit(3)
