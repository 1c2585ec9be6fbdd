"""WASI: capability-based system interface."""
