"""A valid function to published machine code: the one room that composes a front, a target and the machine."""
