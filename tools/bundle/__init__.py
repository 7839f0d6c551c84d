"""`make bundle`: lyncarr and everything that it needs as Windows wheels, for a machine without internet access."""
