"""Litmus tests: what threads may see of each other's writes to a shared memory."""
