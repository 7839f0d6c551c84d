"""How long the tests wait for something that comes at once on a quiet machine."""

HANG_S = 60.0
"""Whatever takes longer hangs. A test that compares a time with it proves that nothing waits for the minutes that the test set up."""
