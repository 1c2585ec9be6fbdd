"""Native state of a running guest: contexts, memories, tables, traps, host calls."""
