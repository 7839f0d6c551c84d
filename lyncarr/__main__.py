"""`python -m lyncarr`."""

from lyncarr.cli.main import main

main()
