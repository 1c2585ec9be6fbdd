"""Objects of guests: how they lie in memory, where there is room for more, and which are garbage."""
