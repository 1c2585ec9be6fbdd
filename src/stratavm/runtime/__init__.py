"""The native state of running guests: stores, instances, memories, tables, globals, traps, host calls."""
