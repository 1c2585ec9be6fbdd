"""Programs that nobody trusts, run in one call: in this process, or in one of its own behind a wall."""
