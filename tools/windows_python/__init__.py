"""A Windows Python on Wine, in which the tests of the client run. README.md tells what it is made of."""
