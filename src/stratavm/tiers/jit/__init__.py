"""Our compiler, function by function, at the first call."""
