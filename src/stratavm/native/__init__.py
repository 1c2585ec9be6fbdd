"""A valid function to published machine code: the one room that knows a front, a target and the machine."""
