"""Programs that make and maintainers run. None of them is part of lyncarr, and none is a test."""
